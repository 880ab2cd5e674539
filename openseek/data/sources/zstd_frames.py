"""zstd frames (RFC 8878): read block by block, so that no input expands unseen; found again after damage; counted."""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from openseek.data.sources.record import BrokenStream

MAGIC = b"\x28\xb5\x2f\xfd"
READ_BYTES = 1 << 18
MAX_WINDOW_BYTES = 1 << 27
# A block holds at most this much; that and the number of blocks a step bound what a step gives.
MAX_BLOCK_BYTES = 128 << 10
STEP_BLOCKS = 8
STEP_BYTES = 16 << 10
_DICTIONARY_BYTES = (0, 1, 2, 4)
_RLE, _RESERVED = 1, 3


class Damaged(ValueError):
    """Bytes that are no zstd frame."""


class Header(NamedTuple):
    """What begins a frame."""

    bytes: int
    content: int | None
    """Bytes that the frame decompresses to, where it says so."""
    checksum: bool
    skip: int
    """Bytes of a skippable frame's content; -1 for a frame of data."""


class _Feed:
    """A file read ahead, with its position."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._data, self._at = file, b"", 0
        self.position = file.tell()

    def peek(self, size: int, ahead: int = 0) -> bytes:
        """Up to `size` bytes that stand `ahead` bytes further on; fewer only at the end."""
        if len(self._data) - self._at < ahead + size:
            self._data, self._at = self._data[self._at :] + self._file.read(max(READ_BYTES, ahead + size)), 0
        return self._data[self._at + ahead : self._at + ahead + size]

    def skip(self, size: int) -> None:
        """Go on behind bytes that were looked at."""
        self._at, self.position = self._at + size, self.position + size

    def take(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        piece = self.peek(size)
        self.skip(len(piece))
        return piece

    def seek(self, position: int) -> None:
        """Go on from another place."""
        self._file.seek(position)
        self._data, self._at, self.position = b"", 0, position


def parse_header(head: bytes) -> Header | None:
    """The header that `head` (18 bytes or all that are left) begins with; None when it is cut off."""
    if len(head) < 5:
        return None
    (magic,) = struct.unpack_from("<I", head)
    if magic & 0xFFFFFFF0 == 0x184D2A50:
        return None if len(head) < 8 else Header(8, 0, False, struct.unpack_from("<I", head, 4)[0])
    if head[:4] != MAGIC:
        raise Damaged(f"no frame begins with {head[:4]!r}")
    told = head[4]
    if told & 8:
        raise Damaged("a reserved bit of the frame header is set")
    single = bool(told & 32)
    begin = 5 + (not single) + _DICTIONARY_BYTES[told & 3]
    width = (1 if single else 0, 2, 4, 8)[told >> 6]
    if len(head) < begin + width:
        return None
    content = int.from_bytes(head[begin : begin + width], "little") + (256 if width == 2 else 0)
    return Header(begin + width, content if width else None, bool(told & 4), -1)


def read_frames(file: BinaryIO, on_member: Callable[[int, int], None]) -> Iterator[bytes | BrokenStream]:
    """The content of every frame from the file's position on; damage as a value, then what follows it."""
    feed, produced = _Feed(file), 0
    while True:
        begin, first, header = feed.position, produced, None
        on_member(produced, begin)
        try:
            head = feed.peek(18)
            header = parse_header(head)
            if header is None:
                yield BrokenStream(begin, "the zstd stream is cut off")
                return
            for block in _frame(feed, header):
                produced += len(block)
                yield block
        except EOFError:
            yield BrokenStream(feed.position, "the zstd stream is cut off")
            return
        except Damaged as error:
            stopped = feed.position
            found = _next_frame(feed, max(begin + 1, stopped))
            if header is not None and header.content is not None and found is not None:
                produced = max(produced, first + header.content)
            resume = None if found is None else produced
            yield BrokenStream(stopped, f"the zstd stream is damaged ({error})", resume=resume)
            if found is None:
                return
            feed.seek(found)
        if not feed.peek(1):
            return


def _frame(feed: _Feed, header: Header) -> Iterator[bytes]:
    """The content of one frame; EOFError when it is cut off. On Damaged, `feed` stands before the bytes that failed."""
    import zstandard

    if header.skip >= 0:
        left = header.bytes + header.skip
        while left:
            piece = feed.take(min(left, READ_BYTES))
            if not piece:
                raise EOFError
            left -= len(piece)
        return
    frame = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    size, last = header.bytes, False
    while not last:
        step, count = size, 0
        while not last and count < STEP_BLOCKS and step < STEP_BYTES:
            told = feed.peek(3, step)
            if len(told) < 3:
                break
            try:
                last, length = _block(told)
            except Damaged:
                if count:
                    break
                raise
            step, count = step + 3 + length, count + 1
        if last and header.checksum:
            step += 4
        data = feed.peek(step)
        try:
            block = frame.decompress(data)
        except zstandard.ZstdError as error:
            raise Damaged(str(error)) from error
        feed.skip(len(data))
        if block:
            yield block
        if len(data) < step or not count:
            raise EOFError
        size = 0


def _block(told: bytes) -> tuple[bool, int]:
    """(whether it is the frame's last, bytes after its header) of a block."""
    value = int.from_bytes(told, "little")
    kind, size = value >> 1 & 3, value >> 3
    if kind == _RESERVED or size > MAX_BLOCK_BYTES:
        raise Damaged("a block header is wrong")
    return bool(value & 1), 1 if kind == _RLE else size


def _next_frame(feed: _Feed, start: int) -> int | None:
    """Where the next sound frame begins at or after `start`: its header and first block must be in order."""
    feed.seek(start)
    while window := feed.peek(READ_BYTES):
        base = feed.position
        cursor = window.find(MAGIC)
        if cursor < 0:
            feed.take(max(1, len(window) - len(MAGIC) + 1))
            if len(window) < len(MAGIC):
                return None
            continue
        feed.seek(base + cursor)
        try:
            header = parse_header(feed.peek(18))
            if header is not None:
                next(_frame(feed, header), None)
                return base + cursor
        except (Damaged, EOFError):
            pass
        feed.seek(base + cursor + 1)
    return None


def frame_offsets(file: BinaryIO) -> list[tuple[int, int]] | None:
    """(compressed offset, decompressed offset) of each frame of a sound file; None for a file that is not.

    Frames that tell their size are walked by their block headers; one that does not makes the whole file be read.
    """
    starts: list[tuple[int, int]] = []
    produced = 0
    size = file.seek(0, 2)
    position = file.seek(0)
    while position < size:
        head = file.read(18)
        try:
            header = parse_header(head)
        except Damaged:
            return None
        if header is None:
            return None
        if header.content is None:
            return _counted(file)
        starts.append((position, produced))
        end = position + header.bytes + header.skip if header.skip >= 0 else _frame_end(file, position, header)
        if end is None or end > size:
            return None
        produced, position = produced + header.content, file.seek(end)
    return starts


def _frame_end(file: BinaryIO, position: int, header: Header) -> int | None:
    position += header.bytes
    last = False
    while not last:
        file.seek(position)
        told = file.read(3)
        if len(told) < 3:
            return None
        try:
            last, length = _block(told)
        except Damaged:
            return None
        position += 3 + length
    return position + (4 if header.checksum else 0)


def _counted(file: BinaryIO) -> list[tuple[int, int]] | None:
    starts: list[tuple[int, int]] = []
    file.seek(0)
    for block in read_frames(file, lambda out, into: starts.append((into, out))):
        if isinstance(block, BrokenStream):
            return None
    return starts
