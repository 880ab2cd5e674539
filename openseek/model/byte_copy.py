"""Carries out the plan of a file: the bytes of its targets, block by block, through one buffer that is used again.

What is copied keeps its bit pattern, NaNs included. A contiguous piece of the target's dtype is read straight to its
place in the buffer; slices of columns, casts and float8 blocks go by way of a second one. A buffer is BLOCK_BYTES, or
one row of the target where that is more (with scales: the rows of one block).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openseek.model.fp8_blocks import dequantise
from openseek.model.stored_tensor import Extent, Fill, Piece, StoredTensor, Target, num_columns, num_rows

BLOCK_BYTES = 1 << 18
"""Larger writes make the kernel look for larger pages of its cache, which can cost it ten times the copy itself."""
FLUSH_BYTES = 1 << 25
"""The kernel is asked to start writing to disk after so many, so that the last fsync waits for little."""
OPEN_SOURCES = 64
LIBC = ctypes.CDLL(None, use_errno=True)
Progress = Callable[[int], None]
"""Called with the number of bytes just written, by one thread at a time."""
Place = tuple[Target, int]
"""A target and where its first byte goes in its file."""


class Sources:
    """Source files, opened when first read; the longest unread one is closed when there are too many."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def read(self, source: StoredTensor, start: int, into: memoryview) -> None:
        """Fill `into` with the tensor's bytes from `start` on. Raises ValueError where the file is cut short."""
        descriptor = self._open.pop(source.file, None)
        if descriptor is None:
            if len(self._open) >= OPEN_SOURCES:
                os.close(self._open.popitem(last=False)[1])
            descriptor = os.open(source.file, os.O_RDONLY)
        self._open[source.file] = descriptor
        done = 0
        while done < len(into):
            count = os.preadv(descriptor, [into[done:]], source.offset + start + done)
            if not count:
                raise ValueError(f"{source.file} ends before tensor {source.name}: it was cut short, fetch it again")
            done += count


def write_places(files: dict[Path, list[Place]], threads: int = 1, progress: Progress | None = None) -> None:
    """Write the bytes of all targets into existing files, one thread a file at a time, and flush them to disk.

    Raises ValueError that names the tensor for sources that are cut short or scales that are damaged.
    """
    lock, stopped = threading.Lock(), threading.Event()

    def report(count: int) -> None:
        if stopped.is_set():
            raise InterruptedError("another file failed")
        if progress is not None:
            with lock:
                progress(count)

    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(_write_file, path, places, report) for path, places in files.items()]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise


