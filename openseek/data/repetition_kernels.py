"""Word n-grams that a text repeats, as Gopher measures them (Rae et al., 2021, table A1), by a numba kernel.

An (n + 1)-gram can only be repeated where the n-grams at its two places are. So each size looks only at the places that
the size before left, and ordinary prose is done after 3-grams.
"""

import numpy as np

from openseek.data.kernel import inner
from openseek.data.text_kernels import power_of_two

SIZES = tuple(range(2, 11))
TOP_SIZES = (2, 3, 4)
_FACTOR = 0x2545F4914F6CDD1D


@inner
def _find(table, stamp, key, mask):
    """Index of `key` in the open-addressing table [2 * places] of this stamp, or of the free place where it belongs.

    Key and owner lie side by side, so that one cache line answers; the stamp is in the owner's upper half.
    """
    h = key ^ (key >> np.uint64(31))
    h *= np.uint64(0x94D049BB133111EB)
    i = (h ^ (h >> np.uint64(32))) & mask
    while table[2 * i + np.uint64(1)] >> np.uint64(32) == stamp and table[2 * i] != key:
        i = (i + np.uint64(1)) & mask
    return 2 * i


@inner
def _repeated(hashes, places, left, size, first, times, table, stamp, mask):
    """Keep of `places` those whose n-gram is met twice or more; returns how many.

    first[i] becomes the place where the n-gram at i is met first, times[i] how often the one first met at i is met.
    """
    for k in range(left):
        i = places[k]
        before = hashes[i] if size == 2 else np.uint64(first[i])
        key = (before * np.uint64(_FACTOR)) ^ hashes[i + size - 1]
        at = _find(table, stamp, key, mask)
        owner = table[at + np.uint64(1)]
        if owner >> np.uint64(32) != stamp:
            owner, times[i] = np.uint64(i), 0
            table[at], table[at + np.uint64(1)] = key, (stamp << np.uint64(32)) | owner
        met = np.int64(owner & np.uint64(0xFFFFFFFF))
        first[i] = met
        times[met] += 1
    kept = 0
    for k in range(left):
        places[kept] = places[k]
        kept += times[first[places[k]]] > 1
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
def repetition(hashes, begins, count, places, first, times, seen, counts, table, stamp, found):
    """Fill `found` for the sizes 2 to 10: characters of the top n-gram up to size 4, of duplicate n-grams above.

    begins[i] is the number of characters in the words before word i. Uses the stamps from `stamp` on, one a size;
    `counts` and `table` need power_of_two(4 * count) places.
    """
    left = _pairs_met_twice(hashes, count, counts, power_of_two(4 * count) - 1, places)
    for k in range(left):
        seen[places[k]] = 0
    for size in range(2, 11):
        mask = np.uint64(power_of_two(2 * left) - 1)
        left = _repeated(hashes, places, left, size, first, times, table, np.uint64(stamp + size), mask)
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
