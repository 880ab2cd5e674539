"""Word n-grams of documents as MinHash signatures and as exact sets: the kernels of near-duplicate search.

Signatures (Broder, 1997) are those of datasketch's `affine32` scheme bit for bit: min over the n-grams of
a_k * fmix32(h) + b_k mod 2^32, with the permutations that `datasketch.MinHash` draws.
"""

import numpy as np
from numba import njit

from openseek.data.words import grams_of, longest, mix, words_of


@njit(nogil=True, cache=True)
def signatures(
    data: np.ndarray,
    offsets: np.ndarray,
    ngram: int,
    a: np.ndarray,
    b: np.ndarray,
    classes: np.ndarray,
    folded: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(signatures uint32 [N, K], words int64 [N]) of texts in an Arrow buffer, for permutations a, b uint32 [K]."""
    rows, num_hashes = offsets.shape[0] - 1, a.shape[0]
    places = longest(offsets) // 2 + 2
    words, starts, grams = np.empty(places, np.uint64), np.empty(places, np.int64), np.empty(places, np.uint64)
    result, counts = np.full((rows, num_hashes), np.uint32(0xFFFFFFFF), np.uint32), np.zeros(rows, np.int64)
    least = np.empty(num_hashes, np.uint32)
    for row in range(rows):
        counts[row] = words_of(data, offsets[row], offsets[row + 1], classes, folded, words, starts)
        total = grams_of(words, counts[row], ngram, grams)
        least[:] = np.uint32(0xFFFFFFFF)
        for i in range(total):
            h = np.uint32(grams[i])
            h ^= h >> np.uint32(16)
            h = np.uint32(h * np.uint32(0x85EBCA6B))
            h ^= h >> np.uint32(13)
            h = np.uint32(h * np.uint32(0xC2B2AE35))
            h ^= h >> np.uint32(16)
            for k in range(num_hashes):
                least[k] = min(least[k], np.uint32(a[k] * h + b[k]))
        result[row] = least
    return result, counts


@njit(nogil=True, cache=True)
def band_keys(signature: np.ndarray, rows_per_band: int) -> np.ndarray:
    """A 64-bit key [bands, N] of each band of each signature uint32 [N, K]."""
    rows, num_bands = signature.shape[0], signature.shape[1] // rows_per_band
    keys = np.empty((num_bands, rows), np.uint64)
    for row in range(rows):
        for band in range(num_bands):
            key = np.uint64(band + 1)
            for k in range(band * rows_per_band, (band + 1) * rows_per_band):
                key = mix(key ^ np.uint64(signature[row, k]))
            keys[band, row] = key
    return keys


@njit(nogil=True, cache=True)
def run_pairs(keys: np.ndarray, members: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """(pairs uint64 [P] as left << 32 | right, runs cut short) from keys sorted stably, members in order of preference.

    In a run of equal keys each member is paired with the `most` preferred ones before it, so that a run of n copies
    gives at most n * most pairs.
    """
    total, cut, begin = 0, 0, 0
    for i in range(1, keys.shape[0] + 1):
        if i == keys.shape[0] or keys[i] != keys[begin]:
            for place in range(1, i - begin):
                total += min(place, most)
            cut += i - begin > most + 1
            begin = i
    pairs = np.empty(total, np.uint64)
    count = 0
    begin = 0
    for i in range(1, keys.shape[0]):
        if keys[i] != keys[begin]:
            begin = i
        for j in range(begin, min(i, begin + most)):
            pairs[count] = (np.uint64(members[j]) << np.uint64(32)) | np.uint64(members[i])
            count += 1
    return pairs, cut


@njit(nogil=True, cache=True)
def agreement(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Equal places [P] int64 of signature pairs [P, K]: K times the estimate of their Jaccard similarity."""
    equal = np.zeros(left.shape[0], np.int64)
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            equal[i] += left[i, k] == right[i, k]
    return equal


@njit(nogil=True, cache=True)
def gram_sets(
    data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, ngram: int, classes: np.ndarray, folded: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(sorted distinct n-gram hashes uint64, offsets int64 [R + 1]) of the given rows, back to back."""
    places, total = longest(offsets) // 2 + 2, 0
    for row in rows:
        total += (offsets[row + 1] - offsets[row]) // 2 + 2
    words, starts, grams = np.empty(places, np.uint64), np.empty(places, np.int64), np.empty(places, np.uint64)
    values, bounds = np.empty(total, np.uint64), np.zeros(rows.shape[0] + 1, np.int64)
    end = 0
    for i in range(rows.shape[0]):
        count = words_of(data, offsets[rows[i]], offsets[rows[i] + 1], classes, folded, words, starts)
        ordered = np.sort(grams[: grams_of(words, count, ngram, grams)])
        for j in range(ordered.shape[0]):
            if j == 0 or ordered[j] != ordered[j - 1]:
                values[end] = ordered[j]
                end += 1
        bounds[i + 1] = end
    return values[:end], bounds


@njit(nogil=True, cache=True)
def jaccard(
    left: np.ndarray,
    left_offsets: np.ndarray,
    left_rows: np.ndarray,
    right: np.ndarray,
    right_offsets: np.ndarray,
    right_rows: np.ndarray,
) -> np.ndarray:
    """Exact Jaccard similarity [P] of pairs of sorted sets; 0 where both are empty."""
    result = np.zeros(left_rows.shape[0])
    for p in range(left_rows.shape[0]):
        i, i_end = left_offsets[left_rows[p]], left_offsets[left_rows[p] + 1]
        j, j_end = right_offsets[right_rows[p]], right_offsets[right_rows[p] + 1]
        size, both = (i_end - i) + (j_end - j), 0
        while i < i_end and j < j_end:
            if left[i] == right[j]:
                both += 1
                i += 1
                j += 1
            elif left[i] < right[j]:
                i += 1
            else:
                j += 1
        if size > both:
            result[p] = both / (size - both)
    return result
