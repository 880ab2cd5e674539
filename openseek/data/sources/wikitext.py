"""Wikitext to plain text: mwparserfromhell for links, tags and headings; templates, tables and notes by scanning.

Files and categories go, formulas stay as $...$, code stays as it stands. The scan comes first: it halves the work, and
a template that spans headings is gone before the text is parsed section by section.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

import mwparserfromhell
from mwparserfromhell import nodes

from openseek.data.sources.wiki_templates import template_text

# MediaWiki itself refuses to save more.
MAX_CHARACTERS = 2 << 20
# The parser's time grows with the square of what a section opens and does not close; articles have a handful.
MAX_UNCLOSED = 300
MAX_SECTIONS = 5_000
VERBATIM = ("nowiki", "pre", "math", "chem", "ce", "syntaxhighlight", "source")
DROPPED = (
    *(
        "ref",
        "references",
        "gallery",
        "timeline",
        "score",
        "imagemap",
        "templatestyles",
        "mapframe",
        "maplink",
        "graph",
    ),
    *("hiero", "indicator", "categorytree", "inputbox", "section", "style", "script", "includeonly", "table"),
)
BLOCKS = frozenset(("p", "div", "blockquote", "center", "poem", "ul", "ol", "dl", "h1", "h2", "h3", "h4", "h5", "h6"))
# Namespaces of files and categories by number, and names that dumps do not list.
HIDDEN = (6, 14)
HIDDEN_NAMES = (
    "file",
    "image",
    "category",
    "文件",
    "檔案",
    "档案",
    "图像",
    "圖像",
    "分类",
    "分類",
    "bild",
    "画像",
    "ファイル",
)
OPENING = re.compile(rf"<!--|<({'|'.join(VERBATIM + DROPPED)})(?=[\s/>])([^<>]*?)(/?)>", re.IGNORECASE)
BRACES = re.compile(r"\{\{|\}\}|^[ \t:]*\{\||^[ \t]*\|\}(?!\})", re.MULTILINE)
ARGUMENT = re.compile(r"\{\{\{[^{}]*\}\}\}")
VARIANT = re.compile(r"-\{([^{}]*)\}-")
SECTION = re.compile(r"^(?==.+=[ \t]*$)", re.MULTILINE)
QUOTES = re.compile(r"'{5}|'{3}|'{2}")
LIST = re.compile(r"^[*#:;]*([*#:;])[ \t]*", re.MULTILINE)
MAGIC = re.compile(r"__[A-Z]{3,20}__")
# Some tags are not closed by custom.
OPENER = re.compile(r"\[\[?|\]\]?|<(?!(?:br|hr|wbr|li|p|dt|dd)\b)[a-zA-Z]|</|/>")
INTERLANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z-]+)?|simple")
POWER = re.compile(r"[-+−]?\w{1,8}")
EMPTY_BRACKETS = re.compile(r" ?[(（][\s,;:，；、：]*[)）]")
OPEN_BRACKETS = re.compile(r"([(（])[\s,;，；、]+")
CLOSE_BRACKETS = re.compile(r"[\s,;，；、]{1,8}([)）])")
SPACES = re.compile(r"[ \t\xa0]+")
# Control characters cannot stand in XML, so none of these is in a page.
KEPT = re.compile("\x01([0-9]+)\x02")
HEADING = re.compile("\x03([1-6])\x04(.*)")


class TooComplex(ValueError):
    """Markup that would take too long to parse."""


class Wikitext:
    """The markup of one wiki."""

    def __init__(self, namespaces: Mapping[str, int], lang: str) -> None:
        self._namespaces = frozenset(namespaces)
        self._hidden = frozenset(HIDDEN_NAMES).union(n for n, key in namespaces.items() if key in HIDDEN)
        self._variants = lang.split("-")[0] in ("zh", "sr", "kk", "iu", "gan", "wuu")

    def plain(self, text: str) -> str:
        """The text of a page. TooComplex for what would take too long."""
        if len(text) > MAX_CHARACTERS:
            raise TooComplex(f"the wikitext has {len(text)} characters, more than {MAX_CHARACTERS}")
        kept: list[str] = []
        text = _scan_tags(text.replace("\r\n", "\n"), kept)
        if self._variants:
            text = VARIANT.sub(_variant, text)
        text = _scan_braces(ARGUMENT.sub("", text))
        text = LIST.sub(lambda match: "- " if match.group(1) in "*#" else "", QUOTES.sub("", text))
        sections = SECTION.split(text)
        if len(sections) > MAX_SECTIONS:
            raise TooComplex(f"the wikitext has {len(sections)} sections, more than {MAX_SECTIONS}")
        return _tidy("".join(map(self._section, sections)), kept)

    def _section(self, text: str) -> str:
        if not text.strip():
            return text
        if text.count("[") + text.count("<") > MAX_UNCLOSED:
            _check_unclosed(text)
        return self._render(mwparserfromhell.parse(text, skip_style_tags=True))

    def _render(self, code: Any) -> str:
        """The text of parsed wikitext; None has none."""
        return "".join(map(self._node, code.nodes)) if code is not None else ""

    def _node(self, node: Any) -> str:
        if isinstance(node, nodes.Text):
            return str(node.value)
        if isinstance(node, nodes.Wikilink):
            return self._link(node)
        if isinstance(node, nodes.Tag):
            return self._tag(node)
        if isinstance(node, nodes.Heading):
            return f"\n\x03{node.level}\x04{self._render(node.title).strip()}\n"
        if isinstance(node, nodes.HTMLEntity):
            return node.normalize() or ""
        if isinstance(node, nodes.ExternalLink):
            return self._render(node.title) if node.brackets else str(node.url)
        return ""

    def _link(self, node: Any) -> str:
        title = str(node.title).strip()
        prefix, colon, rest = title.partition(":")
        prefix = prefix.strip().lower()
        if colon and prefix in self._hidden:
            return ""
        if node.text is not None:
            return self._render(node.text)
        if colon and rest and prefix not in self._namespaces and INTERLANGUAGE.fullmatch(prefix):
            return ""
        return title.removeprefix(":")

    def _tag(self, node: Any) -> str:
        name = str(node.tag).strip().lower()
        if name in ("br", "hr"):
            return "\n"
        if name == "li":
            return f"\n- {self._render(node.contents).strip()}\n"
        text = self._render(node.contents)
        if name == "sup" and POWER.fullmatch(text):
            return f"^{text}"
        return f"\n{text}\n" if name in BLOCKS else text


def _scan_tags(text: str, kept: list[str]) -> str:
    """Without comments and DROPPED tags; VERBATIM ones are put in `kept` and leave a mark with their number."""
    lower = text.lower() if text.isascii() else re.sub("[A-Z]", lambda m: m.group().lower(), text)
    closed: dict[str, re.Pattern[str]] = {}
    parts, cursor, missing = [], 0, set()
    for match in OPENING.finditer(text):
        if match.start() < cursor:
            continue
        parts.append(text[cursor : match.start()])
        cursor = match.end()
        if match.group(1) is None:
            end = text.find("-->", cursor)
            cursor = end + 3 if end >= 0 else len(text)
            continue
        name = match.group(1).lower()
        if match.group(3):
            continue
        pattern = closed.setdefault(name, re.compile(rf"</{name}\s*>"))
        # After one search to the end in vain there is nothing more to find.
        end = None if name in missing else pattern.search(lower, cursor)
        if end is None:
            missing.add(name)
            continue
        if name in VERBATIM:
            kept.append(_verbatim(name, match.group(2).lower(), text[cursor : end.start()]))
            parts.append(f"\x01{len(kept) - 1}\x02")
        cursor = end.end()
    parts.append(text[cursor:])
    return "".join(parts)


def _verbatim(name: str, attributes: str, content: str) -> str:
    """What stands in the text for a tag whose content is no wikitext."""
    content = html.unescape(content)
    if name in ("chem", "ce"):
        return f"$\\ce{{{content.strip()}}}$"
    if name == "math":
        mark = "$$" if re.search(r"display\s*=\s*[\"']?block", attributes) else "$"
        return f"{mark}{content.strip()}{mark}"
    if name == "nowiki" or (name in ("syntaxhighlight", "source") and "inline" in attributes):
        return content
    code = content.strip("\n").rstrip()
    return f"\n\n{code}\n\n"


def _scan_braces(text: str) -> str:
    """Without tables and templates, but for those templates that stand for text."""
    parts: list[str] = []
    stack: list[tuple[str, int]] = []
    open_count = {"{{": 0, "{|": 0}
    cursor = 0
    for match in BRACES.finditer(text):
        parts.append(text[cursor : match.start()])
        cursor = match.end()
        token = match.group().strip(" \t:")
        if token in open_count:
            stack.append((token, len(parts)))
            open_count[token] += 1
            continue
        opener = "{{" if token == "}}" else "{|"
        if not open_count[opener]:
            continue
        # What is opened within and not closed ends here too.
        while True:
            kind, start = stack.pop()
            open_count[kind] -= 1
            if kind == opener:
                break
        body = "".join(parts[start:])
        del parts[start:]
        parts.append(template_text(body) if opener == "{{" else "")
    parts.append(text[cursor:])
    return "".join(parts)


def _variant(match: re.Match[str]) -> str:
    """Of a choice between written forms the simplified one; rules for the rest of a page show nothing."""
    flags, bar, rest = match.group(1).rpartition("|")
    if bar and set(flags.upper()) & set("HT-"):
        return ""
    forms = dict(part.split(":", 1) for part in rest.split(";") if ":" in part)
    forms = {name.strip(): form.strip() for name, form in forms.items()}
    for name in ("zh-hans", "zh-cn", "zh"):
        if name in forms:
            return forms[name]
    return next(iter(forms.values()), rest) if any("-" in name for name in forms) else rest


def _check_unclosed(text: str) -> None:
    """TooComplex for a section that the parser would go over again and again, looking for ends."""
    depth: dict[str, int] = dict.fromkeys(("[[", "[", "<"), 0)
    ends = {"]]": "[[", "]": "[", "</": "<", "/>": "<"}
    for match in OPENER.finditer(text):
        token = match.group()
        if token in ends:
            depth[ends[token]] = max(0, depth[ends[token]] - 1)
            continue
        kind = token[:1] if token.startswith("<") else token
        depth[kind] += 1
        if depth[kind] > MAX_UNCLOSED:
            raise TooComplex(f"more than {MAX_UNCLOSED} {kind} are opened and not closed")


def _tidy(text: str, kept: list[str]) -> str:
    """Spaces and blank lines in order, headings without text and brackets without content off, kept parts back."""
    text = SPACES.sub(" ", MAGIC.sub("", text))
    text = CLOSE_BRACKETS.sub(r"\1", OPEN_BRACKETS.sub(r"\1", EMPTY_BRACKETS.sub("", text)))
    lines = [line.strip() for line in text.split("\n")]
    out: list[str] = []
    filled, below = False, 0
    for line in reversed(lines):
        heading = HEADING.fullmatch(line)
        if heading is None:
            # Rows of tables that were never opened.
            line = "" if line.startswith("|") or line in ("-", "*", "#") else line
            filled = filled or bool(line)
            out.append(line)
        elif filled or below > int(heading.group(1)):
            out += ["", heading.group(2), ""]
            filled, below = False, int(heading.group(1))
    text = "\n".join(reversed(out))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    text = KEPT.sub(lambda match: kept[int(match.group(1))], text)
    return re.sub(r"\n{3,}(?=\S)", "\n\n", text).strip("\n")
