from pathlib import Path

import numpy as np
import pytest

from openseek.data.arrays import (
    DamagedFile,
    gather_partition,
    read_arrays,
    read_partition,
    write_arrays,
    write_partitions,
)


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


def partitioned(path: Path) -> list[np.ndarray]:
    arrays = [np.arange(6, dtype=np.uint64), np.arange(12, dtype=np.uint32).reshape(6, 2), np.array([b"id"] * 6, "S32")]
    write_partitions(path, np.array([0, 2, 2, 6]), *arrays)
    return arrays


def test_partitions_come_back_and_join(tmp_path: Path) -> None:
    arrays = partitioned(tmp_path / "0.npy")
    partitioned(tmp_path / "1.npy")
    for partition, (start, stop) in enumerate([(0, 2), (2, 2), (2, 6)]):
        found = read_partition(tmp_path / "0.npy", partition)
        assert all((a[start:stop] == b).all() for a, b in zip(arrays, found, strict=True))
    joined, counts = gather_partition([tmp_path / "0.npy", tmp_path / "1.npy"], 2)
    assert joined[0].tolist() == [2, 3, 4, 5] * 2
    assert counts.tolist() == [4, 4]
    assert gather_partition([], 0)[0] == []


def test_damage_of_a_partition_is_found_and_only_there(tmp_path: Path) -> None:
    path = tmp_path / "0.npy"
    partitioned(path)
    whole = path.read_bytes()
    where = whole.index(np.arange(12, dtype=np.uint32).tobytes())
    path.write_bytes(whole[:where] + b"\xff" + whole[where + 1 :])
    assert len(read_partition(path, 2)[0]) == 4
    with pytest.raises(DamagedFile, match=r"0\.npy"):
        read_partition(path, 0)
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedFile):
        read_partition(path, 2)
    path.unlink()
    with pytest.raises(DamagedFile):
        read_partition(path, 2)
