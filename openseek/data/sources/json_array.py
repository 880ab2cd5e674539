"""The elements of one JSON array, found by its brackets as the bytes come; an element beyond the limit is not held."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from openseek.data.sources.record import BrokenStream

STRUCTURE = re.compile(rb'["\[\]{}]')
STRING_REST = re.compile(rb'(?:[^"\\]|\\.)*+"', re.DOTALL)
SEPARATORS = b", \t\r\n"
HEAD_BYTES = 4096


class Element(NamedTuple):
    """The bytes of one element: `size` of them, of which `data` holds all or, beyond the limit, the first."""

    position: int
    data: bytes
    size: int


class _Scan:
    """The state of the walk: a buffer that begins at `base`, and in it the element that is open, if one is."""

    def __init__(self, head: bytes, offset: int, limit: int) -> None:
        self.buffer, self.base, self.limit = head, offset, limit
        self.cursor = self.depth = 0
        self.in_string = False
        self.start = -1
        """Where the open element begins, counted from the beginning of the file."""
        self.head: bytes | None = None
        """The first bytes of an open element that is too long."""
        self.scalar_from = 0
        """Where, between two elements, a number or a word may begin."""

    def token(self) -> bytes:
        """The next bracket or whole string's end (`"`); b"" when the buffer is used up."""
        if self.in_string:
            found = STRING_REST.match(self.buffer, self.cursor)
            if found is None:
                tail = self.buffer[self.cursor :]
                odd = (len(tail) - len(tail.rstrip(b"\\"))) % 2
                self.cursor = len(self.buffer) - odd
                return b""
            self.cursor, self.in_string = found.end(), False
            return b'"'
        found = STRUCTURE.search(self.buffer, self.cursor)
        if found is None:
            self.cursor = len(self.buffer)
            return b""
        token, self.cursor = found.group(), found.end()
        if token == b'"':
            self.in_string = True
            if self.depth == 1:
                self.start = self.base + self.cursor - 1
            return self.token()
        return token

    def feed(self, block: bytes) -> None:
        """Take more bytes, and let go of those that no element needs."""
        keep = self.cursor
        if self.start >= 0 and self.head is None:
            keep = self.start - self.base
            if self.cursor - keep > self.limit:
                self.head, keep = self.buffer[keep:][:HEAD_BYTES], self.cursor
        elif self.start < 0 and self.depth == 1:
            keep = len(self.buffer) - len(self.buffer[self.scalar_from :].lstrip(SEPARATORS))
            if self.cursor - keep > self.limit:
                raise BrokenStream(self.base + keep, "the array holds neither text nor brackets")
        self.buffer, self.base, self.cursor = self.buffer[keep:] + block, self.base + keep, self.cursor - keep
        self.scalar_from = 0

    def close(self) -> Element:
        """The element that ends at the cursor."""
        end = self.base + self.cursor
        data = self.buffer[self.start - self.base : self.cursor] if self.head is None else self.head
        element = Element(self.start, data, end - self.start)
        self.start, self.head, self.scalar_from = -1, None, self.cursor
        return element


def elements(head: bytes, stream: Iterator[bytes | BrokenStream], offset: int, limit: int) -> Iterator[Element]:
    """The elements of the array that begins with `head`, which stands at `offset`. BrokenStream when it is cut off."""
    scan = _Scan(head, offset, limit)
    while True:
        token = scan.token()
        if not token:
            block = next(stream, None)
            begin = scan.start if scan.start >= 0 else scan.base + scan.cursor
            shown = scan.head or scan.buffer[max(0, begin - scan.base) :][:HEAD_BYTES]
            if block is None:
                raise BrokenStream(begin, "the array is cut off", shown)
            if isinstance(block, BrokenStream):
                # What follows the damage has lost its brackets.
                raise BrokenStream(begin, block.reason, shown)
            scan.feed(block)
            continue
        before = scan.cursor - 1 if token != b'"' else scan.start - scan.base
        if scan.depth == 1 and scan.head is None and before > scan.scalar_from:
            raw = scan.buffer[scan.scalar_from : before]
            if scalar := raw.strip(SEPARATORS):
                yield Element(scan.base + scan.scalar_from + raw.index(scalar), scalar, len(scalar))
        if token == b'"':
            if scan.depth == 1:
                yield scan.close()
        elif token in (b"[", b"{"):
            scan.depth += 1
            if scan.depth == 2:
                scan.start = scan.base + scan.cursor - 1
            scan.scalar_from = scan.cursor
        else:
            scan.depth -= 1
            if scan.depth == 1:
                yield scan.close()
            elif scan.depth == 0:
                return
