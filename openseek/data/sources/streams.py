"""Decompression in bounded steps: plain, gzip and zstd files, many members or frames, cut files, bombs."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from openseek.data.sources.record import BrokenStream, Limits
from openseek.raw_files import RawFile

BLOCK_BYTES = 1 << 18
# A zstd block of 4 bytes can hold 128 KiB: 2 KiB of input decompress to at most 64 MiB before the ratio is looked at.
ZSTD_FEED_BYTES = 1 << 11
# Small files of one repeated line reach any ratio; a bomb is one only when it is also large.
BOMB_FLOOR_BYTES = 64 << 20
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = tuple(bytes([0x50 + i, 0x2A, 0x4D, 0x18]) for i in range(16))
OnMember = Callable[[int, int], None]


def compression(path: RawFile) -> str:
    """ "gzip", "zstd" or "plain", from the first bytes: names lie (.zstd, .gz that a proxy unpacked)."""
    with path.open() as file:
        head = file.read(4)
    if head[:2] == GZIP_MAGIC:
        return "gzip"
    return "zstd" if head == ZSTD_MAGIC or head in ZSTD_SKIPPABLE else "plain"


def blocks(path: RawFile, limits: Limits, on_member: OnMember | None = None) -> Iterator[bytes]:
    """The decompressed bytes of a file in blocks, never more than a few at a time in memory.

    `on_member(decompressed offset, compressed offset)` is told where each gzip member or zstd frame begins. Raises
    BrokenStream (position: compressed byte offset) after the last sound bytes, ValueError at a decompression bomb.
    """
    kind = compression(path)
    expected = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}.get(PurePosixPath(path.name).suffix)
    if expected and kind == "plain" and path.size < 18:
        raise BrokenStream(0, f"{path.size} bytes are too few for a {expected} file")
    step = {"gzip": _gzip, "zstd": _zstd, "plain": _plain}[kind]
    size, total = path.size, 0
    with path.open() as file:
        for block in step(file, on_member or (lambda out, into: None)):
            total += len(block)
            if total > max(BOMB_FLOOR_BYTES, limits.expansion * size):
                raise ValueError(
                    f"{path}: {size} bytes of {kind} decompress to more than {total}, beyond max_expansion "
                    f"{limits.expansion:g}: leave the file out, or raise max_expansion if you trust it"
                )
            yield block


def _plain(file: BinaryIO, on_member: OnMember) -> Iterator[bytes]:
    on_member(0, 0)
    while block := file.read(BLOCK_BYTES):
        yield block


def _gzip(file: BinaryIO, on_member: OnMember) -> Iterator[bytes]:
    """Every member of a gzip file; zero bytes after the last are padding, anything else there is damage."""
    member, consumed, produced, data = zlib.decompressobj(wbits=31), 0, 0, b""
    on_member(0, 0)
    while True:
        data = data or file.read(BLOCK_BYTES)
        try:
            block = member.decompress(data, BLOCK_BYTES)
        except zlib.error as error:
            raise BrokenStream(consumed, f"the gzip stream is damaged ({error})") from error
        if not (data or block or member.eof):
            raise BrokenStream(consumed, "the gzip stream is cut off")
        rest = member.unused_data if member.eof else member.unconsumed_tail
        consumed, data, produced = consumed + len(data) - len(rest), rest, produced + len(block)
        if block:
            yield block
        if member.eof:
            data = (data or file.read(BLOCK_BYTES)).lstrip(b"\0")
            if not data:
                return
            consumed = file.tell() - len(data)
            on_member(produced, consumed)
            member = zlib.decompressobj(wbits=31)


def _zstd(file: BinaryIO, on_member: OnMember) -> Iterator[bytes]:
    """Every frame of a zstd file."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frame, consumed, produced, data = decompressor.decompressobj(), 0, 0, b""
    on_member(0, 0)
    while True:
        data = data or file.read(ZSTD_FEED_BYTES)
        if not data:
            raise BrokenStream(consumed, "the zstd stream is cut off")
        try:
            block = frame.decompress(data)
        except zstandard.ZstdError as error:
            raise BrokenStream(consumed, f"the zstd stream is damaged ({error})") from error
        rest = frame.unused_data if frame.eof else b""
        consumed, data, produced = consumed + len(data) - len(rest), rest, produced + len(block)
        if block:
            yield block
        if frame.eof:
            data = data or file.read(ZSTD_FEED_BYTES)
            if not data:
                return
            consumed = file.tell() - len(data)
            on_member(produced, consumed)
            frame = decompressor.decompressobj()


class BlockReader:
    """The blocks of a file as an object with `read`, for libraries that want a file; remembers how the file ended."""

    def __init__(self, path: RawFile, limits: Limits) -> None:
        self.broken: BrokenStream | None = None
        self.error: ValueError | None = None
        self.members: list[tuple[int, int]] = []
        self._blocks = blocks(path, limits, lambda out, into: self.members.append((out, into)))
        self._rest, self._position = b"", 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; b"" at the end, sound or not (see `broken` and `error`)."""
        while not self._rest:
            try:
                self._rest = next(self._blocks)
            except StopIteration:
                return b""
            except BrokenStream as broken:
                # A foreign reader would wrap the exception; its caller asks for `broken` when the bytes end.
                self.broken = broken
                return b""
            except ValueError as error:
                self.error = error
                return b""
        size = len(self._rest) if size is None or size < 0 else size
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._position += len(piece)
        return piece

    def tell(self) -> int:
        """Decompressed bytes handed out so far."""
        return self._position

    def file_offset(self, position: int) -> int:
        """Where a record at a decompressed offset begins in the file: its own gzip member, where it has one."""
        while len(self.members) > 1 and self.members[1][0] <= position:
            self.members.pop(0)
        out, into = self.members[0]
        return into if out == position else position

    def close(self) -> None:
        """Let the file go."""
        self._blocks.close()  # type: ignore[attr-defined]
