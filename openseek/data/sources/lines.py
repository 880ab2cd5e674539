"""A stream of bytes in chunks of whole lines, bounded whatever a line's length, and aware of damage and of parts."""

from collections.abc import Iterator
from typing import NamedTuple

from openseek.data.sources.record import Bad, BrokenStream, Limits

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 4096


class Chunk(NamedTuple):
    """Whole lines, each with its newline; only the last line of a file may lack it."""

    position: int
    """Offset of the first byte in the decompressed bytes."""
    data: bytes
    fresh: bool
    """False after damage: the first line may be the end of one whose beginning is lost."""


def chunks(
    stream: Iterator[bytes | BrokenStream], position: int, limits: Limits, origin: int = 0
) -> Iterator[Chunk | Bad | BrokenStream]:
    """The lines of a stream that begins at `position`; a line beyond `limits.record_bytes` comes as a Bad.
    `origin` is where the offsets of `stream` begin.

    Damage takes with it the line that it cuts: its place in the chunks is a BrokenStream at that line's beginning.
    """
    held: list[bytes] = []
    start, size, tail, fresh = position, 0, 0, True
    for block in stream:
        if isinstance(block, BrokenStream):
            whole = b"".join(held)
            cut = len(whole) - tail if tail <= limits.record_bytes else 0
            if cut:
                yield Chunk(start, whole[:cut], fresh)
            block.position, block.head = start + cut, whole[cut : cut + HEAD_BYTES]
            yield block
            held, start, size, tail, fresh = [], origin + (block.resume or 0), 0, 0, False
            continue
        end = block.rfind(b"\n") + 1
        if tail > limits.record_bytes:
            # In the middle of a line that is too long: only its head is held.
            if not end:
                tail += len(block)
                continue
            first = block.index(b"\n") + 1
            yield limits.too_long(start, tail + first - 1, held[0])
            start, block, end, fresh = start + tail + first, block[first:], end - first, True
            held, size, tail = [], 0, 0
        held.append(block)
        size += len(block)
        tail = len(block) - end if end else tail + len(block)
        if size - tail >= CHUNK_BYTES and end:
            # What is left of the last line lies in this block: one copy, not two.
            held[-1] = block[:end]
            yield Chunk(start, b"".join(held), fresh)
            held, start, size, fresh = [block[end:]], start + size - tail, tail, True
        elif size - tail >= CHUNK_BYTES or (size > tail > limits.record_bytes):
            whole = b"".join(held)
            yield Chunk(start, whole[: size - tail], fresh)
            held, start, size, fresh = [whole[size - tail :]], start + size - tail, tail, True
        if tail > limits.record_bytes:
            held = [b"".join(held)[:HEAD_BYTES]]
    if tail > limits.record_bytes:
        yield limits.too_long(start, tail, held[0])
    elif size:
        yield Chunk(start, b"".join(held), fresh)


def owned(lines: Iterator[Chunk | Bad | BrokenStream], span: tuple[int, int]) -> Iterator[Chunk | Bad | BrokenStream]:
    """Of chunks that begin at span[0], the lines of that part: those that follow a newline in it (the first part also
    has the file's first line), so that every line is in one part, whole."""
    first, last = span
    for chunk in lines:
        if chunk.position > last:
            return
        if not isinstance(chunk, Chunk):
            if chunk.position > first or first == 0:
                yield chunk
            continue
        skip = chunk.data.find(b"\n") + 1 or len(chunk.data) if chunk.position == first > 0 else 0
        keep = len(chunk.data)
        if chunk.position + keep > last:
            # The line in which the part ends is its own, and so is one that begins where it ends.
            keep = chunk.data.find(b"\n", max(last - chunk.position, 0)) + 1 or keep
        if skip < keep:
            yield Chunk(chunk.position + skip, chunk.data[skip:keep], chunk.fresh)
