"""PDF files with a text layer: one document a file, or one a chapter of the outline."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

from openseek.data.sources.chapters import Chapter, Unreadable, documents_only, to_items
from openseek.data.sources.record import Item, Limits, Skipped
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

HEAD_BYTES = 4096
# Scanned books reach hundreds of MB; what has no text is not worth loading.
MAX_BYTES = 1 << 30
MAX_PAGES = 10_000
# Lines at the top and the bottom of a page among which running headers and footers are looked for.
EDGE_LINES = 2
MIN_PAGES = 4
# Pages of fewer lines do not tell what runs: all their lines are edges.
MIN_LINES = 6
# A page with fewer characters has no text layer: scanners leave stamps and numbers.
PAGE_CHARACTERS = 16
NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
# PDFium writes U+0002 or U+FFFE for a hyphen that it takes for the printer's.
BROKEN_WORD = re.compile("([^\\W\\d_]{1,40})([-\xad\u2010\x02\ufffe])\n?([^\\W\\d_]{1,40})")
PRINTED_HYPHEN = re.compile("[\x02\ufffe]")
WORD = re.compile(r"[^\W\d_]{1,40}(?:-[^\W\d_]{1,40})?")
TERMS = {"Title": "title", "Author": "author", "Subject": "subject", "CreationDate": "created"}
# PDFium is not safe for threads, and Dask's workers have several.
_LOCK = Lock()


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a file, or with split=chapter an item a chapter of the outline's top level. Position: its number.

    A file without a text layer is dropped (rule no_text_layer); one that is encrypted or damaged goes to quarantine.
    """
    documents_only(path, source, "pdf")
    chapters = list(_chapters(path, source.split == "chapter"))
    if len(chapters) == 1 and isinstance(chapters[0], Skipped):
        yield chapters[0]
        return
    yield from to_items((c for c in chapters if not isinstance(c, Skipped)), source, limits)


def _chapters(path: RawFile, split: bool) -> Iterator[Chapter | Unreadable | Skipped]:
    try:
        meta, pages, cuts = _load(path, split)
    except Unreadable as error:
        yield error
        return
    with_text = sum(len("".join(page).split()) > 0 and len("".join(page)) >= PAGE_CHARACTERS for page in pages)
    if not with_text:
        yield Skipped(0, "no_text_layer", 0, 1, f"{len(pages)} pages")
        return
    meta = {"path": path.relative, **meta, "pages": len(pages), "pages_without_text": len(pages) - with_text}
    pages = _without_running_lines(pages)
    # Pages before the first chapter: cover, contents, preface.
    cuts = [(0, ""), *cuts] if not cuts or cuts[0][0] > 0 else cuts
    for (start, title), end in zip(cuts, [*(start for start, _ in cuts[1:]), len(pages)], strict=True):
        yield Chapter(_joined(pages[start:end]), {**meta, "chapter": title, "first_page": start + 1})


def _load(path: RawFile, split: bool) -> tuple[dict[str, Any], list[list[str]], list[tuple[int, str]]]:
    """What the file says of itself, the lines of its pages, and (page, title) of its chapters."""
    import pypdfium2 as pdfium

    with path.open() as file:
        head = file.read(HEAD_BYTES)
        if b"%PDF-" not in head:
            raise Unreadable(f"no PDF: it begins with {head[:16]!r}", head)
        if path.size > MAX_BYTES:
            raise Unreadable(f"the file has {path.size} bytes, more than {MAX_BYTES}", head)
        with _LOCK:
            try:
                document: Any = pdfium.PdfDocument(file)
            except pdfium.PdfiumError as error:
                raise Unreadable(f"the PDF is encrypted or damaged ({error})", head) from error
            try:
                if len(document) > MAX_PAGES:
                    raise Unreadable(f"the PDF has {len(document)} pages, more than {MAX_PAGES}", head)
                told = document.get_metadata_dict()
                meta = {name: told[term].strip() for term, name in TERMS.items() if told.get(term, "").strip()}
                return meta, [_lines(document, i) for i in range(len(document))], _outline(document) if split else []
            except pdfium.PdfiumError as error:
                raise Unreadable(f"the PDF is damaged ({error})", head) from error
            finally:
                document.close()


def _lines(document: Any, index: int) -> list[str]:
    page = document[index]
    layer = page.get_textpage()
    try:
        text = layer.get_text_bounded()
    finally:
        layer.close()
        page.close()
    return [" ".join(line.split(" ")).rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]


def _outline(document: Any) -> list[tuple[int, str]]:
    """The first page and the title of each entry of the outline's top level, those of one page as one."""
    found: dict[int, list[str]] = {}
    for entry in islice(document.get_toc(max_depth=1), MAX_PAGES):
        target = entry.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None and 0 <= page < len(document):
            found.setdefault(page, []).append(" ".join((entry.get_title() or "").split()))
    return [(page, " / ".join(filter(None, titles))) for page, titles in sorted(found.items())]


def _without_running_lines(pages: Sequence[list[str]]) -> list[list[str]]:
    """Pages without those lines at their edges that most pages (or most left, most right ones) have there too.

    Numbers count as equal, so page numbers go as well.
    """
    pages = [_trimmed(page) for page in pages]
    if len(pages) < MIN_PAGES:
        return pages
    out = list(pages)
    for side in (slice(0, None, 2), slice(1, None, 2)):
        group = [page for page in pages[side] if len(page) >= MIN_LINES]
        for edge in (range(EDGE_LINES), range(-1, -EDGE_LINES - 1, -1)):
            seen = Counter(key for page in group for key in {_key(page, i) for i in edge} if key)
            running = {key for key, count in seen.items() if 2 * count > len(group) and count > 1}
            for number in range(side.start, len(out), 2):
                out[number] = _cut(out[number], edge, running)
    return [_trimmed(page) for page in out]


def _cut(page: list[str], edge: range, running: set[str]) -> list[str]:
    drop = {i % len(page) for i in edge if _key(page, i) in running} if page else set()
    return [line for i, line in enumerate(page) if i not in drop]


def _key(page: list[str], index: int) -> str:
    """A line as running lines are compared; "" for one that the page does not have."""
    inside = -len(page) <= index < len(page)
    return " ".join(NUMBER.sub("#", page[index].lower()).split()) if inside else ""


def _trimmed(page: list[str]) -> list[str]:
    """Without blank lines at the top and the bottom."""
    filled = [i for i, line in enumerate(page) if line.strip()]
    return page[filled[0] : filled[-1] + 1] if filled else []


def _joined(pages: Sequence[list[str]]) -> str:
    """Pages as one text; words that were broken at the end of a line or a page whole again."""
    text = "\n".join("\n".join(page) for page in pages if page)
    words = set(WORD.findall(text.lower()))
    text = BROKEN_WORD.sub(lambda match: _rejoined(match, words), text)
    return PRINTED_HYPHEN.sub("-", re.sub(r"\n{3,}", "\n\n", text)).strip()


def _rejoined(match: re.Match[str], words: set[str]) -> str:
    """A word across two lines: without the hyphen, unless the text has it with one elsewhere, or a name follows."""
    left, hyphen, right = match.groups()
    if "\n" not in match.group() and hyphen in "-\u2010":
        return match.group()
    keep = right[0].isupper() or (f"{left}-{right}".lower() in words and f"{left}{right}".lower() not in words)
    return f"{left}-{right}" if keep else left + right
