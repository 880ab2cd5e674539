"""Formulas and code back into the extracted text: at their words, or where the page had them when one was dropped."""

import bisect
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from openseek.data.sources.html_blocks import Block, Blocks
from openseek.data.sources.html_symbols import words

NO_TEXT = words("script style head noscript template title svg iframe object textarea select option")
JUNK_TAGS = words("nav footer aside form noscript template head select button dialog menu")
JUNK = re.compile(
    r"(?:^|[\s_-])(?:comments?|sidebar|footer|nav|navbar|navigation|menu|related|cookies?|promo|ads?|advert|widget)(?:$|[\s_-])",
    re.IGNORECASE,
)
PARAGRAPHS = words("p li dd dt td th blockquote div section article main body h1 h2 h3 h4 h5 h6 figcaption")
KEY_CHARACTERS = 60
LEAST_CHARACTERS = 8
PARAGRAPH_CHARACTERS = 4000
CONTAINER_SHARE = 0.9
LEAST_SHARE = 0.2
"""Share of a page's text below which the extractor may have missed the main content: all of the page is looked at."""


class Chunk(NamedTuple):
    """A text node of the page: its words, the element that it stands in, and its place in the extracted text."""

    text: str
    element: Any
    start: int
    end: int


def put_back(text: str, tree: Any, blocks: Blocks) -> str:
    """The extracted text with every formula and code block of the main content."""
    kept = {int(match.group(1)) for match in blocks.pattern.finditer(text)}
    if len(kept) < len(blocks.found):
        text = _with_dropped(text, tree, blocks, kept)
    pieces: list[str] = []
    end = 0
    for match in blocks.pattern.finditer(text):
        pieces.append(text[end : match.start()])
        _append(pieces, blocks.of(match))
        end = match.end()
        if blocks.of(match).lines and not text.startswith("\n", end) and end < len(text):
            pieces.append("\n")
            end += len(text[end:]) - len(text[end:].lstrip(" |"))
    return "".join(pieces) + text[end:]


def _append(pieces: list[str], block: Block) -> None:
    """A block after what there is; code begins a line."""
    if block.lines and pieces and pieces[-1] and not pieces[-1].endswith("\n"):
        pieces[-1] = pieces[-1].rstrip(" |")
        if pieces[-1] and not pieces[-1].endswith("\n"):
            pieces.append("\n")
    pieces.append(block.text)


def _with_dropped(text: str, tree: Any, blocks: Blocks, kept: set[int]) -> str:
    """The text with the words that the extractor dropped although its neighbours or its container were kept."""
    chunks = list(_chunks(text, tree))
    anchors = _in_order(chunks)
    if not anchors:
        # Nothing to hold on to: a page that is all code or formulas.
        dropped = [
            m.group()
            for chunk in chunks
            if not _is_foreign(chunk.element, {})
            for m in blocks.pattern.finditer(chunk.text)
        ]
        lost = [word for word in dict.fromkeys(dropped) if word not in text]
        return "\n".join([text, *lost] if text else lost)
    held = _held(chunks[i] for i in anchors)
    missed = sum(len(c.text) for c in chunks) * LEAST_SHARE > max(held.values())
    container = tree if missed else _container(held, tree)
    inserted: dict[int, list[str]] = {}
    for i, chunk in enumerate(chunks):
        dropped = [m.group() for m in blocks.pattern.finditer(chunk.text) if int(m.group(1)) not in kept]
        if not dropped or not _belongs(i, chunk, anchors, held, container):
            continue
        paragraph = _paragraph(chunk, blocks)
        numbers = {int(m.group(1)) for m in blocks.pattern.finditer(paragraph)}
        if numbers & kept or blocks.pattern.sub("", paragraph).strip() in text:
            paragraph, numbers = (
                " ".join(dropped),
                {int(m.group(1)) for w in dropped for m in blocks.pattern.finditer(w)},
            )
        kept |= numbers
        at = bisect.bisect_left(anchors, i)
        inserted.setdefault(_line_end(text, chunks, anchors, at), []).append(paragraph)
    pieces, end = [], 0
    for offset in sorted(inserted):
        lines = "\n".join(inserted[offset])
        pieces.append(text[end:offset] + (f"\n{lines}" if offset else f"{lines}\n"))
        end = offset
    return "".join(pieces) + text[end:]


def _line_end(text: str, chunks: list[Chunk], anchors: list[int], at: int) -> int:
    """Where a dropped block goes: after the line of the anchor before it, or before all."""
    if at == 0:
        return 0
    found = text.find("\n", chunks[anchors[at - 1]].end)
    return len(text) if found < 0 else found


