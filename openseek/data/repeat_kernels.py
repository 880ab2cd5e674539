"""The kernels of `openseek.data.repeated_spans`: contexts of places with equal anchors, hashed, copied and compared.

Few places are compared with each other; of many, the windows are looked up by a rolling hash, offset by offset, and
what is found is compared symbol by symbol. The marked windows of a place all hold its anchor: they make one span.
"""

import numpy as np
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import mix

_FACTOR = np.uint64(0xD6E8FEB86659FD93)


@njit(nogil=True, cache=True)
def context_hashes(
    data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, positions: np.ndarray, before: int, length: int
) -> np.ndarray:
    """Hash uint64 [N] of each place's context, its extent and where the document ends in it included."""
    result = np.empty(rows.shape[0], np.uint64)
    for i in range(rows.shape[0]):
        low, high = offsets[rows[i]], offsets[rows[i] + 1]
        at = low + np.int64(positions[i])
        start, stop = max(low, at - before), min(high, at + length)
        a, b, c, d = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
        j = start
        # Four independent sums keep the multiplier busy.
        while j + 4 <= stop:
            a = a * _FACTOR + np.uint64(data[j])
            b = b * _FACTOR + np.uint64(data[j + 1])
            c = c * _FACTOR + np.uint64(data[j + 2])
            d = d * _FACTOR + np.uint64(data[j + 3])
            j += 4
        while j < stop:
            a = a * _FACTOR + np.uint64(data[j]) + np.uint64(1)
            j += 1
        extent = np.uint64(at - start) << np.uint64(32) | np.uint64(stop - at)
        result[i] = mix(mix(a ^ mix(b)) ^ mix(c ^ mix(d)) ^ mix(extent))
    return result


@njit(nogil=True, cache=True)
def copy_contexts(
    data: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    positions: np.ndarray,
    before: int,
    length: int,
    target: np.ndarray,
    starts: np.ndarray,
    centres: np.ndarray,
    stops: np.ndarray,
) -> None:
    """Copy each place's context to target[starts[i]:]; `centres` and `stops` get where its anchor and its end lie."""
    for i in range(rows.shape[0]):
        low, high = offsets[rows[i]], offsets[rows[i] + 1]
        at = low + np.int64(positions[i])
        start, stop = max(low, at - before), min(high, at + length)
        for j in range(stop - start):
            target[starts[i] + j] = data[start + j]
        centres[i], stops[i] = starts[i] + at - start, starts[i] + stop - start


@inner
def _same(text, x, y, count):
    equal = 0
    while equal < count and text[x + equal] == text[y + equal]:
        equal += 1
    return equal == count


@inner
def _note(reach, partner, y, x, left, right):
    """Widen what is marked around place y, for the sake of x."""
    if left + right > reach[y, 0] + reach[y, 1]:
        partner[y] = x
    reach[y, 0], reach[y, 1] = max(reach[y, 0], left), max(reach[y, 1], right)


@njit(nogil=True, cache=True)
def _compare_few(
    text, starts, centres, stops, first, last, size, length, owner, several, within, all_go, reach, partner
):
    for y in range(first, last):
        for x in range(first, y):
            apart = within or owner[x] != owner[y]
            if not (apart or (all_go and (several[x] or several[y]))):
                continue
            left, most = 0, min(centres[x] - starts[x], centres[y] - starts[y])
            while left < most and text[centres[x] - left - 1] == text[centres[y] - left - 1]:
                left += 1
            right, most = 0, min(stops[x] - centres[x], stops[y] - centres[y])
            while right < most and text[centres[x] + right] == text[centres[y] + right]:
                right += 1
            if right >= size and left + right >= length:
                if apart or several[x]:
                    _note(reach, partner, y, x, left, right)
                if all_go and (apart or several[y]):
                    _note(reach, partner, x, y, left, right)


