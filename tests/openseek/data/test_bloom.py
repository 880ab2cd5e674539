"""The filter never misses a repeat, and is wrong as often as it says."""

import math

import numpy as np
import pytest

from openseek.data import bloom

UNITS = 400_000


def distinct(count: int, seed: int = 0) -> np.ndarray:
    found = np.unique(np.random.default_rng(seed).integers(0, 2**64, count + 10, np.uint64))
    assert len(found) >= count
    return np.random.default_rng(seed).permutation(found)[:count]


def wrong(units: int, blocks: int, probes: int) -> int:
    """Distinct hashes that the filter takes for repeats."""
    return int(bloom.seen_before(bloom.empty(blocks), probes, distinct(units)).sum())


def test_every_repeat_is_found() -> None:
    hashes = distinct(5000)
    blocks, probes = bloom.size(5000, 1e-6)
    bits = bloom.empty(blocks)
    assert not bloom.seen_before(bits, probes, hashes).any()
    assert bloom.seen_before(bits, probes, hashes[::-1].copy()).all()


@pytest.mark.parametrize("rate", [0.05, 1e-2, 1e-3])
def test_it_is_wrong_as_often_as_it_says(rate: float) -> None:
    blocks, probes = bloom.size(UNITS, rate)
    expected = bloom.expected_errors(UNITS, blocks, probes)
    assert bloom.error(UNITS, blocks, probes) <= rate
    assert expected < rate * UNITS
    noise = 5 * math.sqrt(expected) + 2
    assert abs(wrong(UNITS, blocks, probes) - expected) < noise + 0.05 * expected


def test_a_filter_too_small_is_wrong_far_more_often() -> None:
    """Control: half the bits for the same rate."""
    blocks, probes = bloom.size(UNITS, 1e-3)
    assert wrong(UNITS, blocks // 2, probes) > 5 * 1e-3 * UNITS


def test_a_small_error_takes_more_bits() -> None:
    bits = [bloom.size(1_000_000, rate)[0] * bloom.BLOCK_BITS / 1e6 for rate in (1e-2, 1e-4, 1e-6, 1e-8)]
    assert bits == sorted(bits)
    # What a plain filter would need is the lower bound.
    assert [b >= -math.log2(r) * 1.44 for b, r in zip(bits, (1e-2, 1e-4, 1e-6, 1e-8), strict=True)] == [True] * 4
    assert bits[2] < 60


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0])
def test_an_impossible_error_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        bloom.size(10, rate)


def test_no_units() -> None:
    blocks, probes = bloom.size(0, 1e-6)
    assert blocks == 1
    assert bloom.error(0, blocks, probes) == 0
    assert bloom.expected_errors(0, blocks, probes) == 0
    assert not bloom.seen_before(bloom.empty(blocks), probes, np.zeros(0, np.uint64)).any()