def _chunks(text: str, tree: Any) -> Any:
    """Text nodes in order, each with its place in the extracted text where that is certain (-1: it is not there)."""
    for string, element in _strings(tree):
        line = " ".join(string.split())
        if not line:
            continue
        start = end = -1
        if sum(not c.isspace() for c in line) >= (LEAST_CHARACTERS if line.isascii() else LEAST_CHARACTERS // 2):
            start, first = _once(text, line[:KEY_CHARACTERS])
            end = start + first
            if start >= 0 and len(line) > KEY_CHARACTERS:
                last, length = _once(text, line[-KEY_CHARACTERS:])
                end = last + length if last >= start else end
        yield Chunk(line, element, start, end)


def _once(text: str, key: str) -> tuple[int, int]:
    """(place, length) of a string that occurs exactly once, else (-1, 0)."""
    start = text.find(key)
    if start < 0 or text.find(key, start + 1) >= 0:
        return -1, 0
    return start, len(key)


def _strings(tree: Any) -> Any:
    """Every text node and the element that it stands in, in document order."""
    stack: list[Any] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            yield item
            continue
        if not isinstance(item.tag, str) or item.tag in NO_TEXT:
            continue
        for child in reversed(item):
            if child.tail:
                stack.append((child.tail, item))
            stack.append(child)
        if item.text:
            stack.append((item.text, item))


def _in_order(chunks: list[Chunk]) -> list[int]:
    """The anchors: the longest run of found chunks whose places rise, so a chance hit in a menu does not mislead."""
    tails: list[int] = []
    ends: list[int] = []
    before: dict[int, int] = {}
    for i, chunk in enumerate(chunks):
        if chunk.start < 0:
            continue
        at = bisect.bisect_left(ends, chunk.start)
        if at:
            before[i] = tails[at - 1]
        tails[at : at + 1], ends[at : at + 1] = [i], [chunk.start]
    run: list[int] = []
    last = tails[-1] if tails else None
    while last is not None:
        run.append(last)
        last = before.get(last)
    return run[::-1]


def _belongs(index: int, chunk: Chunk, anchors: list[int], held: dict[Any, int], container: Any) -> bool:
    """Whether a dropped block lies between kept neighbours, or in the main container, and in nothing foreign."""
    if _is_foreign(chunk.element, held):
        return False
    if anchors[0] < index < anchors[-1]:
        return True
    element = chunk.element
    while element is not None and element is not container:
        if element not in held and JUNK.search(f"{element.get('class') or ''} {element.get('id') or ''}"):
            return False
        element = element.getparent()
    return element is not None


def _is_foreign(element: Any, held: dict[Any, int]) -> bool:
    """Whether a menu, a form or the like surrounds the element and none of the kept text."""
    while element is not None and element not in held:
        if element.tag in JUNK_TAGS or element.get("role") == "navigation":
            return True
        element = element.getparent()
    return False


def _held(anchors: Iterable[Chunk]) -> dict[Any, int]:
    """Characters of kept text in each element that has any."""
    held: dict[Any, int] = {}
    for chunk in anchors:
        element = chunk.element
        while element is not None:
            held[element] = held.get(element, 0) + len(chunk.text)
            element = element.getparent()
    return held


def _container(held: dict[Any, int], tree: Any) -> Any:
    """The smallest element with nearly all of the kept text; of several like it (sections), what holds them all."""
    least = CONTAINER_SHARE * max(held.values())
    element = tree
    while (child := next((c for c in element if held.get(c, 0) >= least), None)) is not None:
        element = child
    for around in (element, *element.iterancestors()):
        if around.tag in ("article", "main"):
            return around
    parent = element.getparent()
    if parent is not None and sum(c.tag == element.tag and c.get("class") == element.get("class") for c in parent) > 1:
        return parent
    return element


def _paragraph(chunk: Chunk, blocks: Blocks) -> str:
    """The words of the paragraph around a dropped formula; of a block on its own lines only itself."""
    match = blocks.pattern.search(chunk.text)
    assert match is not None
    if blocks.of(match).lines:
        return " ".join(m.group() for m in blocks.pattern.finditer(chunk.text))
    element = chunk.element
    while element.tag not in PARAGRAPHS and element.getparent() is not None:
        element = element.getparent()
    text = " ".join("".join(string for string, _ in _strings(element)).split())
    return text if len(text) <= PARAGRAPH_CHARACTERS else chunk.text
