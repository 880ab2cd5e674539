"""Several numpy arrays in one file, mapped into memory when read: what dedup's passes leave for each other.

A partitioned file holds records sorted by partition, with the bounds and the xxh3_64 of each partition first, so that a
reader of one partition knows that it got what was written.
"""

import io
import math
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
import xxhash
from numpy.lib import format as npy

HEADER_BYTES = 128
"""What the header of an npy file of few dimensions takes."""


class DamagedFile(Exception):
    """An intermediate file is missing, cut short or not what was written; its path is the argument."""


def write_arrays(path: Path, *arrays: np.ndarray) -> None:
    """Write arrays one after the other, each in npy form."""
    with open(path, "wb") as file:
        for array in arrays:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(path: Path) -> list[np.ndarray]:
    """The arrays of a file, read-only and mapped; DamagedFile where it is missing or cut."""
    try:
        with open(path, "rb") as file:
            places = _places(file.fileno())
            # An empty file cannot be mapped.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if places else b""
        return [np.frombuffer(mapped, p.dtype, p.count, p.begin).reshape(p.shape) for p in places]
    except (OSError, ValueError) as error:
        raise DamagedFile(str(path)) from error


@dataclass(frozen=True)
class _Place:
    """Where an array lies in its file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def rows(self, file: int, start: int, stop: int) -> np.ndarray:
        """Some rows, read into memory."""
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        # An array without elements has no buffer that could be written to.
        if rows.nbytes and os.preadv(file, [rows.view(np.uint8).data], self.begin + start * row_bytes) != rows.nbytes:
            raise ValueError("cut off")
        return rows


def _places(file: int) -> list[_Place]:
    """Of each array of an open file."""
    places, at, size = [], 0, os.fstat(file).st_size
    while at < size:
        start = os.pread(file, HEADER_BYTES, at)
        length = int.from_bytes(start[8:10], "little") + 10
        header = start[:length] if length <= HEADER_BYTES else os.pread(file, length, at)
        dtype, shape = _header(header)
        places.append(_Place(dtype, shape, at + length))
        at += length + dtype.itemsize * math.prod(shape)
    if at > size:
        raise ValueError("cut off")
    return places


@lru_cache(4096)
def _header(header: bytes) -> tuple[np.dtype, tuple[int, ...]]:
    """(dtype, shape) that an npy header, version 1, tells."""
    stream = io.BytesIO(header)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("another version of npy")
    shape, _, dtype = npy.read_array_header_1_0(stream)
    return dtype, shape


def write_partitions(path: Path, bounds: np.ndarray, *arrays: np.ndarray) -> None:
    """Write records [N], arrays of equal length in the order of their partitions; `bounds` [P + 1] are these."""
    sums = np.zeros(len(bounds) - 1, np.uint64)
    parts = [np.ascontiguousarray(array) for array in arrays]
    for partition, (start, stop) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        sums[partition] = _checksum([part[start:stop] for part in parts])
    write_arrays(path, np.asarray(bounds, np.int64), sums, *parts)


def read_partition(path: Path, partition: int) -> list[np.ndarray]:
    """The records of one partition, in memory; DamagedFile where they are not those that were written."""
    try:
        with open(path, "rb", buffering=0) as opened:
            file = opened.fileno()
            bounds, sums, *arrays = _places(file)
            start, stop = bounds.rows(file, partition, partition + 2).tolist()
            records = [array.rows(file, start, stop) for array in arrays]
            whole = _checksum(records) == int(sums.rows(file, partition, partition + 1)[0])
    except (OSError, ValueError) as error:
        raise DamagedFile(str(path)) from error
    if not whole:
        raise DamagedFile(str(path))
    return records


def gather_partition(paths: Sequence[Path], partition: int) -> tuple[list[np.ndarray], np.ndarray]:
    """(the records of one partition of several files, joined; how many came from each file int64 [F])."""
    parts = [read_partition(path, partition) for path in paths]
    counts = np.array([len(part[0]) for part in parts], np.int64)
    return [np.concatenate([part[k] for part in parts]) for k in range(len(parts[0]) if parts else 0)], counts


def _checksum(arrays: Sequence[np.ndarray]) -> int:
    digest = xxhash.xxh3_64()
    for array in arrays:
        digest.update(array.tobytes() if not array.flags.c_contiguous else array.view(np.uint8).data)
    return digest.intdigest()


class Column(Sequence[np.ndarray]):
    """One array of each of several files, mapped whenever it is asked for, so that no file stays open."""

    def __init__(self, paths: Sequence[Path], which: int) -> None:
        self._paths, self._which = paths, which

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "Column": ...
    def __getitem__(self, index: int | slice) -> "np.ndarray | Column":
        if isinstance(index, slice):
            return Column(self._paths[index], self._which)
        return read_arrays(self._paths[index])[self._which]
