"""The records of a web archive, plain, gzip or zstd, and the way back to the next sound record after damage."""

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from openseek.data.sources.record import Bad, BrokenStream, Limits
from openseek.data.sources.streams import pieces
from openseek.raw_files import RawFile

HEAD = re.compile(rb"(?:^|(?<=\n))WARC/[01]\.\d\r?\n")
HEAD_START = b"WARC/"
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
MAX_HEAD_BYTES = 1 << 16
HEAD_BYTES = 4096
DOCUMENTS = frozenset({"response", "conversion"})


class Record(NamedTuple):
    """A record that may be a document."""

    position: int
    kind: str
    headers: dict[str, str]
    """Names in lower case."""
    size: int
    block: bytes
    """All of it; of one beyond the limit its first bytes."""


class _Damage(Exception):
    """The bytes at hand are no record."""


class Records:
    """Iterates over the records of a file; request, metadata and warcinfo records are passed over.

    Damage raises BrokenStream; with `limits.resync` it is one Bad, and reading goes on at the next gzip member or the
    next record head. ValueError when there is no record at all.
    """

    def __init__(self, path: RawFile, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._pieces = pieces(path, limits, lambda out, into: self._members.append((out, into)))
        self._members: deque[tuple[int, int]] = deque()
        self._data, self._base = bytearray(), 0
        self._broken: BrokenStream | None = None
        self._ended = False
        self._found = False

    def __iter__(self) -> Iterator[Record | Bad]:
        while self._skip_space():
            start = self._base
            position = self._file_position()
            try:
                record = self._record(position)
            except _Damage as damage:
                head = bytes(self._data[:HEAD_BYTES])
                reason, where = str(damage), position
                if self._broken is not None:
                    reason, where = self._broken.reason, self._broken.position if not head else position
                resumed = self._resync(start)
                if not self._found and not resumed and not self._broken:
                    raise ValueError(f"{self._path} is no WARC file ({reason}): set the format of its source") from None
                self._broken = None
                if not self._limits.resync:
                    raise BrokenStream(where, reason, head) from None
                yield Bad(where, reason, head)
                continue
            self._found = True
            if record.kind in DOCUMENTS:
                yield record

    def _more(self) -> bool:
        """Take the next bytes of the file; False at its end and where the stream is broken."""
        if self._ended or self._broken is not None:
            return False
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
            return False
        if isinstance(piece, BrokenStream):
            if type(piece) is not BrokenStream:
                raise piece
            self._broken, self._ended = piece, piece.resume is None
            return False
        self._data += piece
        return True

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self._base += count

    def _skip_space(self) -> bool:
        """Pass over what stands between records; False at the end of the file."""
        while True:
            rest = self._data.lstrip(b"\r\n")
            self._drop(len(self._data) - len(rest))
            if self._data or self._broken is not None:
                return True
            if not self._more() and self._broken is None:
                return False

    def _file_position(self) -> int:
        """Where the record begins: in the file if it has a member of its own, else in the decompressed bytes."""
        while len(self._members) > 1 and self._members[1][0] <= self._base:
            self._members.popleft()
        if self._members and self._members[0][0] == self._base:
            return self._members[0][1]
        return self._base

    def _record(self, position: int) -> Record:
        """The record at the start of the bytes at hand; afterwards they begin behind it."""
        while (end := END_OF_HEAD.search(self._data)) is None:
            if len(self._data) > MAX_HEAD_BYTES or not self._data[:5] == HEAD_START[: len(self._data)]:
                raise _Damage("bytes that are no WARC record")
            if not self._more():
                raise _Damage("the file is cut off in a record's head")
        if HEAD.match(self._data) is None:
            raise _Damage("bytes that are no WARC record")
        headers = _headers(bytes(self._data[: end.start()]))
        length = headers.get("content-length", "")
        if not length.isdigit() or "warc-type" not in headers:
            raise _Damage("the record's head has no Content-Length or no WARC-Type")
        kind, size, begin = headers["warc-type"].lower(), int(length), end.end()
        wanted = kind in DOCUMENTS
        # A record beyond the limit is passed over; what a limit-sized body and its HTTP head take is held.
        held = size <= self._limits.record_bytes + MAX_HEAD_BYTES
        if not held:
            return self._pass_over(position, kind, headers, begin, size)
        while len(self._data) < begin + size:
            if not self._more():
                have = max(0, len(self._data) - begin)
                raise _Damage(f"the record is cut off: it ends after {have} of {size} bytes")
        self._check_end(begin + size)
        record = Record(position, kind, headers, size, bytes(self._data[begin : begin + size]) if wanted else b"")
        self._drop(begin + size)
        return record

    def _pass_over(self, position: int, kind: str, headers: dict[str, str], begin: int, size: int) -> Record:
        """A record too large to hold: its first bytes stay, the rest goes by."""
        while len(self._data) < begin + HEAD_BYTES and self._more():
            pass
        first = bytes(self._data[begin : begin + HEAD_BYTES])
        left = begin + size
        while left > len(self._data):
            left -= len(self._data)
            self._drop(len(self._data))
            if not self._more():
                raise _Damage(f"the record is cut off: {left} of its {size} bytes are missing")
        self._drop(left)
        return Record(position, kind, headers, size, first)

    def _check_end(self, end: int) -> None:
        """Whether a record ends where its Content-Length says: at another one, or at the end."""
        inside = next((out for out, _ in self._members if self._base < out < self._base + end), None)
        if inside is not None:
            raise _Damage("the record's Content-Length reaches beyond its gzip member")
        while len(self._data) < end + 16 and self._more():
            pass
        after = bytes(self._data[end : end + 16])
        rest = after.lstrip(b"\r\n")[: len(HEAD_START)]
        starts = any(out == self._base + end for out, _ in self._members)
        # Two line ends close a record; what garbage may follow them is not its own.
        if rest and not after.startswith(b"\r\n\r\n") and not HEAD_START.startswith(rest) and not starts:
            raise _Damage("the record's Content-Length does not lead to the next record")

    def _resync(self, start: int) -> bool:
        """Go on at the next member or record head after `start`; False when there is none."""
        if self._broken is not None:
            broken = self._broken
            if broken.resume is None:
                self._drop(len(self._data))
                return False
            self._drop(len(self._data))
            self._base = broken.resume
            return True
        cursor = 1 if self._base == start else 0
        while True:
            members = [out - self._base for out, _ in self._members if out - self._base >= cursor]
            # A list, for a match at hand would keep the bytes from being cut.
            heads = [start for start in [m.start() for m in HEAD.finditer(self._data, cursor)] if self._is_head(start)]
            ends = [*members[:1], *heads[:1]]
            at = min(ends) if ends else None
            if at is not None and at < len(self._data):
                self._drop(at)
                return True
            keep = max(0, len(self._data) - MAX_HEAD_BYTES)
            self._drop(keep)
            cursor = max(0, cursor - keep)
            if not self._more():
                if self._broken is not None and self._broken.resume is not None:
                    # The stream breaks in the damaged region: one gap, one row.
                    return self._resync(start)
                self._drop(len(self._data))
                return False

    def _is_head(self, start: int) -> bool:
        """Whether the version line begins a record's head, and is no quotation of one."""
        return b"WARC-Type:" in self._data[start : start + 4096]


def _headers(head: bytes) -> dict[str, str]:
    """Header lines by name in lower case; of a repeated one the first counts."""
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers


def http_head(block: bytes) -> tuple[int | None, dict[str, str], bytes]:
    """(status, headers, body) of an HTTP response; no status when it has no head."""
    end = END_OF_HEAD.search(block[:MAX_HEAD_BYTES])
    match = re.match(rb"HTTP/\S+\s+(\d{3})", block)
    if end is None or match is None:
        return None, {}, block
    return int(match.group(1)), _headers(block[: end.start()]), block[end.end() :]
