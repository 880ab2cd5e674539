"""Word n-grams that a text repeats, as Gopher measures them (Rae et al., 2021, table A1), by a numba kernel.

An (n + 1)-gram can only be repeated where the n-grams at its two places are. So each size looks only at the places that
the size before left, and ordinary prose is done after 3-grams.
"""

import numpy as np

from openseek.data.kernel import inner
from openseek.data.text_kernels import power_of_two, slot

SIZES = tuple(range(2, 11))
TOP_SIZES = (2, 3, 4)
_FACTOR = 0x2545F4914F6CDD1D


@inner
def _repeated(hashes, places, left, size, first, times, keys, stamps, owners, stamp, mask):
    """Keep of `places` those whose n-gram is met twice or more; returns how many.

    first[i] becomes the place where the n-gram at i is met first, times[i] how often the one first met at i is met.
    """
    for k in range(left):
        i = places[k]
        before = hashes[i] if size == 2 else np.uint64(first[i])
        key = (before * np.uint64(_FACTOR)) ^ hashes[i + size - 1]
        at = slot(keys, stamps, stamp, key, mask)
        if stamps[at] != stamp:
            stamps[at], keys[at], owners[at], times[i] = stamp, key, i, 0
        first[i] = owners[at]
        times[owners[at]] += 1
    kept = 0
    for k in range(left):
        if times[first[places[k]]] > 1:
            places[kept] = places[k]
            kept += 1
    return kept


@inner
def _top(places, left, size, first, times, begins):
    """Characters in the most frequent n-gram, the earliest of several, with spaces between its words."""
    best, most = 0, 1
    for k in range(left):
        if first[places[k]] == places[k] and times[places[k]] > most:
            best, most = places[k], times[places[k]]
    return (begins[best + size] - begins[best] + size - 1) * most


@inner
def _duplicates(places, left, size, first, seen, begins):
    """Characters in n-grams met before; reading goes on behind a repeated one, and what was skipped is not met."""
    characters, resume = 0, 0
    for k in range(left):
        i = places[k]
        if i < resume:
            continue
        if seen[first[i]] == size:
            characters += begins[i + size] - begins[i]
            resume = i + size
        seen[first[i]] = size
    return characters


@inner
def _pairs_met_twice(hashes, count, counts, mask, places):
    """Fill `places` with the words at which a pair begins that may be met twice; returns how many.

    Pairs are counted by a few bits of their hash, so that most of those met once go before the exact table is asked.
    """
    for i in range(mask + 1):
        counts[i] = 0
    for i in range(count - 1):
        key = (hashes[i] * np.uint64(_FACTOR)) ^ hashes[i + 1]
        at = (key >> np.uint64(32)) & np.uint64(mask)
        counts[at] += counts[at] < 2
    kept = 0
    for i in range(count - 1):
        key = (hashes[i] * np.uint64(_FACTOR)) ^ hashes[i + 1]
        places[kept] = i
        kept += counts[(key >> np.uint64(32)) & np.uint64(mask)] == 2
    return kept


@inner
def repetition(hashes, begins, count, places, first, times, seen, counts, keys, stamps, owners, stamp, found):
    """Fill `found` for the sizes 2 to 10: characters of the top n-gram up to size 4, of duplicate n-grams above.

    begins[i] is the number of characters in the words before word i. Uses the stamps from `stamp` on, one a size;
    `counts` needs power_of_two(4 * count) places.
    """
    left = _pairs_met_twice(hashes, count, counts, power_of_two(4 * count) - 1, places)
    for k in range(left):
        seen[places[k]] = 0
    for size in range(2, 11):
        mask = np.uint64(power_of_two(2 * left) - 1)
        left = _repeated(hashes, places, left, size, first, times, keys, stamps, owners, stamp + size, mask)
        if count < size:
            return
        if size <= 4:
            found[size - 2] = _top(places, left, size, first, times, begins)
        else:
            found[size - 2] = _duplicates(places, left, size, first, seen, begins)
        kept = 0
        for k in range(left - 1):
            if places[k + 1] == places[k] + 1:
                places[kept] = places[k]
                kept += 1
        left = kept