def _write_file(path: Path, places: Sequence[Place], report: Progress) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        ends = [offset + target.num_bytes for target, offset in places]
        reserve(descriptor, max(ends, default=0))
        with Sources() as sources:
            blocks, unflushed = Blocks(sources), 0
            for target, offset in sorted(places, key=lambda place: place[1]):
                for block in blocks.of(target):
                    write_all(descriptor, block, offset)
                    offset += len(block)
                    report(len(block))
                    if offset - unflushed >= FLUSH_BYTES:
                        _start_flush(descriptor, unflushed, offset - unflushed)
                        unflushed = offset
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`, BLOCK_BYTES at most at a time."""
    while data:
        count = os.pwrite(descriptor, data[:BLOCK_BYTES], offset)
        data, offset = data[count:], offset + count


def reserve(descriptor: int, size: int) -> None:
    """Take `size` bytes of disk for a file: a full disk shows before hours of copying, and writing gets faster.

    A file system that cannot (some network ones) is left as it is: posix_fallocate would write zeros there.
    """
    if not size:
        return
    if LIBC.fallocate(descriptor, 0, ctypes.c_long(0), ctypes.c_long(size)):
        number = ctypes.get_errno()
        if number not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise OSError(number, os.strerror(number))


def _start_flush(descriptor: int, start: int, count: int) -> None:
    """Start writing a range to disk and do not wait. Only fsync is relied upon, so a refusal does not matter."""
    write_without_wait = 2
    LIBC.sync_file_range(descriptor, ctypes.c_long(start), ctypes.c_long(count), write_without_wait)


class Blocks:
    """The bytes of one target after the other. Holds the buffers, so one is needed for each thread."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._out = bytearray(BLOCK_BYTES)
        self._scratch = bytearray(BLOCK_BYTES)

    def of(self, target: Target) -> Iterator[memoryview]:
        """All bytes of a target in order; each view holds until the next is asked for."""
        if not target.num_bytes:
            return
        columns = num_columns(target.shape)
        width = columns * target.dtype.itemsize
        if all(_is_contiguous(piece, target) for piece in target.pieces):
            yield from self._runs(target, width)
            return
        unit = max((piece.block[0] for piece in target.pieces if piece.scale is not None), default=1)
        widest = max((_row_bytes(piece.source) for piece in target.pieces), default=1)
        step = max(min(BLOCK_BYTES // width, 4 * BLOCK_BYTES // widest) // unit, 1) * unit
        fills = {piece: self._fill_row(piece.source, target) for piece in target.pieces if _is_fill(piece)}
        for top in range(0, num_rows(target.shape), step):
            bottom = min(top + step, num_rows(target.shape))
            block = _view(self._grown("_out", (bottom - top) * width), bottom - top, width)
            for piece in target.pieces:
                self._gather(piece, target, (top, bottom), block, fills.get(piece))
            yield block.reshape(-1).data

    def _runs(self, target: Target, width: int) -> Iterator[memoryview]:
        """Blocks of a target whose pieces are all runs of bytes: no row need be whole."""
        view = memoryview(self._out)[:BLOCK_BYTES]
        for piece in sorted(target.pieces, key=lambda piece: piece.row):
            assert isinstance(piece.source, StoredTensor)
            (first, last), _ = piece.extents(0)
            for start in range(first * width, last * width, BLOCK_BYTES):
                block = view[: min(BLOCK_BYTES, last * width - start)]
                self._sources.read(piece.source, start, block)
                yield block

    def _gather(self, piece: Piece, target: Target, block: Extent, out: np.ndarray, fill: np.ndarray | None) -> None:
        """Write the part of a piece that lies in rows `block` of the target to `out` [rows, bytes of a row]."""
        rows, columns = piece.extents(num_columns(target.shape))
        top, bottom = max(block[0], piece.row), min(block[1], piece.row + rows[1] - rows[0])
        if top >= bottom or columns[0] == columns[1]:
            return
        if _is_contiguous(piece, target):
            assert isinstance(piece.source, StoredTensor)
            start = (rows[0] + top - piece.row) * out.shape[1]
            self._sources.read(piece.source, start, out[top - block[0] : bottom - block[0]].reshape(-1).data)
            return
        size = target.dtype.itemsize
        part = out[top - block[0] : bottom - block[0], piece.column * size :][:, : (columns[1] - columns[0]) * size]
        if fill is not None:
            part[:] = fill
            return
        wanted = rows[0] + top - piece.row, rows[0] + bottom - piece.row
        part[:] = self._converted(piece, wanted, columns, target.dtype)

    def _converted(self, piece: Piece, rows: Extent, columns: Extent, dtype: torch.dtype) -> np.ndarray:
        """Bytes [rows, columns * size of dtype] of a rectangle of the source, cast to `dtype`."""
        source = piece.source
        assert isinstance(source, StoredTensor)
        size = source.dtype.itemsize
        if source.dtype == dtype and piece.scale is None:
            return self._rows(source, rows)[:, columns[0] * size : columns[1] * size]
        if piece.scale is None:
            values = _tensor(self._rows(source, rows), source.dtype)
        else:
            values = self._dequantised(source, piece.scale, piece.block, rows)
        cast = values[:, columns[0] : columns[1]].to(dtype).contiguous()
        return cast.view(torch.uint8).numpy()

    def _dequantised(self, source: StoredTensor, scale: StoredTensor, block: tuple[int, int], rows: Extent) -> Tensor:
        """float32 [rows, all columns]. Blocks begin at multiples of their height, so the rows above are read, too."""
        first, last = rows[0] // block[0], -(-rows[1] // block[0])
        factors = bytearray((last - first) * num_columns(scale.shape) * scale.dtype.itemsize)
        self._sources.read(scale, first * num_columns(scale.shape) * scale.dtype.itemsize, memoryview(factors))
        factors = _tensor(np.frombuffer(factors, np.uint8).reshape(last - first, -1), scale.dtype)
        weight = _tensor(self._rows(source, (first * block[0], rows[1])), source.dtype)
        try:
            return dequantise(weight, factors, block)[rows[0] - first * block[0] :]
        except ValueError as error:
            raise ValueError(f"{source} with scales {scale.name}: {error}") from error

    def _rows(self, source: StoredTensor, rows: Extent) -> np.ndarray:
        """Bytes [rows, all columns] of whole rows; they hold until the next call."""
        width = num_columns(source.shape) * source.dtype.itemsize
        data = self._grown("_scratch", (rows[1] - rows[0]) * width)
        self._sources.read(source, rows[0] * width, memoryview(data)[: (rows[1] - rows[0]) * width])
        return _view(data, rows[1] - rows[0], width)

    def _fill_row(self, fill: StoredTensor | Fill, target: Target) -> np.ndarray:
        """Bytes [1, one row of the target] of a Fill."""
        assert isinstance(fill, Fill)
        if not isinstance(fill.value, str):
            row = torch.full((1, num_columns(target.shape)), fill.value, dtype=torch.float64)
        else:
            assert fill.of is not None
            row = self._last_or_mean(fill.of, mean=fill.value == "mean")
        return row.to(target.dtype).view(torch.uint8).numpy()

    def _last_or_mean(self, source: StoredTensor, mean: bool) -> Tensor:
        """[1, columns]: the last row, or the float64 mean of all rows."""
        count, width = num_rows(source.shape), num_columns(source.shape) * source.dtype.itemsize
        if not mean:
            return _tensor(self._rows(source, (count - 1, count)), source.dtype).clone()
        total = torch.zeros(1, num_columns(source.shape), dtype=torch.float64)
        step = max(BLOCK_BYTES // width, 1)
        for top in range(0, count, step):
            rows = self._rows(source, (top, min(top + step, count)))
            total += _tensor(rows, source.dtype).to(torch.float64).sum(0, keepdim=True)
        return total / count

    def _grown(self, name: str, size: int) -> bytearray:
        """The buffer of that name, large enough for `size` bytes."""
        if len(getattr(self, name)) < size:
            setattr(self, name, bytearray(size))
        return getattr(self, name)


def same_bytes(first: StoredTensor, second: StoredTensor) -> bool:
    """Whether two stored tensors agree in dtype, shape and every bit: copies that must be alike are compared so."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    one, other = np.empty(BLOCK_BYTES, np.uint8), np.empty(BLOCK_BYTES, np.uint8)
    with Sources() as sources:
        for start in range(0, first.num_bytes, BLOCK_BYTES):
            count = min(BLOCK_BYTES, first.num_bytes - start)
            sources.read(first, start, one[:count].data)
            sources.read(second, start, other[:count].data)
            if not np.array_equal(one[:count], other[:count]):
                return False
    return True


@contextlib.contextmanager
def removed_on_error(paths: Sequence[Path]) -> Iterator[None]:
    """Delete unfinished files where the block raises."""
    try:
        yield
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def _is_fill(piece: Piece) -> bool:
    return isinstance(piece.source, Fill)


def _row_bytes(source: StoredTensor | Fill) -> int:
    """The length of a row of the source, at least 1."""
    return 1 if isinstance(source, Fill) else max(num_columns(source.shape) * source.dtype.itemsize, 1)


def _is_contiguous(piece: Piece, target: Target) -> bool:
    """Whether a piece is one run of bytes on both sides."""
    source = piece.source
    if isinstance(source, Fill) or piece.scale is not None or source.dtype != target.dtype:
        return False
    _, columns = piece.extents(0)
    return columns == (0, num_columns(source.shape)) == (0, num_columns(target.shape))


def _view(data: bytearray, rows: int, width: int) -> np.ndarray:
    """The first bytes of a buffer as [rows, width]."""
    return np.frombuffer(data, np.uint8, rows * width).reshape(rows, width)


def _tensor(rows: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Bytes [rows, bytes of a row] as a tensor [rows, columns] of the same memory."""
    return torch.from_numpy(rows).view(dtype)
