"""Word n-grams of documents as MinHash signatures and as exact sets: the kernels of near-duplicate search.

Signatures (Broder, 1997) are those of datasketch's `affine32` scheme bit for bit: min over the n-grams of
a_k * fmix32(h) + b_k mod 2^32, with the permutations that `datasketch.MinHash` draws.
"""

import numpy as np
from numba import njit

from openseek.data.kernel import inner
from openseek.data.lexers import tokens_of
from openseek.data.words import grams_of, longest


@njit(nogil=True, cache=True)
def signatures(
    data: np.ndarray,
    offsets: np.ndarray,
    kinds: np.ndarray,
    ngram: int,
    a: np.ndarray,
    b: np.ndarray,
    classes: np.ndarray,
    folded: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(signatures uint32 [N, K], words int64 [N]) of texts in an Arrow buffer, for permutations a, b uint32 [K].

    `kinds` uint8 [N] names the lexer of each text (`openseek.data.lexers`).
    """
    rows, num_hashes = offsets.shape[0] - 1, a.shape[0]
    places = longest(offsets) + 1
    words, starts, grams = np.empty(places, np.uint64), np.empty(places, np.int64), np.empty(places, np.uint64)
    result, counts = np.full((rows, num_hashes), np.uint32(0xFFFFFFFF), np.uint32), np.zeros(rows, np.int64)
    least = np.empty(num_hashes, np.uint32)
    for row in range(rows):
        counts[row] = tokens_of(data, offsets[row], offsets[row + 1], kinds[row], classes, folded, words, starts)
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
def agreement(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Equal places [P] int64 of signature pairs [P, K]: K times the estimate of their Jaccard similarity."""
    equal = np.zeros(left.shape[0], np.int64)
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            equal[i] += left[i, k] == right[i, k]
    return equal


@inner
def _sort_hashes(values, count, ordered, bounds):
    """Sort values[:count], which are spread evenly over 64 bits, into `ordered`: one pass by their leading bits.

    `bounds` needs at least 2 * count + 2 places.
    """
    bits = 1
    while (1 << bits) < count:
        bits += 1
    shift = np.uint64(64 - bits)
    for k in range((1 << bits) + 1):
        bounds[k] = 0
    for i in range(count):
        bounds[np.int64(values[i] >> shift) + 1] += 1
    for k in range(1 << bits):
        bounds[k + 1] += bounds[k]
    for i in range(count):
        k = np.int64(values[i] >> shift)
        ordered[bounds[k]] = values[i]
        bounds[k] += 1
    for i in range(1, count):
        value, j = ordered[i], i
        while j > 0 and ordered[j - 1] > value:
            ordered[j] = ordered[j - 1]
            j -= 1
        ordered[j] = value


@njit(nogil=True, cache=True)
def gram_sets(
    data: np.ndarray,
    offsets: np.ndarray,
    kinds: np.ndarray,
    ngram: int,
    classes: np.ndarray,
    folded: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(sorted distinct n-gram hashes uint64, offsets int64 [N + 1]) of the texts, back to back."""
    places = longest(offsets) + 1
    words, starts, grams = np.empty(places, np.uint64), np.empty(places, np.int64), np.empty(places, np.uint64)
    ordered, bounds = np.empty(places, np.uint64), np.empty(2 * places + 2, np.int64)
    values = np.empty(offsets[-1] - offsets[0] + 1, np.uint64)
    ends = np.zeros(offsets.shape[0], np.int64)
    end = 0
    for row in range(offsets.shape[0] - 1):
        count = tokens_of(data, offsets[row], offsets[row + 1], kinds[row], classes, folded, words, starts)
        count = grams_of(words, count, ngram, grams)
        _sort_hashes(grams, count, ordered, bounds)
        for j in range(count):
            if j == 0 or ordered[j] != ordered[j - 1]:
                values[end] = ordered[j]
                end += 1
        ends[row + 1] = end
    return values[:end].copy(), ends


@njit(nogil=True, cache=True)
def jaccard(
    left: np.ndarray,
    left_offsets: np.ndarray,
    left_rows: np.ndarray,
    right: np.ndarray,
    right_offsets: np.ndarray,
    right_rows: np.ndarray,
    least: float,
) -> np.ndarray:
    """Exact Jaccard similarity [P] of pairs of sorted sets; 0 where both are empty, and where it is below `least`."""
    result = np.zeros(left_rows.shape[0])
    for p in range(left_rows.shape[0]):
        i, i_end = left_offsets[left_rows[p]], left_offsets[left_rows[p] + 1]
        j, j_end = right_offsets[right_rows[p]], right_offsets[right_rows[p] + 1]
        size, both = (i_end - i) + (j_end - j), 0
        # Of n values only so many may be without a partner, or the similarity cannot be reached any more.
        spare = np.int64(np.floor(size * (1.0 - least) / (1.0 + least) + 1e-9))
        while i < i_end and j < j_end and spare >= 0:
            if left[i] == right[j]:
                both += 1
                i += 1
                j += 1
            else:
                spare -= 1
                if left[i] < right[j]:
                    i += 1
                else:
                    j += 1
        if spare >= 0 and size > both:
            value = both / (size - both)
            if value >= least:
                result[p] = value
    return result
