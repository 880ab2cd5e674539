"""JSON files, plain, gzip or zstd: one object a line, or one array of objects; read as a stream."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Skipped
from openseek.data.sources.rows import to_item
from openseek.data.sources.streams import blocks
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

BOM = b"\xef\xbb\xbf"
# A whole string, or a bracket, or the quote of a string that has not ended yet.
STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]|"', re.DOTALL)
HEAD_BYTES = 4096


class Piece(NamedTuple):
    """The bytes of one record: `size` of them, of which `data` holds all or, beyond the limit, the first."""

    position: int
    data: bytes
    size: int
    ended: bool


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The records of a JSON file. Position: offset of the record in the decompressed bytes."""
    import orjson

    for piece in _pieces(blocks(path, limits), limits.record_bytes):
        if piece.size > limits.record_bytes:
            yield Skipped(piece.position, "record_bytes", piece.size, limits.record_bytes)
            continue
        try:
            value = orjson.loads(piece.data)
        except orjson.JSONDecodeError as error:
            if not piece.ended:
                reason = f"the last record is cut off ({error})"
                raise BrokenStream(piece.position, reason, piece.data[:HEAD_BYTES]) from error
            yield Bad(piece.position, f"no JSON: {error}", piece.data[:HEAD_BYTES])
            continue
        yield to_item(piece.position, value, source, piece.data[:HEAD_BYTES])


def _pieces(source: Iterator[bytes], limit: int) -> Iterator[Piece]:
    """Records of either form; the first byte that is no space tells which one it is."""
    head = text = b""
    for block in source:
        head += block
        if len(head) >= len(BOM) and (text := head.removeprefix(BOM).lstrip()):
            break
    text = text or head.removeprefix(BOM).lstrip()
    yield from (_array if text[:1] == b"[" else _lines)(text, source, len(head) - len(text), limit)


def _lines(head: bytes, source: Iterator[bytes], offset: int, limit: int) -> Iterator[Piece]:
    """One record a line; a line beyond the limit is counted, not kept."""
    start, parts, size = offset, [], 0
    block: bytes | None = head
    while block is not None:
        cursor = 0
        while (end := block.find(b"\n", cursor)) >= 0:
            size += end - cursor
            parts.append(block[cursor:end] if size <= limit else b"")
            data = b"".join(parts)
            if data.strip() or size > limit:
                yield Piece(start, data, size, True)
            start, parts, size, cursor = start + size + 1, [], 0, end + 1
        size += len(block) - cursor
        parts.append(block[cursor:] if size <= limit else b"")
        try:
            block = next(source, None)
        except BrokenStream as broken:
            raise BrokenStream(start, broken.reason, b"".join(parts)[:HEAD_BYTES]) from broken
    if (data := b"".join(parts)).strip() or size > limit:
        yield Piece(start, data, size, False)


def _array(head: bytes, source: Iterator[bytes], offset: int, limit: int) -> Iterator[Piece]:
    """The elements of one array: the bytes between its brackets at depth one."""
    buffer, base, cursor, depth, start = head, offset, 0, 0, -1
    while True:
        match = STRUCTURE.search(buffer, cursor)
        unfinished = match is None or match.group() == b'"'
        if unfinished:
            keep = start if start >= 0 else (match.start() if match else len(buffer))
            # Inside an element only the bytes since its start are kept, and of a string the part not yet closed.
            cursor = (match.start() if match else len(buffer)) - keep
            buffer, base, start = buffer[keep:], base + keep, (0 if start >= 0 else -1)
            if start >= 0 and len(buffer) > limit:
                reason = f"an element of the array is longer than {limit} bytes (max_record_bytes)"
                raise BrokenStream(base, reason, buffer[:HEAD_BYTES])
            try:
                block = next(source, None)
            except BrokenStream as broken:
                raise BrokenStream(base, broken.reason, buffer[:HEAD_BYTES]) from broken
            if block is None:
                raise BrokenStream(base, "the array is cut off", buffer[:HEAD_BYTES])
            buffer += block
            continue
        assert match is not None
        if depth == 1 and (scalar := buffer[cursor : match.start()].strip(b", \t\r\n")):
            yield Piece(base + cursor, scalar, len(scalar), True)
        token, cursor = match.group(), match.end()
        if token in (b"[", b"{"):
            depth += 1
            start = match.start() if depth == 2 else start
        elif token in (b"]", b"}"):
            depth -= 1
            if depth == 1 and start >= 0:
                yield Piece(base + start, buffer[start:cursor], cursor - start, True)
                start = -1
            elif depth == 0:
                return
        elif depth == 1:
            yield Piece(base + match.start(), token, len(token), True)
