"""JSON files, plain or compressed: one object a line, or one array of objects; read as a stream.

Lines of documents are taken apart many at a time by compiled code (json_kernels); what it leaves, line by line.
"""

import codecs
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openseek.data.sources.json_array import elements
from openseek.data.sources.lines import HEAD_BYTES, Chunk, chunks, owned
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Rows
from openseek.data.sources.rows import blank_rows, interleave, plain_columns, text_column, to_item
from openseek.data.sources.streams import pieces
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.sources import Source

BOM = codecs.BOM_UTF8
UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The records of a JSON file. Position: offset of the record in the decompressed bytes (of UTF-16: as UTF-8)."""
    stream = pieces(path, limits)
    if path.span and path.span[0]:
        yield from _records(owned(chunks(stream, path.span[0], limits, path.span[0]), path.span), source, limits)
        return
    head, rest = _beginning(stream)
    text = head.removeprefix(BOM).lstrip()
    # A file that is damaged before its first character has no form: it is read as lines.
    begin = len(head) - len(text) if text else min(len(head), len(BOM)) if head.startswith(BOM) else 0
    if text[:1] == b"[":
        yield from _array(text, rest, begin, source, limits)
        return
    lines = chunks(_joined(head[begin:], rest), begin, limits)
    yield from _records(owned(lines, path.span) if path.span else lines, source, limits)


def _beginning(stream: Iterator[bytes | BrokenStream]) -> tuple[bytes, Iterator[bytes | BrokenStream]]:
    """The bytes up to the block with the first character that tells the form, as UTF-8, and the stream after them."""
    head = b""
    for block in stream:
        if isinstance(block, BrokenStream):
            return head, _joined(block, stream)
        head += block
        if (encoding := UTF16.get(head[:2])) is not None:
            stream = _as_utf8(_joined(head[2:], stream), encoding)
            head = b""
        elif len(head) >= len(BOM) and head.removeprefix(BOM).lstrip():
            break
    return head, stream


def _joined(first: bytes | BrokenStream, rest: Iterator[bytes | BrokenStream]) -> Iterator[bytes | BrokenStream]:
    if first:
        yield first
    yield from rest


def _as_utf8(stream: Iterator[bytes | BrokenStream], encoding: str) -> Iterator[bytes | BrokenStream]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for block in stream:
        if isinstance(block, BrokenStream):
            # Where the bytes after the damage would stand as UTF-8 is not known, nor which byte of a pair comes first.
            block.resume = None
            yield block
            return
        yield decoder.decode(block).encode("utf-8", "replace")
    if rest := decoder.decode(b"", final=True):
        yield rest.encode("utf-8", "replace")


def _array(
    head: bytes, stream: Iterator[bytes | BrokenStream], offset: int, source: "Source", limits: Limits
) -> Iterator[Item]:
    import orjson

    for element in elements(head, stream, offset, limits.record_bytes):
        if element.size > limits.record_bytes:
            yield limits.too_long(element.position, element.size, element.data[:HEAD_BYTES])
            continue
        try:
            value = orjson.loads(element.data)
        except orjson.JSONDecodeError as error:
            yield Bad(element.position, f"no JSON: {error}", element.data[:HEAD_BYTES])
            continue
        yield to_item(element.position, value, source, element.data[:HEAD_BYTES])


def _records(lines: Iterator[Chunk | Bad | BrokenStream], source: "Source", limits: Limits) -> Iterator[Item]:
    for chunk in lines:
        if isinstance(chunk, BrokenStream):
            if chunk.resume is None:
                raise chunk
            yield Bad(chunk.position, chunk.reason, chunk.head)
        elif isinstance(chunk, Bad):
            yield chunk
        else:
            if not chunk.fresh:
                first = chunk.data.find(b"\n") + 1 or len(chunk.data)
                item = _line(chunk.position, chunk.data[:first], source, limits)
                # What cannot be read there is the end of the record that the damage has begun.
                if not isinstance(item, Bad):
                    yield item
                chunk = Chunk(chunk.position + first, chunk.data[first:], True)
            yield from _chunk(chunk, source, limits)


def _chunk(chunk: Chunk, source: "Source", limits: Limits) -> Iterator[Item]:
    """The items of whole lines: as columns where compiled code can, else one by one."""
    whole = chunk.data.rfind(b"\n") + 1
    if whole and source.kind == "document":
        yield from _columns(chunk.position, chunk.data[:whole], source, limits)
        whole_lines = b""
    else:
        whole_lines = chunk.data[:whole]
    position = chunk.position + whole - len(whole_lines)
    for line in whole_lines.splitlines(keepends=True) if b"\r" not in whole_lines else _split(whole_lines):
        if line.strip():
            yield _line(position, line, source, limits)
        position += len(line)
    if (last := chunk.data[whole:]).strip():
        yield _line(position, last, source, limits)


def _split(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _line(position: int, line: bytes, source: "Source", limits: Limits) -> Item:
    """The item of one line; BrokenStream for a last one, without newline, that is cut off."""
    import orjson

    data = line.removesuffix(b"\n")
    if len(data) > limits.record_bytes:
        return limits.too_long(position, len(data), data[:HEAD_BYTES])
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if len(data) == len(line):
            raise BrokenStream(position, f"the last record is cut off ({error})", data[:HEAD_BYTES]) from error
        return Bad(position, f"no JSON: {error}", data[:HEAD_BYTES])
    return to_item(position, value, source, data[:HEAD_BYTES])


def _columns(position: int, data: bytes, source: "Source", limits: Limits) -> Iterator[Item]:
    """The items of lines of documents, the sound ones as Rows."""
    import numpy as np

    from openseek.data.sources.json_kernels import OTHER, SOUND

    lines = np.frombuffer(data, np.uint8)
    starts = np.append(0, np.flatnonzero(lines == ord("\n")) + 1)
    kinds, text, rests = _split_lines(lines, starts, source, limits)
    sound = kinds == SOUND
    rows = Rows((starts[:-1][sound] + position).tolist(), text, **plain_columns(rests, source))
    others = np.flatnonzero(kinds == OTHER)
    before = np.cumsum(sound)[others]
    odd = (
        (int(before[i]), 0, _line(position + int(starts[k]), data[starts[k] : starts[k + 1]], source, limits))
        for i, k in enumerate(others)
    )
    yield from interleave(rows, blank_rows(rows), odd)


def _split_lines(lines: Any, starts: Any, source: "Source", limits: Limits) -> "tuple[Any, pa.Array, list[Any]]":
    """(kind of each line, texts of the sound ones, their other members)."""
    import numpy as np
    import orjson
    import pyarrow as pa

    from openseek.data.sources.json_kernels import BLANK, OTHER, split

    count = len(starts) - 1
    kinds, offsets = np.empty(count, np.uint8), np.zeros(count + 1, np.int64)
    text, rest = np.empty(len(lines), np.uint8), np.empty(len(lines) + 4 * count + 2, np.uint8)
    wanted = np.frombuffer(text_column(source).encode(), np.uint8)
    sound, size = split(lines, starts, limits.record_bytes, wanted, kinds, text, offsets, rest)
    buffers = [None, pa.py_buffer(offsets[: sound + 1]), pa.py_buffer(text[: offsets[sound]])]
    column = pa.Array.from_buffers(pa.large_string(), sound, buffers)
    try:
        column.validate(full=True)
        rests = orjson.loads(rest[:size].data)
    except (pa.ArrowInvalid, orjson.JSONDecodeError):
        # One bad line spoils the others: each is parsed alone.
        kinds[kinds != BLANK] = OTHER
        return kinds, column.slice(0, 0), []
    name = text_column(source)
    for record in rests:
        del record[name]
    return kinds, column, rests
