"""Several numpy arrays in one file, mapped into memory when read: what dedup's passes leave for each other."""

from pathlib import Path

import numpy as np
from numpy.lib import format as npy


def write_arrays(path: Path, *arrays: np.ndarray) -> None:
    """Write arrays one after the other, each in npy form."""
    with open(path, "wb") as file:
        for array in arrays:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(path: Path) -> list[np.ndarray]:
    """The arrays of a file, read-only and mapped."""
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
    return arrays
