"""Exact repeated byte spans: winnowed anchors (Schleimer et al., 2003), extended byte by byte. Numba kernels.

An anchor is the position of the least hash among `window` consecutive rolling hashes of `size` bytes, so two equal
spans of at least size + window - 1 bytes share one; about one position in window / 2 is an anchor.
"""

import numpy as np
from numba import njit

from openseek.data.words import mix

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True)
def anchors(data: np.ndarray, offsets: np.ndarray, size: int, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hashes uint64, rows int64, positions in the text int64) of the anchors of each text, in order."""
    places = max(1024, 3 * (offsets[-1] - offsets[0]) // window)
    hashes, rows, positions = np.empty(places, np.uint64), np.empty(places, np.int64), np.empty(places, np.int64)
    ring = np.empty(window, np.uint64)
    oldest = np.uint64(1)
    for _ in range(size):
        oldest *= _FACTOR
    count = 0
    for row in range(offsets.shape[0] - 1):
        start, length = offsets[row], offsets[row + 1] - offsets[row]
        rolling, best, best_at, last = np.uint64(0), np.uint64(0), -1, -1
        for i in range(length):
            rolling = rolling * _FACTOR + np.uint64(data[start + i]) + np.uint64(1)
            if i >= size:
                rolling -= oldest * (np.uint64(data[start + i - size]) + np.uint64(1))
            p = i - size + 1
            if p < 0:
                continue
            value = mix(rolling)
            ring[p % window] = value
            if best_at < 0 or value < best:
                best, best_at = value, p
            elif best_at <= p - window:
                best_at = p - window + 1
                best = ring[best_at % window]
                for q in range(best_at + 1, p + 1):
                    if ring[q % window] <= best:
                        best, best_at = ring[q % window], q
            # On a tie the anchor stays where it is: a run of one letter has an anchor a window, not one a byte.
            if p >= window - 1 and best_at != last:
                if count == hashes.shape[0]:
                    hashes = np.concatenate((hashes, np.empty_like(hashes)))
                    rows = np.concatenate((rows, np.empty_like(rows)))
                    positions = np.concatenate((positions, np.empty_like(positions)))
                hashes[count], rows[count], positions[count] = best, row, best_at
                count, last = count + 1, best_at
    return hashes[:count].copy(), rows[:count].copy(), positions[:count].copy()


@njit(nogil=True, cache=True)
def _extend(data, x, x_low, y, y_low, y_high, most):
    """Equal bytes (before, from) the positions x < y, at most `most` together, inside both texts."""
    left = 0
    while left < most and x - left > x_low and y - left > y_low and data[x - left - 1] == data[y - left - 1]:
        left += 1
    right = 0
    while left + right < most and y + right < y_high and data[x + right] == data[y + right]:
        right += 1
    return left, right


@njit(nogil=True, cache=True)
def repeats(
    data: np.ndarray,
    offsets: np.ndarray,
    documents: np.ndarray,
    positions: np.ndarray,
    by_hash: np.ndarray,
    hashes: np.ndarray,
    size: int,
    min_bytes: int,
    most: int,
    within: bool,
) -> np.ndarray:
    """Spans [S, 4] int64 (document, start, stop, document that has it first) equal to an earlier span of the corpus.

    `data` holds the texts one after the other; anchors come in text order and `by_hash` sorts them stably by hash. Each
    anchor is compared with the `most` earliest equal ones and the longest match counts. With `within`, spans of the
    same text count too, but do not overlap, so that a ruler of dashes is no repeat of itself.
    """
    total = by_hash.shape[0]
    place, run_start = np.empty(total, np.int64), np.empty(total, np.int64)
    begin = 0
    for i in range(total):
        if hashes[by_hash[i]] != hashes[by_hash[begin]]:
            begin = i
        place[by_hash[i]], run_start[by_hash[i]] = i, begin
    spans, count = np.empty((1024, 4), np.int64), 0
    covered, current = 0, -1
    for anchor in range(total):
        document, low = documents[anchor], offsets[documents[anchor]]
        y = low + positions[anchor]
        if document != current:
            current, covered = document, 0
        if y + size <= covered or run_start[anchor] == place[anchor]:
            continue
        best, best_left, best_document = 0, 0, -1
        for i in range(run_start[anchor], min(place[anchor], run_start[anchor] + most)):
            other = by_hash[i]
            if documents[other] == document and not within:
                break
            x_low = offsets[documents[other]]
            x = x_low + positions[other]
            # Equal text ends where the earlier one does, too: the bytes after it belong to another document.
            room = y - x if documents[other] == document else offsets[documents[other] + 1] - x_low
            stop = min(offsets[document + 1], y + offsets[documents[other] + 1] - x)
            left, right = _extend(data, x, x_low, y, low, stop, room)
            if left + right > best:
                best, best_left, best_document = left + right, left, documents[other]
        if best >= min_bytes:
            if count == spans.shape[0]:
                spans = np.concatenate((spans, np.empty_like(spans)))
            start = y - best_left - low
            spans[count, 0], spans[count, 1] = document, start
            spans[count, 2], spans[count, 3] = start + best, best_document
            count += 1
            covered = low + start + best
    return spans[:count].copy()


@njit(nogil=True, cache=True)
def _is_edge(data, low, high, p, sentences):
    """Whether a cut at p splits no character, and with `sentences` no line and no sentence either."""
    if p in (low, high):
        return True
    if data[p] & 0xC0 == 0x80:
        return False
    if not sentences:
        return True
    a = data[p - 1]
    if a == 10:
        return True
    if p - low < 3:
        return False
    if a == 32:
        return data[p - 2] == 46 or data[p - 2] == 33 or data[p - 2] == 63
    # The full stops of Chinese and Japanese: U+3002, U+FF01, U+FF1F.
    b, c = data[p - 2], data[p - 3]
    return (c == 0xE3 and b == 0x80 and a == 0x82) or (c == 0xEF and b == 0xBC and (a == 0x81 or a == 0x9F))


@njit(nogil=True, cache=True)
def snap(data: np.ndarray, offsets: np.ndarray, spans: np.ndarray, sentences: bool) -> None:
    """Shrink spans in place to the nearest edges inside them; a span without two edges becomes empty."""
    for i in range(spans.shape[0]):
        low, high = offsets[spans[i, 0]], offsets[spans[i, 0] + 1]
        start, stop = low + spans[i, 1], low + spans[i, 2]
        while start < stop and not _is_edge(data, low, high, start, sentences):
            start += 1
        while stop > start and not _is_edge(data, low, high, stop, sentences):
            stop -= 1
        spans[i, 1], spans[i, 2] = start - low, stop - low
