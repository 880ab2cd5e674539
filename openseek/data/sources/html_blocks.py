"""Formulas and code of a parsed page: found, taken out, and a word left in the place of each.

Extractors drop or flatten both; a word in running text they keep. html_place puts what was taken back.
"""

import dataclasses
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

from lxml.etree import XPath

from openseek.data.sources import html_code
from openseek.data.sources.html_math import latex_of, name, tidy
from openseek.data.sources.html_symbols import words

TEX_ATTRIBUTES = ("data-tex", "data-latex", "data-formula", "data-mathml")
TAGS = ("math", "pre", "code", "xmp", "listing", "plaintext", "mjx-container", "d-math", "amp-mathml")
"""Elements that are formulas or may be code."""
MARKS = ("math/", ":math", "latex", "katex", "data-tex", "data-formula", "w3-code", "equation?tex", "$$")
TEX_MARKS = ("\\(", "\\[", "\\begin{", "\\frac", "\\sum", "\\sqrt", "^{", "_{")
"""Of these the source of any other page with formulas has one; the last ones go with a backslash or a dollar sign."""
WRAPPED = ("katex", "mathjax", "MathJax", "mjx-", "mwe-math", "w3-code", *TEX_ATTRIBUTES)
"""What is in the source of a page whose formulas or code may be a <span> or a <div>."""
RENDERERS = ("mathjax", "katex", "tex2jax")
ENVIRONMENTS = "equation|align|alignat|gather|multline|eqnarray|flalign|displaymath|math"
DELIMITED = re.compile(
    r"(?<!\\)\$\$(?P<double>[^$]{1,4000}?)(?<!\\)\$\$|\\\[(?P<square>.{1,4000}?)\\\]|\\\((?P<round>.{1,2000}?)\\\)|"
    rf"(?P<environment>\\begin\{{(?P<kind>{ENVIRONMENTS})(?P<star>\*?)\}}.{{1,6000}}?\\end\{{(?P=kind)(?P=star)\}})|"
    r"(?<![\\$\w])\$(?P<single>(?![\s$])(?:\\.|[^$\\\n]){1,600}?(?<![\s\\]))\$(?![\d$])",
    re.DOTALL,
)
TEX_LIKE = re.compile(r"\\[A-Za-z]{2,}|[\^_=]|^\s*[A-Za-z0-9](?:\s*[-+*/<>,]\s*[A-Za-z0-9])*\s*$")
TEX_COMMAND = re.compile(r"\\[A-Za-z]{2,}|[\^_]\{|\^|_\w")
TEX_IMAGE = re.compile(r"latex\.php|codecogs|mathurl|mimetex|mathtex|math/render|equation\?tex|/tex\?|latex\.cgi", re.I)
TEX_QUERY = re.compile(r"(?:latex|tex)=([^&]+)|(?:gif|png|svg)(?:\.latex|\.download)?\?([^&]+)", re.IGNORECASE)
TEX_CLASS = re.compile(r"\b(?:latex|tex|math|ztext-math|mwe-math-fallback-image-\w+)\b", re.IGNORECASE)
PREVIEWS = re.compile(r"\b(?:MathJax(?:_(?:Preview|Display|SVG(?:_Display)?|CHTML))?|mjx-chtml)\b")
TEXT_BLOCKS = words("body div section article main td th li dd blockquote center figure header details")
OPAQUE = ("script", "style", "textarea", "template", "title", "svg", "code", "kbd", "samp")
_TEXT = XPath(
    ".//text()[(contains(., '$') or contains(., '\\')) and not("
    + " or ".join(f"parent::{tag}" for tag in OPAQUE)
    + ")]"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A formula or a piece of code, and the word that stands for it in the page."""

    word: str
    text: str
    """What is put back: $...$, $$...$$ or the lines of code."""
    lines: bool
    """Whether it stands on lines of its own."""


def is_marked(page: str) -> bool:
    """Whether a page without any of TAGS may have formulas or code all the same: a quick look at its source."""
    return any(mark in page for mark in MARKS) or ("\\" in page and any(mark in page for mark in TEX_MARKS))


class Blocks:
    """All formulas and code of one page, in order; making it puts their words into the tree."""

    def __init__(self, tree: Any, page: str) -> None:
        stem, number = "zqkx", 0
        while f"{stem}{number}x" in page:
            number += 1
        self._stem = f"{stem}{number}x"
        self.found: list[Block] = []
        self.pattern = re.compile(rf"{self._stem}(\d{{6}})o*z")
        self._page = page
        self._walk(tree)

    @cached_property
    def _rendered(self) -> bool:
        """Whether the page loads a renderer of TeX, which makes more of its text formulas."""
        lower = self._page.lower()
        return any(mark in lower for mark in RENDERERS)

    def of(self, word: re.Match[str]) -> Block:
        """The block that a match of `pattern` stands for."""
        return self.found[int(word.group(1))]

    def _add(self, text: str, lines: bool = False) -> str:
        """A word for a block: about as long as what it stands for, since extractors weigh blocks by length."""
        width = min(len(text), 120 if lines else 24)
        word = f"{self._stem}{len(self.found):06d}"
        word = word + "o" * max(0, width - len(word) - 1) + "z"
        self.found.append(Block(word, text, lines))
        return word

    def _formula(self, tex: str, display: bool) -> str:
        return self._add(f"$${tex}$$" if display else f"${tex}$")

    def _walk(self, tree: Any) -> None:
        """Elements that may be formulas or code, from the top down, then TeX in what text is left."""
        page = self._page
        wrapped = any(mark in page for mark in WRAPPED)
        # Prefixed names can only be told by looking at every element.
        kinds = () if ":math" in page else (*TAGS, "table", "script", "img", *(("span", "div") if wrapped else ()))
        for element in list(tree.iter(*kinds)):
            if isinstance(element.tag, str) and _is_below(element, tree):
                self._replaced(element)
        if "$" in page or "\\" in page:
            parents = (node.getparent().getparent() if node.is_tail else node.getparent() for node in _TEXT(tree))
            for element in dict.fromkeys(parents):
                self._delimited(element)

    def _replaced(self, element: Any) -> bool:
        """Put a word in the place of the element, if it is a formula or code."""
        if html_code.is_block(element):
            if text := html_code.lines_of(element):
                _replace(element, self._add(html_code.fenced(element, text), lines=True), alone=True)
            return True
        kind = element.tag if ":" not in element.tag else name(element)
        find = _FORMULAS.get(kind) or (_spanned if kind in ("span", "div") and element.attrib else None)
        found = find(element) if find else None
        if found is None:
            return False
        tex, display = found
        _replace(element, self._formula(tex, display) if tex else "", alone=display)
        return True

    def _delimited(self, element: Any) -> None:
        """TeX between delimiters in the element's own text and in the tails of its children."""
        if len(element) and all(child.tag == "br" for child in element):
            # A formula over several lines of text: the line breaks are part of it.
            whole = "\n".join(element.itertext())
            crossing = any("\n" in m.group() for m in DELIMITED.finditer(whole)) if "\\" in whole else False
            if crossing:
                for child in list(element):
                    element.remove(child)
                element.text = whole
        if element.text and ("$" in element.text or "\\" in element.text):
            element.text = DELIMITED.sub(self._delimiter, element.text)
        for child in element:
            if child.tail and ("$" in child.tail or "\\" in child.tail):
                child.tail = DELIMITED.sub(self._delimiter, child.tail)

    def _delimiter(self, match: re.Match[str]) -> str:
        """The word for TeX between delimiters; what may be money or a regular expression stays."""
        if match["environment"]:
            return self._formula(" ".join(match["environment"].split()), display=True)
        if match["single"]:
            tex = match["single"]
            sure = TEX_COMMAND.search(tex) or (self._rendered and TEX_LIKE.search(tex))
            return self._formula(" ".join(tex.split()), display=False) if sure else match.group()
        tex = match["double"] or match["square"] or match["round"]
        if not (self._rendered or TEX_LIKE.search(tex)) or not tex.strip():
            return match.group()
        return self._formula(tidy(tex), display=not match["round"])


def _is_below(element: Any, tree: Any) -> bool:
    """Whether the element is still in the tree; what was replaced is not looked into, nor is the root."""
    above = element.getparent()
    while above is not None and above is not tree:
        above = above.getparent()
    return above is not None


def _replace(element: Any, word: str, alone: bool) -> None:
    """Put a word where the element was: as a paragraph of its own, or into the text."""
    parent = element.getparent()
    if alone and word and parent.tag in TEXT_BLOCKS:
        paragraph = element.makeelement("p")
        paragraph.text, paragraph.tail = word, element.tail
        parent.replace(element, paragraph)
        return
    previous, text = element.getprevious(), (f" {word} " if alone and word else word) + (element.tail or "")
    if previous is None:
        parent.text = (parent.text or "") + text
    else:
        previous.tail = (previous.tail or "") + text
    element.tail = None
    parent.remove(element)


Found = tuple[str, bool] | None


def _math(element: Any) -> Found:
    display = element.get("display") == "block" or element.get("mode") == "display"
    around = element.getparent()
    display = display or (around is not None and "katex-display" in (around.get("class") or ""))
    return latex_of(element), display


def _first_math(element: Any) -> Any:
    """The first <math> below an element, or None."""
    return next((part for part in element.iter() if name(part) == "math"), None)


def _container(element: Any) -> Found:
    """MathJax 3: the formula is in its assistive MathML."""
    math = _first_math(element)
    return None if math is None else (latex_of(math), (element.get("display") or "") == "true" or _math(math)[1])  # type: ignore[index]


def _script(element: Any) -> Found:
    """MathJax 2: the source of the formula is a script."""
    kind, text = (element.get("type") or "").lower(), element.text or ""
    if kind.startswith("math/mml"):
        return _parsed(text)
    if not kind.startswith("math/tex"):
        return None
    return tidy(text), "mode=display" in kind.replace(" ", "")


def _parsed(text: str) -> Found:
    """MathML that stands in a string."""
    from lxml import html

    math = _first_math(html.fragment_fromstring(f"<div>{text}</div>"))
    return None if math is None else _math(math)


def _image(element: Any) -> Found:
    """A picture of a formula, with its source as alternative text or in its address."""
    alt, address = element.get("alt") or "", element.get("src") or element.get("data-src") or ""
    marked = TEX_IMAGE.search(address) or TEX_CLASS.search(element.get("class") or "")
    if not marked and not re.search(r"\\[A-Za-z]{2,}", alt):
        return None
    query = TEX_QUERY.search(address)
    tex = tidy(alt) or (tidy(unquote_plus(query.group(1) or query.group(2))) if query else "")
    return (tex, "display" in (element.get("class") or "")) if tex else None


def _custom(element: Any) -> Found:
    """<d-math>TeX</d-math> of Distill."""
    return tidy("".join(element.itertext())), element.get("block") is not None


def _attribute(element: Any) -> Found:
    """A formula kept in an attribute."""
    for key in TEX_ATTRIBUTES:
        if value := element.get(key):
            return _parsed(value) if key == "data-mathml" else (tidy(value), value.lstrip().startswith(("$$", "\\[")))
    return None


def _spanned(element: Any) -> Found:
    """Elements that renderers wrap formulas in, by class; a preview beside the source of its formula is nothing."""
    kind = element.get("class") or ""
    if "mwe-math-element" in kind:
        math = _first_math(element)
        image = element.find(".//img")
        if math is None:
            return None if image is None else _image(image)
        return latex_of(math), math.get("display") == "block"
    if kind.split()[:1] == ["katex"]:
        math = _first_math(element)
        return None if math is None else _math_in_katex(element, math)
    if PREVIEWS.search(kind):
        following = element.getnext()
        while following is not None and PREVIEWS.search(following.get("class") or ""):
            following = following.getnext()
        if following is not None and following.tag == "script" and "math/" in (following.get("type") or ""):
            return "", False
        math = _first_math(element)
        return _math(math) if math is not None else _attribute(element)
    return _attribute(element) if "data-" in " ".join(element.keys()) else None


def _math_in_katex(element: Any, math: Any) -> Found:
    around = element.getparent()
    return latex_of(math), around is not None and "katex-display" in (around.get("class") or "")


_FORMULAS: dict[str, Callable[[Any], Found]] = {
    "math": _math,
    "mjx-container": _container,
    "script": _script,
    "img": _image,
    "d-math": _custom,
    "amp-mathml": _attribute,
}
