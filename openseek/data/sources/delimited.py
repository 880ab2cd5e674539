"""Tables as text (csv, tsv; plain or compressed), quoted as RFC 4180 says: read as a stream, a record at a time."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from openseek.data.sources.charset import decode
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits
from openseek.data.sources.rows import needed_columns, to_item
from openseek.data.sources.streams import pieces
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

HEAD_BYTES = 4096
BOM = b"\xef\xbb\xbf"
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
TABS = re.compile(r"\.(tsv|tab)(\.[a-z0-9]+)?$", re.IGNORECASE)
# Lines after an open quote that are looked at, to tell a stray quote from a long field.
PROBED_LINES = 100
SAMPLE_BYTES = 1 << 16
# The csv module's own limit would end a file; records are bounded by `max_record_bytes` instead.
csv.field_size_limit(1 << 31)


class Line(NamedTuple):
    """One line with its end; of a line beyond the limit `data` holds only the first bytes."""

    number: int
    position: int
    data: bytes
    size: int
    quotes: int
    broken: str = ""
    """What the file's damage in this line is; the lines after it are sound."""


class Record(NamedTuple):
    """The fields of the record that begins in `first`, or the reason why there are none; `ended`: by a line end."""

    first: Line
    fields: list[str]
    reason: str
    ended: bool


