"""Decompression in bounded steps: plain, gzip, bzip2 and zstd files, many members or frames, cut files, bombs."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from openseek.data.sources.record import Bomb, BrokenStream, Limits
from openseek.raw_files import RawFile

BLOCK_BYTES = 1 << 18
# Small files of one repeated line reach any ratio; a bomb is one only when it is also large.
BOMB_FLOOR_BYTES = 64 << 20
GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = tuple(bytes([0x50 + i, 0x2A, 0x4D, 0x18]) for i in range(16))
SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bzip2"}
# What a sound member begins with: enough to look for after damage. bzip2's has the magic number of a block or an end.
STARTS = {"gzip": b"\x1f\x8b\x08", "bzip2": BZIP2_MAGIC}
PROBE_BYTES = 1 << 16
OnMember = Callable[[int, int], None]


def compression(path: RawFile) -> str:
    """ "gzip", "bzip2", "zstd" or "plain", from the first bytes: names lie (.zstd, .gz that a proxy unpacked)."""
    with path.open() as file:
        head = file.read(4)
    if head[:2] == GZIP_MAGIC:
        return "gzip"
    if head[:3] == BZIP2_MAGIC and head[3:].isdigit():
        return "bzip2"
    return "zstd" if head == ZSTD_MAGIC or head in ZSTD_SKIPPABLE else "plain"


def blocks(path: RawFile, limits: Limits, on_member: OnMember | None = None) -> Iterator[bytes]:
    """The decompressed bytes of a file in blocks, never more than a few at a time in memory.

    `on_member(decompressed offset, compressed offset)` is told where each gzip member or zstd frame begins. Raises
    BrokenStream (position: compressed byte offset) after the last sound bytes, Bomb at a decompression bomb.
    """
    for block in pieces(path, limits, on_member):
        if isinstance(block, BrokenStream):
            raise block
        yield block


def pieces(path: RawFile, limits: Limits, on_member: OnMember | None = None) -> Iterator[bytes | BrokenStream]:
    """Like `blocks`, but damage comes as a value; if its `resume` is set, the bytes from there on follow.

    With `limits.resync` off, damage is the last value. A file with a span is read from `path.offset` to its end: where
    a part stops is for the reader to say, since its last record may reach beyond.
    """
    from openseek.data.sources.zstd_frames import read_frames

    kind = compression(path)
    expected = SUFFIXES.get(PurePosixPath(path.name).suffix)
    if expected and kind == "plain" and path.size < 18:
        yield BrokenStream(0, f"{path.size} bytes are too few for a {expected} file")
        return
    step: Any = {"gzip": _members, "bzip2": _members, "zstd": read_frames, "plain": _plain}[kind]
    size, total = max(1, path.size - path.offset), 0
    with path.open() as file:
        file.seek(path.offset)
        told = on_member or (lambda out, into: None)
        for block in step(file, told) if kind in ("plain", "zstd") else step(file, told, kind):
            if isinstance(block, BrokenStream):
                if not limits.resync:
                    block.resume = None
                yield block
                if block.resume is None:
                    return
                continue
            total += len(block)
            if total > max(BOMB_FLOOR_BYTES, limits.expansion * size):
                reason = f"{size} bytes of {kind} decompress to more than {total}, beyond max_expansion"
                yield Bomb(file.tell(), f"{reason} {limits.expansion:g}: raise max_expansion if you trust the file")
                return
            yield block


def _plain(file: BinaryIO, on_member: OnMember) -> Iterator[bytes]:
    on_member(0, 0)
    while block := file.read(BLOCK_BYTES):
        yield block


def _members(file: BinaryIO, on_member: OnMember, kind: str) -> Iterator[bytes | BrokenStream]:
    """Every member of a gzip or bzip2 file; zero bytes after the last are padding, anything else there is damage."""
    member, consumed, produced, data = _member(kind), file.tell(), 0, b""
    on_member(0, consumed)
    begin = consumed
    while True:
        data = data or file.read(BLOCK_BYTES)
        try:
            block = member.decompress(data, BLOCK_BYTES)
        except (zlib.error, OSError) as error:
            found = _next_member(file, kind, max(begin + 1, consumed - PROBE_BYTES))
            reason = f"the {kind} stream is damaged ({error})"
            yield BrokenStream(consumed, reason, resume=None if found is None else produced)
            if found is None:
                return
            file.seek(found)
            member, begin, consumed, data = _member(kind), found, found, b""
            on_member(produced, begin)
            continue
        if not (data or block or member.eof):
            yield BrokenStream(consumed, f"the {kind} stream is cut off")
            return
        rest = member.unused_data if member.eof else getattr(member, "unconsumed_tail", b"")
        consumed, data, produced = consumed + len(data) - len(rest), rest, produced + len(block)
        if block:
            yield block
        if member.eof:
            data = data.lstrip(b"\0")
            while not data and (more := file.read(BLOCK_BYTES)):
                data = more.lstrip(b"\0")
            if not data:
                return
            begin = consumed = file.tell() - len(data)
            on_member(produced, begin)
            member = _member(kind)


def _member(kind: str) -> Any:
    """A decompressor of one member, with zlib's interface."""
    if kind == "gzip":
        return zlib.decompressobj(wbits=31)
    return _Bzip2()


class _Bzip2:
    """bz2's decompressor, which keeps what it has not used yet, with zlib's interface."""

    def __init__(self) -> None:
        import bz2

        self._inner = bz2.BZ2Decompressor()
        self.unconsumed_tail = b""

    def decompress(self, data: bytes, size: int) -> bytes:
        """At most `size` bytes; while the inner one still has input, `data` is handed back as `unconsumed_tail`."""
        if self._inner.needs_input:
            self.unconsumed_tail = b""
            return self._inner.decompress(data, size)
        self.unconsumed_tail = data
        return self._inner.decompress(b"", size)

    @property
    def eof(self) -> bool:
        """Whether the member ended."""
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        """What followed the member."""
        return self._inner.unused_data + self.unconsumed_tail


def _next_member(file: BinaryIO, kind: str, start: int) -> int | None:
    """Where the next sound member begins at or after `start`: its first bytes must decompress."""
    file.seek(start)
    base, window, mark = start, file.read(BLOCK_BYTES), STARTS[kind]
    while window:
        cursor = -1
        while (cursor := window.find(mark, cursor + 1)) >= 0:
            file.seek(base + cursor)
            if _is_member(kind, file.read(PROBE_BYTES)):
                return base + cursor
        base += max(1, len(window) - len(mark) + 1)
        file.seek(base)
        window = file.read(BLOCK_BYTES)
        if len(window) < len(mark):
            return None
    return None


def _is_member(kind: str, probe: bytes) -> bool:
    member = _member(kind)
    try:
        return bool(member.decompress(probe, BLOCK_BYTES)) or member.eof or kind == "bzip2"
    except (zlib.error, OSError):
        return False


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
