"""Code of web pages: <pre> and its kin, the tables of syntax highlighters, as lines with their indentation."""

import re
from typing import Any

PREFORMATTED = frozenset({"pre", "xmp", "listing", "plaintext"})
GUTTER = re.compile(
    r"\b(?:linenos?|line-?numbers?(?:-rows)?|lnt|ln-num|gutter|hljs-ln-numbers|rouge-gutter|blob-num|copy-?(?:btn|button))\b",
    re.IGNORECASE,
)
LANGUAGE = re.compile(
    r"\b(?:language-|lang-|highlight-source-|highlight-|brush:\s*|sourceCode\s+)([A-Za-z][A-Za-z0-9+#.-]*)"
)
NO_LANGUAGE = frozenset({"default", "none", "text", "plaintext", "notranslate", "wrapper", "table", "block", "source"})
MARKED = re.compile(r"\b(?:code|source|highlight|syntax|prettyprint|brush|language-|lang-|listing|hljs|screen)", re.I)
LINE_TAGS = frozenset({"br", "div", "p", "li", "tr"})
CODE_SIGNS = re.compile(r"[{}()\[\];=<>|\\/*#$&@_`~^+]|^\s{2,}\S", re.MULTILINE)


def code_text(element: Any) -> str:
    """The lines of a code element, without line numbers; blank lines at both ends go."""
    parts: list[str] = []
    _collect(element, parts)
    text = "".join(parts).replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\u200b", "")
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def _collect(element: Any, parts: list[str]) -> None:
    """Text of an element, a new line for each line element. An explicit stack: pages nest as deep as they like."""
    stack: list[Any] = [element]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        if not isinstance(item.tag, str) or GUTTER.search(item.get("class") or "") or item.tag in ("button", "style"):
            continue
        if item.tag in LINE_TAGS and item is not element and (item.tag == "br" or _mid_line(parts)):
            parts.append("\n")
        if item.tag in LINE_TAGS - {"br"} and item is not element:
            stack.append("\n")
        for child in reversed(item):
            if child.tail:
                stack.append(child.tail)
            stack.append(child)
        if item.text:
            stack.append(item.text)


def _mid_line(parts: list[str]) -> bool:
    return bool(parts) and not parts[-1].endswith("\n")


def is_block(element: Any) -> bool:
    """Whether an element is a block of code: preformatted, a highlighter's table, or <code> that has lines."""
    tag = element.tag
    if tag in PREFORMATTED:
        return True
    if tag == "code":
        if element.find("br") is not None:
            return True
        parent = element.getparent()
        alone = parent is not None and len(parent) == 1 and not (parent.text or "").strip()
        return alone and not (element.tail or "").strip() and "\n" in "".join(element.itertext()).strip()
    return tag in ("table", "div") and _is_highlighted(element)


def _is_highlighted(element: Any) -> bool:
    """The table in which highlighters lay out numbers and lines, and the <div> of w3schools."""
    kind = element.get("class") or ""
    if element.tag == "div":
        return "w3-code" in kind
    if not re.search(r"highlight|syntax|rouge|js-file-line|hljs-ln|lntable", kind):
        return False
    return element.find(".//pre") is not None or element.find(".//td[@class]") is not None


def lines_of(element: Any) -> str:
    """The code of a block; of a highlighter's table its cell with code, or one line a row."""
    if element.tag != "table":
        return code_text(element)
    pres = [pre for pre in element.iter("pre") if not _in_gutter(pre, element)]
    return code_text(pres[-1]) if pres else code_text(element)


def _in_gutter(element: Any, top: Any) -> bool:
    while element is not None and element is not top:
        if GUTTER.search(element.get("class") or ""):
            return True
        element = element.getparent()
    return False


def fenced(element: Any, text: str) -> str:
    """The code between fences that it does not contain, named by language where the page names one.

    Preformatted prose (old mails, verse, specifications) keeps its lines and gets no fence.
    """
    label = _labels(element)
    if not MARKED.search(label) and element.find(".//code") is None and not looks_like_code(text):
        return text
    runs = [len(run) for run in re.findall(r"^\s*(`{3,})", text, re.MULTILINE)]
    fence = "`" * max(3, *(n + 1 for n in runs), 0)
    found = LANGUAGE.search(label)
    language = found.group(1) if found and found.group(1).lower() not in NO_LANGUAGE else ""
    return f"{fence}{language}\n{text}\n{fence}"


def looks_like_code(text: str) -> bool:
    """Whether signs and indentation are as frequent as in programs."""
    return len(CODE_SIGNS.findall(text)) > 0.02 * len(text)


def _labels(element: Any) -> str:
    """Classes of the element, of the <code> in it and of the two elements around it."""
    around = [element, element.find(".//code"), element.getparent()]
    if around[2] is not None:
        around.append(around[2].getparent())
    return " ".join(e.get("class") or "" for e in around if e is not None)
