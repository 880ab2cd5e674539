"""Counts of values in bins that are the same for every shard, so that shards are counted apart and added up."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

SHARE_BINS = 100
SHARE_FROM = 0.02
STEPS_A_DECADE = 10
DECADES = (-3, 9)
ONE = 1 - DECADES[0] * STEPS_A_DECADE
"""The bin that begins at 1 on a logarithmic axis, where zero has bin 0."""

Bins = dict[str, int]
"""Bin number (as text, so that JSON keeps it) -> count; empty bins are left out."""


def is_share(limit: float | None) -> bool:
    """Whether values with this limit are drawn on an even axis from 0 to 1, rather than on a logarithmic one."""
    return limit is not None and (limit == 0 or SHARE_FROM <= limit < 1)


@functools.cache
def edges(share: bool) -> np.ndarray:
    """Where the bins begin and end; values beyond the last edge are in the last bin."""
    if share:
        return np.linspace(0, 1, SHARE_BINS + 1)
    first, last = DECADES
    powers = np.arange(first * STEPS_A_DECADE, last * STEPS_A_DECADE + 1) / STEPS_A_DECADE
    # Zero has a bin of its own before the smallest power. Rounded, so that 2 and 5 and 8 begin a bin exactly.
    return np.concatenate(([0.0], np.array([_rounded(10.0**power) for power in powers])))


def _rounded(value: float) -> float:
    digits = 1 - math.floor(math.log10(value))
    return round(value, digits)


def count(values: np.ndarray, share: bool) -> Bins:
    """Finite values in their bins."""
    borders = edges(share)
    finite = values[np.isfinite(values)]
    places = np.clip(np.searchsorted(borders, finite, "right") - 1, 0, len(borders) - 2)
    numbers, counts = np.unique(places, return_counts=True)
    return {str(number): int(n) for number, n in zip(numbers.tolist(), counts.tolist(), strict=True)}


def add(total: Bins, more: Mapping[str, int]) -> None:
    """Add counts to `total`."""
    for number, n in more.items():
        total[number] = total.get(number, 0) + n
