"""Best-fit packing: whole rows into sequences of a fixed length, with little left over."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of row indices whose lengths sum to at most `capacity`: longest rows first, each into the fullest it fits.

    Best-fit decreasing (Ding et al., 2024, arXiv:2404.10830); the same rows give the same bins. Raises ValueError for a
    row longer than `capacity`.
    """
    bins: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (room left, bin), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        if length > capacity:
            raise ValueError(f"row {index} has {length} tokens and cannot be packed into sequences of {capacity}")
        place = bisect.bisect_left(free, (length, -1))
        if place == len(free):
            bins.append([])
            room, chosen = capacity, len(bins) - 1
        else:
            room, chosen = free.pop(place)
        bins[chosen].append(index)
        bisect.insort(free, (room - length, chosen))
    return bins
