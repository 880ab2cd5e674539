"""Packing: every token once, whole documents where there is room, hardly any padding."""

import numpy as np
import pytest

from openseek.train.packing import best_fit
from openseek.train.packing_kernels import grouped_runs, pack


def packed(lengths: np.ndarray, size: int, seed: int = 0):
    count = -(-int(lengths.sum()) // size)
    return pack(lengths, size, np.random.default_rng(seed).permutation(count))


def log_normal(count: int, sigma: float = 1.2, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed).lognormal(6.2, sigma, count)
    return np.maximum(1, draws).astype(np.int64)


@pytest.mark.parametrize("size", [2, 129, 512, 4097])
@pytest.mark.parametrize("sigma", [0.1, 1.2, 2.0])
def test_every_token_is_in_one_sequence_and_only_the_last_has_padding(size, sigma):
    lengths = log_normal(2000, sigma)
    (first, document, offset, length), _ = packed(lengths, size)
    used = np.add.reduceat(length, first[:-1])
    assert used.max() <= size
    assert len(first) - 1 == -(-int(lengths.sum()) // size)
    for i in range(len(lengths)):
        mine = document == i
        order = np.argsort(offset[mine])
        begins, sizes = offset[mine][order], length[mine][order]
        assert begins[0] == 0 and begins[-1] + sizes[-1] == lengths[i]
        assert np.array_equal(begins[1:], (begins + sizes)[:-1])


def test_skewed_lengths_are_hardly_ever_cut():
    lengths = log_normal(20_000)
    (first, document, *_), cuts = packed(lengths, 4097)
    assert lengths.sum() / ((len(first) - 1) * 4097) > 0.999
    assert cuts <= 0.001 * len(lengths)
    pieces = np.bincount(document, minlength=len(lengths))
    whole = lengths <= 4097
    assert (pieces[whole] > 1).sum() <= cuts


def test_without_cuts_the_sequences_are_those_of_the_simple_packer():
    lengths = log_normal(3000)
    lengths = lengths[lengths <= 4097]
    bins = best_fit(lengths.tolist(), 4097)
    (first, *_), cuts = packed(lengths, 4097)
    assert cuts == 0
    assert len(first) - 1 == len(bins)


def test_documents_that_cannot_share_a_sequence_are_cut_and_not_dropped():
    (first, document, offset, length), cuts = packed(np.full(1000, 60), 100)
    assert len(first) - 1 == 600
    assert length.sum() == 60_000
    assert cuts > 300


def test_places_only_rename_the_sequences():
    lengths = log_normal(500)
    count = -(-int(lengths.sum()) // 1000)
    (first, document, offset, length), _ = pack(lengths, 1000, np.arange(count))
    places = np.random.default_rng(1).permutation(count)
    (moved, theirs, *_), _ = pack(lengths, 1000, places)
    for sequence, place in enumerate(places):
        ours = document[first[sequence] : first[sequence + 1]]
        assert np.array_equal(ours, theirs[moved[place] : moved[place + 1]])


def test_blocks_end_where_they_are_full():
    bounds = grouped_runs(np.array([5, 5, 1, 1, 1, 20, 1]), np.ones(7, np.int64), 10, 3)
    assert bounds.tolist() == [0, 2, 5, 6, 7]
