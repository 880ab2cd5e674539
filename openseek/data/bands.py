"""Locality-sensitive hashing by bands (Leskovec, Rajaraman and Ullman, 3.4): band keys, runs of equal keys, pairs.

Records are (key, row); they travel between tasks in partitions by the leading bits of the band's hash.
"""

import numpy as np
from numba import njit

from openseek.data.kernel import inlined
from openseek.data.words import mix

LEAST_RECORDS, MOST_RECORDS, SLICE_RECORDS = 1 << 20, 1 << 26, 1 << 14
MOST_MET = 1 << 23
INSERTED = 32
"""Up to so many values are sorted by insertion."""


def partition_bits(records: int, shards: int) -> int:
    """Leading bits that name a partition: about a million records each, more where slices of shards would be tiny."""
    wanted = min(records // LEAST_RECORDS, max(1, records // max(1, shards) // SLICE_RECORDS))
    return int(max(1, wanted, -(-records // MOST_RECORDS)) - 1).bit_length()


@njit(nogil=True, cache=True)
def band_records(
    signature: np.ndarray, valid: np.ndarray, num_bands: int, rows_per_band: int, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(bounds int64 [2^bits + 1], keys uint32, rows uint32) of the bands of signatures uint32 [N, K], by partition.

    The leading `bits` of a band's 64-bit hash are its partition, the next 32 its key; the records of a partition come
    in the order of their rows. Rows without `valid` bool [N] have no records.
    """
    rows, total = signature.shape[0], num_bands * np.sum(valid)
    hashes, owners = np.empty(total, np.uint64), np.empty(total, np.uint32)
    bounds, count, shift = np.zeros((1 << bits) + 1, np.int64), 0, np.uint64(63 - bits)
    for row in range(rows):
        if not valid[row]:
            continue
        for band in range(num_bands):
            value = np.uint64(band + 1)
            for k in range(band * rows_per_band, (band + 1) * rows_per_band):
                value = mix(value ^ np.uint64(signature[row, k]))
            hashes[count], owners[count] = value, row
            count += 1
            # A shift by 64 would be none.
            bounds[np.int64((value >> np.uint64(1)) >> shift) + 1] += 1
    for k in range(1 << bits):
        bounds[k + 1] += bounds[k]
    place = bounds[:-1].copy()
    keys, sorted_owners = np.empty(total, np.uint32), np.empty(total, np.uint32)
    for i in range(total):
        k = np.int64((hashes[i] >> np.uint64(1)) >> shift)
        keys[place[k]] = np.uint32((hashes[i] << np.uint64(bits)) >> np.uint64(32))
        sorted_owners[place[k]] = owners[i]
        place[k] += 1
    return bounds, keys, sorted_owners


@njit(nogil=True, cache=True)
def met_again(keys: np.ndarray) -> np.ndarray:
    """Places int64 of the keys that occur more than once, in order, and of few others.

    Most keys are alone. A table of bits met and bits met again, small enough for the cache, finds them without a sort.
    """
    total, bits = keys.shape[0], 6
    while (1 << bits) < 8 * total:
        bits += 1
    once, twice = np.zeros(1 << (bits - 6), np.uint64), np.zeros(1 << (bits - 6), np.uint64)
    mask = np.uint64((1 << bits) - 1)
    for i in range(total):
        low = keys[i] & mask
        word, bit = low >> np.uint64(6), np.uint64(1) << (low & np.uint64(63))
        twice[word] |= once[word] & bit
        once[word] |= bit
    found, count = np.empty(total, np.int64), 0
    for i in range(total):
        low = keys[i] & mask
        if (twice[low >> np.uint64(6)] >> (low & np.uint64(63))) & np.uint64(1):
            found[count] = i
            count += 1
    return found[:count].copy()


@njit(nogil=True, cache=True)
def grouped(keys: np.ndarray) -> np.ndarray:
    """An order int64 of keys uint32 [N] in which equal ones stand together, in the order in which they came."""
    total, bits = keys.shape[0], 1
    while (1 << bits) < total and bits < 31:
        bits += 1
    shift = np.uint32(32 - bits)
    bounds = np.zeros((1 << bits) + 1, np.int64)
    for i in range(total):
        bounds[(keys[i] >> shift) + 1] += 1
    for k in range(1 << bits):
        bounds[k + 1] += bounds[k]
    order, place = np.empty(total, np.int64), bounds[:-1].copy()
    for i in range(total):
        k = keys[i] >> shift
        order[place[k]] = i
        place[k] += 1
    for k in range(1 << bits):
        if bounds[k + 1] - bounds[k] > 1:
            _sort_by(keys, order[bounds[k] : bounds[k + 1]])
    return order


@njit(nogil=True, cache=True)
def _sort_by(values, order):
    """Sort places by their values; equal ones keep their order."""
    if order.shape[0] > INSERTED:
        order[:] = order[np.argsort(values[order], kind="mergesort")]
        return
    for i in range(1, order.shape[0]):
        own, j = order[i], i
        while j and values[order[j - 1]] > values[own]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = own


@inlined
def _slot(low, high, slots):
    return np.int64(mix(low ^ mix(high)) & np.uint64(slots - 1))


@njit(nogil=True, cache=True)
def pairs_of_partition(
    keys: np.ndarray, ids: np.ndarray, ranks: np.ndarray, first_new: int, most: int
) -> tuple[np.ndarray, int, int]:
    """(pairs uint64 [P, 2] of row ids low < high with equal keys; runs cut short; longest run) of records by row id.

    `ranks` uint64 is the preference of each record's document, the least most preferred. In a run of equal keys each
    document is paired with the `most` preferred ones before it, so that n copies give at most n * most pairs. Ids below
    the row id `first_new` belong to an older corpus, whose documents are not compared with each other. A pair may be
    given more than once.
    """
    order = grouped(keys)
    total, cut, begin, widest = 0, 0, 0, 0
    for i in range(1, keys.shape[0] + 1):
        if i == keys.shape[0] or keys[order[i]] != keys[order[begin]]:
            for place in range(1, i - begin):
                total += min(place, most)
            cut += i - begin > most + 1
            widest = max(widest, i - begin)
            if i - begin > 1:
                _sort_by(ranks, order[begin:i])
            begin = i
    slots = 1 << 6
    while slots < min(2 * total, MOST_MET):
        slots *= 2
    # Near copies meet in many bands: a pair that was given lately is not given again.
    met, pairs = np.zeros((slots, 2), np.uint64), np.empty((total, 2), np.uint64)
    count = begin = 0
    for i in range(1, keys.shape[0]):
        if keys[order[i]] != keys[order[begin]]:
            begin = i
        for j in range(begin, min(i, begin + most)):
            one, other = ids[order[i]], ids[order[j]]
            low, high = min(one, other), max(one, other)
            slot = _slot(low, high, slots)
            if high >= first_new and low != high and (met[slot, 0] != low or met[slot, 1] != high):
                met[slot, 0] = pairs[count, 0] = low
                met[slot, 1] = pairs[count, 1] = high
                count += 1
    return pairs[:count].copy(), cut, widest


@njit(nogil=True, cache=True)
def by_shard(pairs: np.ndarray, end: int, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """(bounds int64 [stop - first + 1], pairs) by the shard, from `first` on, of one end (0 low, 1 high)."""
    bounds = np.zeros(stop - first + 1, np.int64)
    for i in range(pairs.shape[0]):
        bounds[np.int64(pairs[i, end] >> np.uint64(32)) - first + 1] += 1
    for k in range(stop - first):
        bounds[k + 1] += bounds[k]
    ordered, place = np.empty_like(pairs), bounds[:-1].copy()
    for i in range(pairs.shape[0]):
        k = np.int64(pairs[i, end] >> np.uint64(32)) - first
        ordered[place[k], 0], ordered[place[k], 1] = pairs[i, 0], pairs[i, 1]
        place[k] += 1
    return bounds, ordered


def distinct_pairs(pairs: np.ndarray) -> np.ndarray:
    """Pairs uint64 [P, 2] (low, high) of row ids, each once, sorted by high, then low."""
    found = _each_once(pairs)
    return found[np.lexsort((found[:, 0], found[:, 1]))]


@njit(nogil=True, cache=True)
def _each_once(pairs):
    slots = 1 << 6
    while slots < 2 * pairs.shape[0]:
        slots *= 2
    # A pair's high id is above its low one, so never 0.
    table, count = np.zeros((slots, 2), np.uint64), 0
    found = np.empty_like(pairs)
    for i in range(pairs.shape[0]):
        low, high = pairs[i, 0], pairs[i, 1]
        slot = _slot(low, high, slots)
        while table[slot, 1] and (table[slot, 0] != low or table[slot, 1] != high):
            slot = (slot + 1) & (slots - 1)
        if not table[slot, 1]:
            table[slot, 0] = found[count, 0] = low
            table[slot, 1] = found[count, 1] = high
            count += 1
    return found[:count].copy()
