"""Own material (texts, books, papers, code): one small file at a time, whole or chapter by chapter, to items."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from openseek.data.sources.charset import decode
from openseek.data.sources.record import Bad, Item, Limits, Row, Skipped
from openseek.data.sources.rows import LICENCES
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

HEAD_BYTES = 4096
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclasses.dataclass(frozen=True)
class Chapter:
    """One part of a file that becomes a document."""

    text: str
    meta: dict[str, Any] = dataclasses.field(default_factory=dict)


class Unreadable(ValueError):
    """Why a file, or one chapter of it, goes to quarantine; `head` holds its first bytes."""

    def __init__(self, reason: str, head: bytes = b"") -> None:
        super().__init__(reason)
        self.reason, self.head = reason, head


def documents_only(path: RawFile, source: "Source", format: str) -> None:
    """ValueError for a source of chats or problems: these formats have no columns."""
    if source.kind != "document":
        raise ValueError(
            f"{path}: {format} files give documents, but Source.kind of {source.name!r} is {source.kind!r}: "
            f"set kind to document, or give jsonl, parquet, csv or Arrow files"
        )


def whole(path: RawFile, limits: Limits) -> bytes:
    """The bytes of a file; Unreadable when it is larger than a record may be."""
    with path.open() as file:
        if path.size > limits.record_bytes:
            reason = f"the file has {path.size} bytes, beyond max_record_bytes {limits.record_bytes}"
            raise Unreadable(reason, file.read(HEAD_BYTES))
        return file.read(limits.record_bytes)


def plain_text(data: bytes) -> str:
    """Bytes of unknown charset as text with plain line ends; Unreadable for what is no text."""
    wide = data.startswith(WIDE_MARKS) or data.count(0) * 4 >= len(data)
    decoded = decode(data, None) if wide or b"\0" not in data else None
    if b"\0" in data and (decoded is None or "\0" in decoded.text):
        raise Unreadable("no text: it holds NUL bytes", data[:HEAD_BYTES])
    if decoded is None:
        raise Unreadable("no text: no character set fits its bytes", data[:HEAD_BYTES])
    return decoded.text.replace("\r\n", "\n").replace("\r", "\n")


def to_items(chapters: Iterable[Chapter | Unreadable], source: "Source", limits: Limits) -> Iterator[Item]:
    """An item a chapter. Position: the number of the chapter in its file, from 0.

    The source's url, date and licence columns are looked up in a chapter's meta.
    """
    chapters = iter(chapters)
    position = 0
    while True:
        try:
            chapter = next(chapters, None)
        except Unreadable as error:
            yield Bad(position, error.reason, error.head)
            return
        if chapter is None:
            return
        if isinstance(chapter, Unreadable):
            yield Bad(position, chapter.reason, chapter.head)
        else:
            yield _item(position, chapter, source, limits)
        position += 1


def _item(position: int, chapter: Chapter, source: "Source", limits: Limits) -> Item:
    if not chapter.text.strip():
        return Skipped(position, "no_text", len(chapter.text), 1, str(chapter.meta.get("chapter", "")))
    if len(chapter.text) * 4 > limits.record_bytes:
        data = chapter.text.encode("utf-8", "replace")
        if len(data) > limits.record_bytes:
            reason = f"the chapter has {len(data)} bytes, beyond max_record_bytes {limits.record_bytes}"
            return Bad(position, reason, data[:HEAD_BYTES])
    meta = {name: value for name, value in chapter.meta.items() if value not in (None, "", [], {})}
    licence = str(meta.pop(source.licence_column)) if meta.get(source.licence_column) in LICENCES else ""
    url, date = (str(meta.pop(name, "")) for name in (source.url_column, source.date_column))
    return Row(position, chapter.text, url=url, date=date, lang=source.lang, licence=licence, meta=meta)
