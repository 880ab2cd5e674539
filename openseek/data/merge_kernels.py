"""The merges of byte-level BPE in compiled code: the bytes of a word to token ids, and the table of merges.

The pair of lowest rank is merged first and the leftmost of equals (Sennrich et al., 2016), as tokenizers does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openseek.data.kernel import inlined, inner

# Words of at most so many bytes are merged by looking at all pairs, longer ones with a heap.
SHORT_WORD = 96
NONE = np.int64(1) << np.int64(62)
_PAIR_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Scratch(NamedTuple):
    """Room for one document and one word."""

    kinds: np.ndarray
    """[characters] uint8."""
    places: np.ndarray
    """[characters + 1] int64: byte of each character."""
    cuts: np.ndarray
    """[characters + 1] uint8: whether a word begins there."""
    stack: np.ndarray
    """[items, 2] int64."""
    symbols: np.ndarray
    """[bytes of a word] int64, as the next three."""
    ranks: np.ndarray
    following: np.ndarray
    before: np.ndarray
    heap: np.ndarray
    """[3 * bytes of a word] int64."""


@inner
def merge(buffer, start, stop, program, scratch):
    """Merge the bytes of a word to tokens in scratch.symbols; how many are left."""
    symbols, ranks, size = scratch.symbols, scratch.ranks, stop - start
    for i in range(size):
        symbols[i] = program.byte_ids[buffer[start + i]]
    if size > SHORT_WORD:
        return _merge_by_heap(size, program.merges, scratch)
    for i in range(size - 1):
        ranks[i] = _pair(program.merges, symbols[i], symbols[i + 1])
    while size > 1:
        best, at = NONE, 0
        for i in range(size - 1):
            # Equal ranks have the equal token behind them: the leftmost is taken.
            if ranks[i] < best:
                best, at = ranks[i], i
        if best == NONE:
            break
        symbols[at] = best & 0xFFFFFFFF
        size -= 1
        for i in range(at + 1, size):
            symbols[i] = symbols[i + 1]
            ranks[i - 1] = ranks[i]
        if at > 0:
            ranks[at - 1] = _pair(program.merges, symbols[at - 1], symbols[at])
        if at < size - 1:
            ranks[at] = _pair(program.merges, symbols[at], symbols[at + 1])
    return size


@inlined
def _pair(merges, left, right):
    """rank << 32 | token of a pair, NONE where it is not merged."""
    key, mask = left << 32 | right, merges.shape[0] - 1
    place = np.int64((np.uint64(key) * _PAIR_FACTOR) >> np.uint64(32)) & mask
    while merges[place, 0] != key:
        if merges[place, 0] < 0:
            return NONE
        place = (place + 1) & mask
    return merges[place, 1]


@inner
def _merge_by_heap(size, merges, scratch):
    """The same for long words: pairs wait in a heap by rank and place, and are looked at again in their turn."""
    symbols, ranks, heap = scratch.symbols, scratch.ranks, scratch.heap
    following, before, waiting = scratch.following, scratch.before, 0
    for i in range(size):
        following[i], before[i], ranks[i] = i + 1, i - 1, NONE
    for i in range(size - 1):
        ranks[i] = _pair(merges, symbols[i], symbols[i + 1])
        if ranks[i] != NONE:
            waiting = _push(heap, waiting, (ranks[i] >> 32) << 32 | i)
    while waiting:
        top = heap[0]
        waiting = _pop(heap, waiting)
        i = top & 0xFFFFFFFF
        if ranks[i] == NONE or ranks[i] >> 32 != top >> 32:
            continue
        gone = following[i]
        symbols[i] = ranks[i] & 0xFFFFFFFF
        after = following[gone]
        following[i], ranks[gone], ranks[i] = after, NONE, NONE
        if after < size:
            before[after] = i
            ranks[i] = _pair(merges, symbols[i], symbols[after])
            if ranks[i] != NONE:
                waiting = _push(heap, waiting, (ranks[i] >> 32) << 32 | i)
        if before[i] >= 0:
            j = before[i]
            ranks[j] = _pair(merges, symbols[j], symbols[i])
            if ranks[j] != NONE:
                waiting = _push(heap, waiting, (ranks[j] >> 32) << 32 | j)
    count, i = 0, 0
    while i < size:
        symbols[count] = symbols[i]
        count += 1
        i = following[i]
    return count


@inner
def _push(heap, waiting, key):
    i = waiting
    while i > 0 and heap[(i - 1) >> 1] > key:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = key
    return waiting + 1


@inner
def _pop(heap, waiting):
    waiting -= 1
    key, i = heap[waiting], 0
    while 2 * i + 1 < waiting:
        child = 2 * i + 1
        if child + 1 < waiting and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = key
    return waiting


@inner
def add_merges(table, entries):
    """Enter (left, right, token) [N, 3], by rank, into an open table of a power of two slots; a later pair counts."""
    for rank in range(entries.shape[0]):
        key, mask = entries[rank, 0] << 32 | entries[rank, 1], table.shape[0] - 1
        place = np.int64((np.uint64(key) * _PAIR_FACTOR) >> np.uint64(32)) & mask
        while table[place, 0] >= 0 and table[place, 0] != key:
            place = (place + 1) & mask
        table[place, 0], table[place, 1] = key, rank << 32 | entries[rank, 2]
