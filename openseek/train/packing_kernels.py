"""The kernels that give documents their places in windows, and the one that cuts an epoch into blocks."""

import numpy as np
from numba import njit

from openseek.data.kernel import inner

Pieces = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""(first piece of each sequence [N + 1], document, offset and length of each piece in it [P]), all int64."""


@inner
def _push(tree, heads, following, sequence, room):
    """Note that `sequence` has `room` tokens free."""
    following[sequence] = heads[room]
    heads[room] = sequence
    node = heads.shape[0] + room
    while node > 0 and not tree[node]:
        tree[node] = 1
        node >>= 1


@inner
def _pop(tree, heads, following, room):
    """Take a sequence with exactly `room` tokens free, which there must be."""
    sequence = heads[room]
    heads[room] = following[sequence]
    node = heads.shape[0] + room
    if heads[room] < 0:
        tree[node] = 0
        node >>= 1
        while node > 0 and not tree[2 * node] and not tree[2 * node + 1]:
            tree[node] = 0
            node >>= 1
    return sequence


@inner
def _least_room(tree, leaves, length):
    """The smallest room of at least `length` that some sequence has; -1 where none has it."""
    node = leaves + length
    if tree[node]:
        return length
    while node & 1 or not tree[node + 1]:
        node >>= 1
        if node <= 1:
            return -1
    node += 1
    while node < leaves:
        node *= 2
        if not tree[node]:
            node += 1
    return node - leaves


@inner
def _most_room(tree, leaves):
    """The largest room that some sequence has; there must be one."""
    node = 1
    while node < leaves:
        node = 2 * node + 1
        if not tree[node]:
            node -= 1
    return node - leaves


@njit(nogil=True, cache=True)
def _longest_first(lengths: np.ndarray, size: int) -> np.ndarray:
    """Documents by what is left of them after whole sequences, falling; equal ones keep their order."""
    begins = np.zeros(size + 1, np.int64)
    for i in range(lengths.shape[0]):
        begins[size - lengths[i] % size] += 1
    total = 0
    for rank in range(size + 1):
        begins[rank], total = total, total + begins[rank]
    order = np.empty(lengths.shape[0], np.int64)
    for i in range(lengths.shape[0]):
        rank = size - lengths[i] % size
        order[begins[rank]] = i
        begins[rank] += 1
    return order


@njit(nogil=True, cache=True)
def pack(lengths: np.ndarray, size: int, places: np.ndarray) -> tuple[Pieces, int]:
    """Best-fit decreasing (Ding et al., 2024, arXiv:2404.10830) of documents into exactly len(places) sequences.

    lengths: int64 [D], all positive, of no more than len(places) * size tokens together. A document of `size` or more
    fills whole sequences; what is left of it, and every shorter document, goes whole into the fullest sequence that has
    room. Those that find none are cut, over the emptiest sequences. Sequence i gets the number places[i].

    Returns the pieces and the number of cuts that no document's length made necessary.
    """
    count = places.shape[0]
    most = lengths.shape[0] + count
    sequence, document = np.empty(most, np.int64), np.empty(most, np.int64)
    offset, length = np.empty(most, np.int64), np.empty(most, np.int64)
    leaves = 1
    while leaves <= size:
        leaves *= 2
    tree, heads = np.zeros(2 * leaves, np.uint8), np.full(leaves, -1, np.int64)
    following = np.full(count, -1, np.int64)
    used, pieces, unplaced, cuts = 0, 0, 0, 0
    for i in range(lengths.shape[0]):
        for start in range(0, lengths[i] - size + 1, size):
            sequence[pieces], document[pieces], offset[pieces], length[pieces] = used, i, start, size
            used, pieces = used + 1, pieces + 1
    for i in range(count - 1, used - 1, -1):
        _push(tree, heads, following, i, size)
    order = _longest_first(lengths, size)
    for i in order:
        left = lengths[i] % size
        if not left:
            continue
        room = _least_room(tree, leaves, left)
        if room < 0:
            order[unplaced] = i
            unplaced += 1
            continue
        place = _pop(tree, heads, following, room)
        if room > left:
            _push(tree, heads, following, place, room - left)
        sequence[pieces], document[pieces], offset[pieces], length[pieces] = place, i, lengths[i] - left, left
        pieces += 1
    for k in range(unplaced):
        i = order[k]
        at = lengths[i] - lengths[i] % size
        while at < lengths[i]:
            room = _most_room(tree, leaves)
            place = _pop(tree, heads, following, room)
            part = min(room, lengths[i] - at)
            if room > part:
                _push(tree, heads, following, place, room - part)
            sequence[pieces], document[pieces], offset[pieces], length[pieces] = place, i, at, part
            at, pieces = at + part, pieces + 1
            if at < lengths[i]:
                cuts += 1
    first, by_sequence = _grouped(sequence[:pieces], places)
    return (first, document[by_sequence], offset[by_sequence], length[by_sequence]), cuts


@njit(nogil=True, cache=True)
def cut(lengths: np.ndarray, size: int, places: np.ndarray) -> Pieces:
    """Windows of `size` tokens cut from documents one after the other; neighbours share one token.

    lengths: int64 [D], all positive. Window i gets the number places[i]; the last one may have fewer tokens.
    """
    count = places.shape[0]
    most = lengths.shape[0] + 2 * count
    sequence, document = np.empty(most, np.int64), np.empty(most, np.int64)
    offset, length = np.empty(most, np.int64), np.empty(most, np.int64)
    pieces, i, begin = 0, 0, 0
    for window in range(count):
        start = window * (size - 1)
        while begin + lengths[i] <= start:
            begin += lengths[i]
            i += 1
        k, at = i, begin
        while k < lengths.shape[0] and at < start + size:
            low, high = max(at, start), min(at + lengths[k], start + size)
            sequence[pieces], document[pieces], offset[pieces], length[pieces] = window, k, low - at, high - low
            pieces += 1
            at += lengths[k]
            k += 1
    first, by_sequence = _grouped(sequence[:pieces], places)
    return first, document[by_sequence], offset[by_sequence], length[by_sequence]


@njit(nogil=True, cache=True)
def _grouped(sequence: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first piece of each place [N + 1], pieces by the place of their sequence); equal ones keep their order."""
    first = np.zeros(places.shape[0] + 1, np.int64)
    for piece in range(sequence.shape[0]):
        first[places[sequence[piece]] + 1] += 1
    for i in range(places.shape[0]):
        first[i + 1] += first[i]
    order, ends = np.empty(sequence.shape[0], np.int64), first.copy()
    for piece in range(sequence.shape[0]):
        place = places[sequence[piece]]
        order[ends[place]] = piece
        ends[place] += 1
    return first, order


@njit(nogil=True, cache=True)
def grouped_runs(tokens: np.ndarray, documents: np.ndarray, most_tokens: int, most_documents: int) -> np.ndarray:
    """Bounds [B + 1] of blocks of consecutive runs: each ends with the run that reaches one of the two numbers."""
    bounds = np.zeros(tokens.shape[0] + 1, np.int64)
    blocks, held_tokens, held_documents = 0, 0, 0
    for run in range(tokens.shape[0]):
        held_tokens, held_documents = held_tokens + tokens[run], held_documents + documents[run]
        if held_tokens >= most_tokens or held_documents >= most_documents or run == tokens.shape[0] - 1:
            blocks, held_tokens, held_documents = blocks + 1, 0, 0
            bounds[blocks] = run + 1
    return bounds[: blocks + 1].copy()