class _Refused(Exception):
    """Why the lines that are being read are no record."""


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The records below the header. Position: offset of the record in the decompressed bytes.

    A record that is not sound goes to quarantine; reading goes on at the line after the one that it began in.
    """
    delimiter = source.delimiter or ("\t" if TABS.search(path.name) else ",")
    columns = list(source.columns)
    if columns:
        _check(path, columns, source)
    stream = pieces(path, limits)
    head = next(stream, b"")
    charset = "utf-8" if isinstance(head, BrokenStream) else _charset(path, head)
    records = _Records(_lines(chain((head,), stream), limits.record_bytes), delimiter, limits.record_bytes, charset)
    records.width = len(columns)
    for first, fields, reason, ended in records.read():
        if not columns:
            if reason:
                raise ValueError(f"{path}: its header cannot be read ({reason}): set Source.columns of {source.name!r}")
            columns = fields
            _check(path, columns, source)
            records.width = len(columns)
        elif reason:
            yield Bad(first.position, reason, first.data[:HEAD_BYTES])
        elif len(fields) != len(columns):
            reason = f"line {first.number} has {len(fields)} fields, {len(columns)} columns are known"
            if not ended:
                raise BrokenStream(first.position, f"the last record is cut off: {reason}", first.data[:HEAD_BYTES])
            yield Bad(first.position, reason, first.data[:HEAD_BYTES])
        else:
            row = dict(zip(columns, fields, strict=True))
            yield to_item(first.position, row, source, first.data[:HEAD_BYTES])


def _check(path: RawFile, columns: list[str], source: "Source") -> None:
    """ValueError unless the columns are those that the source needs, each once."""
    needed = needed_columns(source)
    if not any(set(columns).issuperset(names) for names in needed):
        wanted = " or ".join(" + ".join(map(repr, names)) for names in needed)
        raise ValueError(
            f"{path} has no column {wanted}; it has {', '.join(map(repr, columns))}: set the *_column fields of the "
            f"source {source.name!r}, its `delimiter`, or its `columns` for a file without a header"
        )
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise ValueError(
            f"{path} has the column {twice[0]!r} twice: give the file's columns new names (Source.columns)"
        )


def _charset(path: RawFile, head: bytes) -> str:
    """The character set of a table by the whole lines of its first block."""
    sample = head[:SAMPLE_BYTES]
    if sample.count(0) * 4 < len(sample) and not sample.startswith(WIDE_MARKS):
        # A few zero bytes are a field's own, not the other half of wide characters.
        sample = sample.replace(b"\0", b"")
    found = decode(sample[: sample.rfind(b"\n") + 1] or sample, None)
    if found is not None and found.charset.startswith("utf-16"):
        raise ValueError(f"{path} is UTF-16: convert it (iconv -f UTF-16 -t UTF-8)")
    return found.charset if found is not None else "utf-8"


def _lines(source: Iterator[bytes | BrokenStream], limit: int) -> Iterator[Line]:
    """The lines of a stream of bytes; a line beyond the limit is counted, not kept."""
    number, start, parts, size, quotes, damaged = 1, 0, [], 0, 0, False
    for block in source:
        if isinstance(block, BrokenStream):
            if block.resume is None:
                raise BrokenStream(start, block.reason, b"".join(parts)[:HEAD_BYTES])
            yield Line(number, start, b"".join(parts), size, quotes, block.reason)
            # What follows begins in the middle of a line.
            number, start, parts, size, quotes, damaged = number + 1, start + size, [], 0, 0, True
            continue
        cursor = 0
        if start == size == 0 and block.startswith(BOM):
            start = cursor = len(BOM)
        while (end := block.find(b"\n", cursor) + 1) > 0:
            if size <= limit:
                parts.append(block[cursor:end])
            size, quotes = size + end - cursor, quotes + block.count(b'"', cursor, end)
            if not damaged:
                yield Line(number, start, b"".join(parts), size, quotes)
            number, start, parts, size, quotes, cursor = number + 1, start + size, [], 0, 0, end
            damaged = False
        if size <= limit:
            parts.append(block[cursor:])
        size, quotes = size + len(block) - cursor, quotes + block.count(b'"', cursor)
    if size and not damaged:
        yield Line(number, start, b"".join(parts), size, quotes)


class _Records:
    """Records of lines. The csv module asks for lines as it needs them; this remembers which ones it got."""

    def __init__(self, lines: Iterator[Line], delimiter: str, limit: int, charset: str) -> None:
        self.width = 0
        self._lines, self._delimiter, self._limit, self._charset = lines, delimiter, limit, charset
        self._held: list[Line] = []
        self._again: list[Line] = []

    def read(self) -> Iterator[Record]:
        """All records; blank lines are none. BrokenStream at the record in which the file breaks."""
        reader = self._reader()
        while True:
            self._held = []
            try:
                fields = next(reader)
            except StopIteration:
                return
            except (csv.Error, _Refused) as error:
                yield Record(self._held[0], [], self._recover(str(error)), True)
                reader = self._reader()
                continue
            except BrokenStream as broken:
                if not self._held:
                    raise
                first = self._held[0]
                raise BrokenStream(first.position, broken.reason, first.data[:HEAD_BYTES]) from broken
            if fields:
                yield Record(self._held[0], fields, "", self._held[-1].data.endswith(b"\n"))

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._texts(), delimiter=self._delimiter, strict=True)

    def _texts(self) -> Iterator[str]:
        while (line := self._next_line()) is not None:
            self._held.append(line)
            first = self._held[0]
            if line.broken:
                raise _Refused(line.broken)
            if line.position + line.size - first.position > self._limit:
                raise _Refused(f"the record that begins in line {first.number} is longer than {self._limit} bytes")
            try:
                yield line.data.decode(self._charset)
            except UnicodeDecodeError as error:
                raise _Refused(f"line {line.number} is no {self._charset} ({error.reason})") from error

    def _next_line(self) -> Line | None:
        return self._again.pop() if self._again else next(self._lines, None)

    def _recover(self, reason: str) -> str:
        """Go to the line after a refused record; the reason to record. BrokenStream when the file ends inside it."""
        first, *rest = self._held
        if self._are_records(rest):
            self._again.extend(reversed(rest))
            return f"line {first.number} opens a quote that it does not close"
        if reason == "unexpected end of data":
            reason = f"the last record is cut off: line {first.number} opens a quote that is not closed"
            raise BrokenStream(first.position, reason, first.data[:HEAD_BYTES])
        if first.position + self._limit < self._held[-1].position + self._held[-1].size:
            self._skip_field(sum(line.quotes for line in self._held), bool(rest))
        return reason

    def _skip_field(self, quotes: int, inside: bool) -> None:
        """Go to the end of a quoted field that is too long to keep; `inside`: some of its lines were seen."""
        while quotes % 2 and (line := self._next_line()) is not None:
            if not inside and self._are_records([line]):
                # The quotes of the line before were no field's.
                self._again.append(line)
                return
            inside, quotes = True, quotes + line.quotes

    def _are_records(self, lines: list[Line]) -> bool:
        """Whether most of these lines are records by themselves, not the inside of one long field."""
        sound = 0
        for line in lines[:PROBED_LINES]:
            try:
                fields = next(csv.reader([line.data.decode(self._charset)], delimiter=self._delimiter, strict=True))
            except (csv.Error, UnicodeDecodeError):
                continue
            sound += len(fields) == self.width
        return self.width > 1 and 2 * sound > min(len(lines), PROBED_LINES)
