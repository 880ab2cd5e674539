"""Several numpy arrays in one file, mapped into memory when read: what dedup's passes leave for each other.

A partitioned file holds records sorted by partition, with the bounds and the xxh3_64 of each partition first, so that a
reader of one partition knows that it got what was written.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash
from numpy.lib import format as npy


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
        arrays, size = [], path.stat().st_size
        with open(path, "rb") as file:
            while file.tell() < size:
                version = npy.read_magic(file)
                read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read_header(file)
                if 0 in shape:
                    arrays.append(np.zeros(shape, dtype))
                    continue
                begin = file.tell()
                mapped = np.memmap(file, dtype, "r", offset=begin, shape=shape)
                file.seek(begin + mapped.nbytes)
                arrays.append(mapped.view(np.ndarray))
    except (OSError, ValueError) as error:
        raise DamagedFile(str(path)) from error
    return arrays


def write_partitions(path: Path, bounds: np.ndarray, *arrays: np.ndarray) -> None:
    """Write records [N], arrays of equal length in the order of their partitions; `bounds` [P + 1] are these."""
    sums = np.zeros(len(bounds) - 1, np.uint64)
    parts = [np.ascontiguousarray(array) for array in arrays]
    for partition, (start, stop) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        sums[partition] = _checksum([part[start:stop] for part in parts])
    write_arrays(path, np.asarray(bounds, np.int64), sums, *parts)


def read_partition(path: Path, partition: int) -> list[np.ndarray]:
    """The records of one partition; DamagedFile where they are not those that were written."""
    arrays = read_arrays(path)
    if len(arrays) < 3 or len(arrays[0]) < partition + 2 or any(len(a) != arrays[0][-1] for a in arrays[2:]):
        raise DamagedFile(str(path))
    part = slice(*arrays[0][partition : partition + 2].tolist())
    records = [array[part] for array in arrays[2:]]
    if _checksum(records) != int(arrays[1][partition]):
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
