"""The chapters of electronic books: XHTML to text with its paragraphs, headings, lists, tables, formulas and code.

Unlike a web page a chapter has no furniture around it, so nothing is left out but what is never read aloud.
"""

import html
import re
from html.entities import html5
from typing import Any, NamedTuple

DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
ENTITY = re.compile(r"&([A-Za-z_:][\w:.-]*);")
XML_ENTITIES = frozenset(("amp", "lt", "gt", "quot", "apos"))
BLOCKS = frozenset(
    (
        "p",
        "div",
        "section",
        "article",
        "blockquote",
        "figure",
        "figcaption",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "table",
        "hr",
    )
    + ("h1", "h2", "h3", "h4", "h5", "h6", "header", "footer", "aside", "main", "body", "center", "address", "caption")
)
LINES = frozenset(("li", "tr", "br"))
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
SILENT = frozenset(
    ("script", "style", "head", "template", "rt", "rp", "svg", "audio", "video", "object", "iframe", "nav")
)
TEX_TYPES = ("application/x-tex", "application/x-latex", "latex", "tex")
SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
# Marks of white space that stays as it is; control characters cannot stand in XML.
KEPT = re.compile("\x01([0-9]+)\x02")


class Page(NamedTuple):
    """The text of a chapter and its first heading."""

    text: str
    heading: str


def page_text(page: str) -> Page:
    """The text of an XHTML page. ValueError when it is no markup; entities that it declares itself are not expanded."""
    import lxml.etree as etree

    page = ENTITY.sub(_entity, DECLARATION.sub("", DOCTYPE.sub("", page, count=1)))
    # Bounded by max_record_bytes; huge_tree lets unclosed paragraphs nest as deep as they do.
    parser: Any = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, huge_tree=True
    )
    root = etree.fromstring(page.encode("utf-8", "replace"), parser)
    if root is None:
        raise ValueError("the page is no XHTML")
    kept: list[str] = []
    parts: list[str] = []
    _walk(root, parts, kept)
    heading = next((_line("".join(node.itertext())) for node in root.iter() if _name(node) in HEADINGS), "")
    return Page(_tidy("".join(parts), kept), heading)


def _entity(match: re.Match[str]) -> str:
    """Names of HTML's characters as the characters; names that a page declares itself show nothing."""
    name = match.group(1)
    if name in XML_ENTITIES:
        return match.group()
    return html.escape(html5.get(f"{name};", ""), quote=False)


def _name(node: Any) -> str:
    return node.tag.rpartition("}")[2].lower() if isinstance(node.tag, str) else ""


def _walk(root: Any, parts: list[str], kept: list[str]) -> None:
    """The text of a tree in reading order, \\n for a line's end and \\n\\n around blocks; without recursion."""
    import lxml.etree as etree

    skipping: Any = None
    for event, node in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        name = _name(node)
        if event in ("comment", "pi") or not name:
            if skipping is None:
                parts.append(node.tail or "")
            continue
        if event == "start":
            if skipping is not None:
                continue
            taken = _whole(node, name, kept)
            if taken is not None:
                parts.append(taken)
                skipping = node
                continue
            parts.append("\x03\x03" if name in BLOCKS else "\x03" if name in LINES else "")
            parts.append("- " if name == "li" else "")
            parts.append(node.text or "")
            continue
        if skipping is not None and skipping is not node:
            continue
        if skipping is None:
            parts.append("\x03\x03" if name in BLOCKS else "\x03" if name in LINES and name != "br" else "")
            parts.append(" | " if name in ("td", "th") and node.getnext() is not None else "")
        skipping = None
        parts.append(node.tail or "")


def _whole(node: Any, name: str, kept: list[str]) -> str | None:
    """What stands for an element as a whole; None for one whose children are walked."""
    if name in SILENT or _is_note_mark(node):
        return ""
    if name == "pre":
        kept.append("".join(node.itertext()).strip("\r\n").rstrip())
        return f"\x03\x03\x01{len(kept) - 1}\x02\x03\x03"
    if name == "math":
        formula = _formula(node)
        mark = "$$" if node.get("display") == "block" else "$"
        return f"{mark}{formula}{mark}" if formula else ""
    return None


def _is_note_mark(node: Any) -> bool:
    kinds = " ".join(value for key, value in node.attrib.items() if key.rpartition("}")[2] in ("type", "role"))
    return node.tag.endswith("}a") and ("noteref" in kinds or "pagebreak" in kinds)


def _formula(node: Any) -> str:
    """LaTeX of MathML where the book gives it, else its characters."""
    for note in node.iter():
        if _name(note) == "annotation" and (note.get("encoding") or "").lower() in TEX_TYPES:
            return _line("".join(note.itertext()))
    return _line(node.get("alttext") or "".join(node.itertext()))


def _line(text: str) -> str:
    return SPACES.sub(" ", text).strip()


def _tidy(text: str, kept: list[str]) -> str:
    lines = [_line(line) for line in text.split("\x03")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line if line not in ("|", "-") else "" for line in lines)).strip()
    return KEPT.sub(lambda match: kept[int(match.group(1))], text)
