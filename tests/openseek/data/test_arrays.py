from pathlib import Path

import numpy as np

from openseek.data.arrays import read_arrays, write_arrays


def test_round_trip(tmp_path: Path) -> None:
    arrays = [
        np.arange(7, dtype=np.uint64),
        np.zeros((0, 5), np.uint32),
        np.eye(3, dtype=np.float32),
        np.array([1, 2], np.int8),
    ]
    write_arrays(tmp_path / "a.npy", *arrays)
    found = read_arrays(tmp_path / "a.npy")
    assert len(found) == len(arrays)
    for expected, array in zip(arrays, found, strict=True):
        assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
        assert (array == expected).all()
    assert not found[0].flags.writeable