@njit(nogil=True, cache=True)
def _look_up_many(
    text, starts, centres, stops, first, last, size, length, owner, several, within, all_go, reach, partner
):
    """The same for many representatives: of each offset, the windows go through a hash table in corpus order."""
    count, slots = last - first, 16
    while slots < 2 * count:
        slots *= 2
    keys, holder = np.empty(slots, np.uint64), np.empty(slots, np.int64)
    # The place that stands apart from the holder: in another document, or in several.
    stamp, apart_at = np.full(slots, -1, np.int64), np.full(slots, -1, np.int64)
    rolling, slot_of = np.zeros(count, np.uint64), np.empty(count, np.int64)
    ready, twin = np.zeros(count, np.bool_), np.full(count, -1, np.int64)
    oldest = np.uint64(1)
    for _ in range(length - 1):
        oldest *= _FACTOR
    for before in range(length - size, -1, -1):
        for i in range(count):
            y = first + i
            begin = centres[y] - before
            slot_of[i] = -1
            if begin < starts[y] or begin + length > stops[y]:
                ready[i], twin[i] = False, -1
                continue
            if ready[i]:
                rolling[i] -= (np.uint64(text[begin - 1]) + np.uint64(1)) * oldest
                rolling[i] = rolling[i] * _FACTOR + np.uint64(text[begin + length - 1]) + np.uint64(1)
            else:
                rolling[i], ready[i] = np.uint64(0), True
                for j in range(length):
                    rolling[i] = rolling[i] * _FACTOR + np.uint64(text[begin + j]) + np.uint64(1)
            key = mix(rolling[i])
            slot = np.int64(key & np.uint64(slots - 1))
            while stamp[slot] == before and keys[slot] != key:
                slot = (slot + 1) & (slots - 1)
            slot_of[i] = slot
            if stamp[slot] != before:
                stamp[slot], keys[slot], holder[slot] = before, key, y
                apart_at[slot] = y if all_go and several[y] else -1
                twin[i] = -1
                continue
            x = holder[slot]
            there = centres[x] - before
            # A pair that was equal one symbol earlier differs at most in the symbol that has come in.
            known = twin[i] == x
            if not _same(text, there + (length - 1 if known else 0), begin + (length - 1 if known else 0),
                         1 if known else length):  # fmt: skip
                slot_of[i], twin[i] = -1, -1
                continue
            twin[i] = x
            if within or owner[x] != owner[y]:
                apart_at[slot] = y
                _note(reach, partner, y, x, before, length - before)
            elif all_go and several[y]:
                apart_at[slot] = y
        for i in range(count if all_go else 0):
            if slot_of[i] >= 0 and apart_at[slot_of[i]] >= 0:
                y, x = first + i, holder[slot_of[i]]
                if owner[x] == owner[y] and not several[x]:
                    x = apart_at[slot_of[i]]
                _note(reach, partner, y, x, before, length - before)


@njit(nogil=True, cache=True)
def compare_classes(
    text: np.ndarray,
    starts: np.ndarray,
    centres: np.ndarray,
    stops: np.ndarray,
    classes: np.ndarray,
    owner: np.ndarray,
    several: np.ndarray,
    size: int,
    length: int,
    within: bool,
    all_go: bool,
    few: int,
) -> tuple[np.ndarray, np.ndarray]:
    """What is marked around each representative: (symbols before and from its anchor int64 [R, 2], partner int64 [R]).

    `text` holds their contexts; `classes` [C + 1] bounds those with one anchor, in corpus order; `several` bool [R] are
    those whose context stands in more than one document (`owner` uint64 [R] is the first).
    """
    reach, partner = np.zeros((starts.shape[0], 2), np.int64), np.full(starts.shape[0], -1, np.int64)
    for c in range(classes.shape[0] - 1):
        first, last = classes[c], classes[c + 1]
        if last - first < 2:
            continue
        if last - first <= few:
            _compare_few(
                text, starts, centres, stops, first, last, size, length, owner, several, within, all_go, reach, partner
            )
        else:
            _look_up_many(
                text, starts, centres, stops, first, last, size, length, owner, several, within, all_go, reach, partner
            )
    return reach, partner
