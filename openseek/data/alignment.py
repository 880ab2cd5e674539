"""Word-by-word alignment of a benchmark item with a text, from a common n-gram outwards, and chains of such pieces.

Extension is greedy: equal words are taken, and at a difference the nearest place is tried from which both go on alike.
Its cost is bounded by the item's length, never by the document's. Pieces further apart than a gap are chained.
"""

import numpy as np
from numba import njit

from openseek.data.kernel import inner

MAX_GAP = 6
"""Words that may be missing, added or exchanged between two runs of equal words."""
NEAR_GAP = 2
"""Up to so many differing words in all two equal words are enough to go on, beyond it three."""
LOOK_BACK = 24
"""Earlier pieces that a piece may be chained to."""
REACH = 32
"""Words of a text between two chained pieces: as many as the item has, and so many more."""
ROW, ITEM, ITEM_START, ITEM_STOP, START, STOP, MATCHED, WEIGHT, FIRST_BYTE, LAST_BYTE = range(10)
"""Columns of a piece: row of the text, item, words [start, stop) of both, words matched and the sum of their weights,
first byte of the first word in the text, first byte of the word after the last."""
PIECE = 10


@inner
def _alike(item, i, i_end, text, d, d_end, step, count):
    """Whether `count` words in a row are equal from item[i] and text[d] on, in direction `step`."""
    if (i_end - i) * step < count or (d_end - d) * step < count:
        return False
    equal = 0
    while equal < count and item[i + equal * step] == text[d + equal * step]:
        equal += 1
    return equal == count


@inner
def _resume(item, i, i_end, text, d, d_end, step):
    """(words of the item to skip, words of the text to skip) to the nearest place where both go on alike; (-1, 0)."""
    for total in range(1, 2 * MAX_GAP + 1):
        need = 2 if total <= NEAR_GAP else 3
        for skip in range(max(0, total - MAX_GAP), min(total, MAX_GAP) + 1):
            if _alike(item, i + skip * step, i_end, text, d + (total - skip) * step, d_end, step, need):
                return skip, total - skip
    return -1, 0


@inner
def extend(item, weights, i, i_end, text, d, d_end, step):
    """Align item[i:i_end] with text[d:d_end] in direction `step`.

    Returns (place after the last equal word in the item, in the text, words matched, their weight).
    """
    matched, weight = 0, 0
    while True:
        while i != i_end and d != d_end and item[i] == text[d]:
            weight += weights[i]
            i, d, matched = i + step, d + step, matched + 1
        item_skip, text_skip = _resume(item, i, i_end, text, d, d_end, step)
        if item_skip < 0:
            return i, d, matched, weight
        i, d = i + item_skip * step, d + text_skip * step


@inner
def verbatim(item, i, words, d, total):
    """Words of an item's beginning that stand around item[i] at words[d] word for word; 0 where one before differs."""
    if i > d:
        return 0
    k = 1
    while k <= i and item[i - k] == words[d - k]:
        k += 1
    if k <= i:
        return 0
    k = 0
    while i + k < item.shape[0] and d + k < total and item[i + k] == words[d + k]:
        k += 1
    return i + k


@njit(nogil=True, cache=True)
def with_room(pieces, count):
    """The array of pieces, or a copy twice as long where `count` fill it."""
    return np.concatenate((pieces, np.empty_like(pieces))) if count == pieces.shape[0] else pieces


@inner
def fill(piece, row, item, item_start, item_stop, start, stop, matched, weight, starts):
    """Write the columns of a piece; `starts` are the first bytes of the text's words and of what follows them."""
    piece[ROW], piece[ITEM], piece[MATCHED], piece[WEIGHT] = row, item, matched, weight
    piece[ITEM_START], piece[ITEM_STOP], piece[START], piece[STOP] = item_start, item_stop, start, stop
    piece[FIRST_BYTE], piece[LAST_BYTE] = starts[start], starts[stop]


@njit(nogil=True, cache=True)
def best_chains(pieces, item_words, chains):
    """For each (row, item) the chain of pieces, in the same order in both, that has most matched words.

    `pieces` [N, PIECE] int64 are sorted by row, item and text start; `chains` [N, PIECE] takes one line for each (row,
    item); returns how many. Words that two pieces claim count once.
    """
    total = pieces.shape[0]
    best, weight, head = np.zeros(total, np.int64), np.zeros(total, np.int64), np.arange(total)
    count, first = 0, 0
    for p in range(total):
        if p == 0 or pieces[p - 1, ROW] != pieces[p, ROW] or pieces[p - 1, ITEM] != pieces[p, ITEM]:
            first = p
            chains[count, MATCHED] = 0
            count += 1
        best[p], weight[p] = pieces[p, MATCHED], pieces[p, WEIGHT]
        reach = item_words[pieces[p, ITEM]] + REACH
        for q in range(max(first, p - LOOK_BACK), p):
            if pieces[q, START] >= pieces[p, START] or pieces[q, ITEM_START] >= pieces[p, ITEM_START]:
                continue
            twice = max(0, pieces[q, ITEM_STOP] - pieces[p, ITEM_START], pieces[q, STOP] - pieces[p, START])
            fresh = pieces[p, MATCHED] - twice
            if fresh > 0 and pieces[p, START] - pieces[q, STOP] <= reach and best[q] + fresh > best[p]:
                best[p], head[p] = best[q] + fresh, head[q]
                weight[p] = weight[q] + pieces[p, WEIGHT] * fresh // pieces[p, MATCHED]
        if best[p] > chains[count - 1, MATCHED]:
            chains[count - 1] = pieces[p]
            for column in (ITEM_START, START, FIRST_BYTE):
                chains[count - 1, column] = pieces[head[p], column]
            chains[count - 1, MATCHED], chains[count - 1, WEIGHT] = best[p], weight[p]
    return count
