"""Winnowed anchors (Schleimer, Wilkerson and Aiken, 2003): every window of symbols chooses one n-gram by its hash.

Of the n-grams inside a window, that with the least hash is its anchor, the leftmost of equals. Equal windows choose
equal anchors at equal places, so repeats are found among places with equal anchors, and no repeat is missed.
"""

import numpy as np
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import longest, mix, words_of

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True)
def word_symbols(
    data: np.ndarray, offsets: np.ndarray, classes: np.ndarray, folded: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hash of each word uint32 [W], where each text's words begin int64 [N + 1], each word's byte in it int64 [W])."""
    places = longest(offsets) // 2 + 2
    words, starts = np.empty(places, np.uint64), np.empty(places, np.int64)
    most = (offsets[-1] - offsets[0]) // 2 + offsets.shape[0] + 1
    found, at = np.empty(most, np.uint32), np.empty(most, np.int64)
    ends = np.zeros(offsets.shape[0], np.int64)
    total = 0
    for row in range(offsets.shape[0] - 1):
        count = words_of(data, offsets[row], offsets[row + 1], classes, folded, words, starts)
        for i in range(count):
            found[total], at[total] = np.uint32(mix(words[i]) >> np.uint64(32)), starts[i] - offsets[row]
            total += 1
        ends[row + 1] = total
    return found[:total].copy(), ends, at[:total].copy()


@njit(nogil=True, cache=True)
def anchors(data: np.ndarray, offsets: np.ndarray, size: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hashes uint64, rows uint32, positions in the text uint32) of the anchors of all windows of `length` symbols.

    `size` is the length of the n-grams. Linear in the symbols, whatever they are.
    """
    window = length - size + 1
    places = 1024 + 3 * (offsets[-1] - offsets[0]) // window
    hashes, rows, positions = np.empty(places, np.uint64), np.empty(places, np.uint32), np.empty(places, np.uint32)
    slots = 1
    while slots < window + 1:
        slots *= 2
    mask = slots - 1
    values, places_of = np.empty(slots, np.uint64), np.empty(slots, np.int64)
    oldest = np.uint64(1)
    for _ in range(size):
        oldest *= _FACTOR
    count = 0
    for row in range(offsets.shape[0] - 1):
        start, total = offsets[row], offsets[row + 1] - offsets[row]
        rolling, head, tail, last = np.uint64(0), 0, 0, -1
        for i in range(total if total >= length else 0):
            rolling = rolling * _FACTOR + np.uint64(data[start + i]) + np.uint64(1)
            if i >= size:
                rolling -= oldest * (np.uint64(data[start + i - size]) + np.uint64(1))
            p = i - size + 1
            if p < 0:
                continue
            # The queue holds the n-grams that may become the least of a window: rising, the leftmost of equals first.
            value = mix(rolling)
            while tail > head and values[(tail - 1) & mask] > value:
                tail -= 1
            values[tail & mask], places_of[tail & mask] = value, p
            tail += 1
            if places_of[head & mask] <= p - window:
                head += 1
            if p >= window - 1 and places_of[head & mask] != last:
                if count == hashes.shape[0]:
                    hashes = np.concatenate((hashes, np.empty_like(hashes)))
                    rows = np.concatenate((rows, np.empty_like(rows)))
                    positions = np.concatenate((positions, np.empty_like(positions)))
                last = places_of[head & mask]
                hashes[count], rows[count], positions[count] = values[head & mask], row, last
                count += 1
    return hashes[:count].copy(), rows[:count].copy(), positions[:count].copy()


@njit(nogil=True, cache=True)
def joined_spans(spans: np.ndarray) -> np.ndarray:
    """Spans [S, 3] int64 (row, start, stop), sorted, joined where they touch: [J, 4], the last the longest's place."""
    joined, count, widest = np.empty((spans.shape[0], 4), np.int64), 0, 0
    for i in range(spans.shape[0]):
        row, start, stop = spans[i, 0], spans[i, 1], spans[i, 2]
        if count and joined[count - 1, 0] == row and start <= joined[count - 1, 2]:
            joined[count - 1, 2] = max(joined[count - 1, 2], stop)
            if stop - start > widest:
                joined[count - 1, 3], widest = i, stop - start
        else:
            joined[count, 0], joined[count, 1], joined[count, 2], joined[count, 3] = row, start, stop, i
            count, widest = count + 1, stop - start
    return joined[:count].copy()


@inner
def _is_edge(data, low, high, p, boundary):
    """Whether a cut at p splits no character (boundary 2), no line (1), neither line nor sentence (0)."""
    if p in (low, high):
        return True
    if data[p] & 0xC0 == 0x80:
        return False
    a = data[p - 1]
    if boundary == 2 or a == 10:
        return True
    if boundary == 1 or p - low < 3:
        return False
    if a == 32:
        return data[p - 2] == 46 or data[p - 2] == 33 or data[p - 2] == 63
    # The full stops of Chinese and Japanese: U+3002, U+FF01, U+FF1F.
    b, c = data[p - 2], data[p - 3]
    return (c == 0xE3 and b == 0x80 and a == 0x82) or (c == 0xEF and b == 0xBC and (a == 0x81 or a == 0x9F))


@njit(nogil=True, cache=True)
def snap(data: np.ndarray, offsets: np.ndarray, spans: np.ndarray, boundary: int) -> None:
    """Shrink spans (row, start, stop, ...) in place to the nearest edges inside them; without two, they become empty.

    `boundary`: 0 ends of sentences and lines, 1 of lines, 2 of characters.
    """
    for i in range(spans.shape[0]):
        low, high = offsets[spans[i, 0]], offsets[spans[i, 0] + 1]
        start, stop = low + spans[i, 1], low + spans[i, 2]
        while start < stop and not _is_edge(data, low, high, start, boundary):
            start += 1
        while stop > start and not _is_edge(data, low, high, stop, boundary):
            stop -= 1
        spans[i, 1], spans[i, 2] = start - low, stop - low


@njit(nogil=True, cache=True)
def cut_spans(data: np.ndarray, offsets: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets) of the texts without the spans (row, start, stop, ...), which are disjoint and in order."""
    kept, ends = np.empty(offsets[-1] - offsets[0] + 1, np.uint8), np.zeros(offsets.shape[0], np.int64)
    count = span = 0
    for row in range(offsets.shape[0] - 1):
        at = offsets[row]
        while at < offsets[row + 1]:
            mine = span < spans.shape[0] and spans[span, 0] == row
            stop = offsets[row] + spans[span, 1] if mine else offsets[row + 1]
            for j in range(stop - at):
                kept[count + j] = data[at + j]
            count += stop - at
            at = stop
            if mine:
                at, span = offsets[row] + spans[span, 2], span + 1
        ends[row + 1] = count
    return kept[:count].copy(), ends
