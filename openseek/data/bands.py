"""Locality-sensitive hashing by bands (Leskovec, Rajaraman and Ullman, 3.4): band keys, runs of equal keys, pairs.

Records are (key, row id); they travel between tasks in partitions by the leading bits of the key.
"""

import numpy as np
from numba import njit

from openseek.data.row_ids import distinct
from openseek.data.words import mix

LEAST_RECORDS, MOST_RECORDS, SLICE_RECORDS = 1 << 20, 1 << 26, 1 << 12
MOST_MET = 1 << 23


def partition_bits(records: int, shards: int) -> int:
    """Leading bits that name a partition: about a million records each, more where slices of shards would be tiny."""
    wanted = min(records // LEAST_RECORDS, max(1, records // max(1, shards) // SLICE_RECORDS))
    return int(max(1, wanted, -(-records // MOST_RECORDS)) - 1).bit_length()


@njit(nogil=True, cache=True)
def band_records(
    signature: np.ndarray, valid: np.ndarray, num_bands: int, rows_per_band: int, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(bounds int64 [2^bits + 1], keys uint64, rows uint32) of the bands of signatures uint32 [N, K], by partition.

    Rows without `valid` bool [N] have no records.
    """
    rows, total = signature.shape[0], num_bands * np.sum(valid)
    keys, owners = np.empty(total, np.uint64), np.empty(total, np.uint32)
    bounds, count = np.zeros((1 << bits) + 1, np.int64), 0
    for row in range(rows):
        if not valid[row]:
            continue
        for band in range(num_bands):
            key = np.uint64(band + 1)
            for k in range(band * rows_per_band, (band + 1) * rows_per_band):
                key = mix(key ^ np.uint64(signature[row, k]))
            keys[count], owners[count] = key, row
            count += 1
    if bits == 0:
        bounds[1] = total
        return bounds, keys, owners
    shift = np.uint64(64 - bits)
    for i in range(total):
        bounds[np.int64(keys[i] >> shift) + 1] += 1
    for k in range(1 << bits):
        bounds[k + 1] += bounds[k]
    place = bounds[:-1].copy()
    sorted_keys, sorted_owners = np.empty_like(keys), np.empty_like(owners)
    for i in range(total):
        k = np.int64(keys[i] >> shift)
        sorted_keys[place[k]], sorted_owners[place[k]] = keys[i], owners[i]
        place[k] += 1
    return bounds, sorted_keys, sorted_owners


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
def run_pairs(keys: np.ndarray, members: np.ndarray, first_new: int, most: int) -> tuple[np.ndarray, int, int]:
    """(pairs uint64 [P] as high << 32 | low, runs cut short, longest run) from sorted keys and members uint32.

    In a run of equal keys, members stand in order of preference, and each is paired with the `most` preferred ones
    before it, so that a run of n copies gives at most n * most pairs. Two members below `first_new` make no pair;
    a pair may be given more than once.
    """
    total, cut, begin, widest = 0, 0, 0, 0
    for i in range(1, keys.shape[0] + 1):
        if i == keys.shape[0] or keys[i] != keys[begin]:
            for place in range(1, i - begin):
                total += min(place, most)
            cut += i - begin > most + 1
            widest = max(widest, i - begin)
            begin = i
    slots = 1 << 6
    while slots < min(2 * total, MOST_MET):
        slots *= 2
    # Near copies meet in many bands: a pair that was given lately is not given again.
    met, pairs = np.zeros(slots, np.uint64), np.empty(total, np.uint64)
    count = begin = 0
    for i in range(1, keys.shape[0]):
        if keys[i] != keys[begin]:
            begin = i
        for j in range(begin, min(i, begin + most)):
            low, high = min(members[i], members[j]), max(members[i], members[j])
            code = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
            slot = np.int64(mix(code) & np.uint64(slots - 1))
            if high >= first_new and low != high and met[slot] != code:
                met[slot] = pairs[count] = code
                count += 1
    return pairs[:count].copy(), cut, widest


def pairs_of_partition(
    keys: np.ndarray, ids: np.ndarray, ranks: np.ndarray, first_new: int, most: int
) -> tuple[np.ndarray, int, int]:
    """(distinct pairs uint64 [P, 2] of row ids low < high, by high then low; runs cut; longest run) of equal keys.

    `ranks` uint64 is the preference of each record's document, the least most preferred; ids below the row id
    `first_new` belong to an older corpus, whose documents are not compared with each other.
    """
    order = np.lexsort((ids, ranks, keys))
    nodes = distinct(ids)
    border = int(np.searchsorted(nodes, np.uint64(first_new)))
    members = np.searchsorted(nodes, ids[order]).astype(np.uint32)
    pairs, cut, widest = run_pairs(keys[order], members, border, most)
    return decoded(distinct(pairs), nodes), cut, widest


def decoded(codes: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Pairs uint64 [P, 2] (low, high) of row ids from `high << 32 | low`, places in `nodes`."""
    return np.stack((nodes[codes & np.uint64(0xFFFFFFFF)], nodes[codes >> np.uint64(32)]), axis=1)


def distinct_pairs(pairs: np.ndarray) -> np.ndarray:
    """Pairs uint64 [P, 2] (low, high) of row ids, each once, sorted by high, then low."""
    nodes = distinct(pairs)
    places = np.searchsorted(nodes, pairs).astype(np.uint64)
    return decoded(distinct((places[:, 1] << np.uint64(32)) | places[:, 0]), nodes)
