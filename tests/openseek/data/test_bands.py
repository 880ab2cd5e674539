from itertools import pairwise

import numpy as np
import pytest

from openseek.data import bands


def signatures(rows: int = 40, hashes: int = 12, seed: int = 0) -> np.ndarray:
    """Few distinct values, so that many bands agree."""
    return np.random.default_rng(seed).integers(0, 3, (rows, hashes), dtype=np.uint32)


@pytest.mark.parametrize("bits", [0, 1, 5])
def test_records_are_all_bands_of_valid_rows_by_partition(bits: int) -> None:
    signature, valid = signatures(), np.arange(40) % 5 > 0
    bounds, keys, rows = bands.band_records(signature, valid, 3, 4, bits)
    assert len(keys) == bounds[-1] == 3 * valid.sum()
    assert np.bincount(rows, minlength=40).tolist() == (3 * valid).tolist()
    assert len(bounds) == (1 << bits) + 1
    partition = np.repeat(np.arange(1 << bits), np.diff(bounds)).astype(np.uint64)
    everything = bands.band_records(signature, valid, 3, 4, 0)
    leading = ((partition << np.uint64(32)) | keys) >> np.uint64(bits)
    assert sorted(zip(leading.tolist(), rows.tolist(), strict=True)) == sorted(
        zip(everything[1].tolist(), everything[2].tolist(), strict=True)
    )
    assert all((np.diff(rows[start:stop].astype(np.int64)) >= 0).all() for start, stop in pairwise(bounds))


def test_keys_agree_where_all_rows_of_a_band_do() -> None:
    signature = np.arange(24, dtype=np.uint32).reshape(2, 12)
    signature[1, 4:8] = signature[0, 4:8]
    signature[1, 8:11] = signature[0, 8:11]
    _, keys, _ = bands.band_records(signature, np.ones(2, bool), 3, 4, 0)
    assert (keys[:3] == keys[3:]).tolist() == [False, True, False]


def test_keys_met_again_are_all_found() -> None:
    keys = np.random.default_rng(1).integers(0, 1 << 63, 5000, dtype=np.uint64)
    keys[4000:] = keys[:1000]
    found = set(bands.met_again(keys).tolist())
    assert found >= set(range(1000)) | set(range(4000, 5000))
    assert len(found) < 3000
    assert len(bands.met_again(keys[:0])) == 0


def pairs(keys: list[int], ids: list[int], ranks: list[int], first_new: int = 0, most: int = 32) -> list[list[int]]:
    member, rank = (np.array(values, np.uint64) for values in (ids, ranks))
    found = bands.pairs_of_partition(np.array(keys, np.uint32), member, rank, first_new, most)[0]
    return bands.distinct_pairs(found).tolist()


def test_pairs_are_all_pairs_of_equal_keys() -> None:
    far = 7 << 32
    assert pairs([3, 2, 3, 1, 1, 1], [0, 1, 2, 4, 9, far], [0] * 6) == [[0, 2], [4, 9], [4, far], [9, far]]


def test_equal_keys_stand_together_in_their_order() -> None:
    generator = np.random.default_rng(3)
    keys = generator.integers(0, 1 << 32, 3000, dtype=np.uint32)
    # Long runs of few keys that share a bucket, one after the other and mixed.
    keys[1000:] = np.array([7, 8, 9], np.uint32)[generator.integers(0, 3, 2000)]
    order = bands.grouped(keys)
    assert sorted(order.tolist()) == list(range(3000))
    runs = np.split(order, np.flatnonzero(np.diff(keys[order].astype(np.int64))) + 1)
    assert len(runs) == len(set(keys.tolist()))
    assert all((np.diff(run) > 0).all() for run in runs)


def test_pairs_go_to_the_shard_of_one_end() -> None:
    found = np.array([[5, (3 << 32) + 1], [1 << 32, 2 << 32], [6, 3 << 32]], np.uint64)
    bounds, ordered = bands.by_shard(found, 1, 2, 4)
    assert (bounds.tolist(), ordered.tolist()) == ([0, 1, 3], found[[1, 0, 2]].tolist())
    bounds, ordered = bands.by_shard(found, 0, 0, 4)
    assert (bounds.tolist(), ordered.tolist()) == ([0, 2, 3, 3, 3], found[[0, 2, 1]].tolist())


def test_a_long_run_is_compared_with_the_preferred_ones() -> None:
    ids, ranks = list(range(6)), [5, 4, 3, 0, 2, 1]
    found, cut, longest = bands.pairs_of_partition(
        np.ones(6, np.uint32), np.array(ids, np.uint64), np.array(ranks, np.uint64), 0, 1
    )
    assert sorted(found.tolist()) == [[0, 3], [1, 3], [2, 3], [3, 4], [3, 5]]
    assert (cut, longest) == (1, 6)


def test_older_documents_are_not_compared_with_each_other() -> None:
    new = 1 << 32
    assert pairs([1] * 4, [0, 1, new, new + 1], [0] * 4, new) == [
        [0, new],
        [1, new],
        [0, new + 1],
        [1, new + 1],
        [new, new + 1],
    ]


def test_partitions_grow_with_the_corpus_and_never_too_large() -> None:
    assert bands.partition_bits(0, 0) == bands.partition_bits(1 << 20, 16) == 0
    assert bands.partition_bits(280_000_000, 100) == 8
    assert bands.partition_bits(1_120_000_000_000, 40_000) >= 14
