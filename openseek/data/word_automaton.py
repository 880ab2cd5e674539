"""Many words looked for at once in UTF-8 text: a trie of folded characters behind a filter of word beginnings.

Texts become character numbers (0: in no word). A bit table says where the next two, three or four characters may be a
word or the head of a longer one; only there a hash table of heads is asked, and behind a head of four the trie is
walked, whose edges lie in one hash table. With 100,000 words this beats an Aho-Corasick automaton, whose every
character costs a miss of the cache. Words have 2 to MAX_CHARACTERS characters, which bounds a walk.
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import TABLE_SIZE, WORD, code_point, longest, mix, string_buffers, word_table

MAX_CHARACTERS = 128
MAX_LISTS = 62
ALLOWED = np.uint64(1 << 63)
"""The list of phrases that shield the words in them."""
CODES = 0x40000
HEAD_BITS = 22
_EMPTY = np.uint64(0)
_CHILD_BITS, _ID_BITS = 24, 16
_CHILD = np.uint64((1 << _CHILD_BITS) - 1)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Automaton(NamedTuple):
    """Flat arrays; the only form that kernels see."""

    ids: np.ndarray
    """uint16 [CODES]: number of each folded character, 0 where no word holds it."""
    in_word: np.ndarray
    """uint8 [CODES]: 1 for letters, digits and marks of scripts written with spaces."""
    filter: np.ndarray
    """uint64 [2 ** HEAD_BITS / 64]: a set bit for the hash of each head."""
    heads: np.ndarray
    """uint64 hash table of heads: whole words of two or three characters, the first four of others; 0 where free."""
    targets: np.ndarray
    """int32 beside `heads`: the word, or the node behind four characters."""
    edges: np.ndarray
    """uint64 hash table: node (24 bits), character (16), child (24); 0 where free."""
    words: np.ndarray
    """int32 [nodes]: the word that ends at each node, or -1."""
    lists: np.ndarray
    """uint64 [words]: a bit for each list that holds the word."""


class Hits(NamedTuple):
    """Found words, in order of row and start. Positions are bytes of the column's buffer."""

    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    word: np.ndarray
    list: np.ndarray


@functools.cache
def folding() -> np.ndarray:
    """The folded code point (uint32) of every code point below CODES: lower case, full-width forms as half-width."""
    folded = np.arange(CODES, dtype=np.uint32)
    for code in range(TABLE_SIZE):
        character = chr(code)
        wide = unicodedata.normalize("NFKC", character) if 0xFF00 <= code < 0xFFF0 else character
        low = wide.lower()
        folded[code] = ord(low) if len(low) == 1 else code
    folded[0x3000] = 0x20
    folded.setflags(write=False)
    return folded


@inner
def _bit(head):
    """Place of a head's bit in the filter."""
    return (head * _SPREAD) >> np.uint64(64 - HEAD_BITS)


@inner
def _head(heads, head):
    """Place of a head, or of the free slot where it belongs."""
    mask = np.uint64(heads.shape[0] - 1)
    place = mix(head) & mask
    while heads[place] != _EMPTY and heads[place] != head:
        place = (place + np.uint64(1)) & mask
    return place


@inner
def _edge(edges, key):
    """Place of the edge `node << 16 | character`, or of the free slot where it belongs."""
    mask = np.uint64(edges.shape[0] - 1)
    place = mix(key) & mask
    while edges[place] != _EMPTY and edges[place] >> np.uint64(_CHILD_BITS) != key:
        place = (place + np.uint64(1)) & mask
    return place


@njit(nogil=True, cache=True)
def _insert(data, offsets, folds, ids, bits, heads, targets, edges, words):
    """Put every word of data into the tables; returns (nodes, word of each entry: equal entries share one)."""
    entries = offsets.shape[0] - 1
    word_of = np.empty(entries, np.int32)
    nodes, characters, found = 1, 0, 0
    for entry in range(entries):
        node, length, head, i = 0, 0, np.uint64(0), offsets[entry]
        while i < offsets[entry + 1]:
            code, width = code_point(data, i, offsets[entry + 1])
            i += width
            code = np.int64(folds[code])
            if ids[code] == 0:
                characters += 1
                ids[code] = characters
            length += 1
            if length <= 4:
                head = (head << np.uint64(_ID_BITS)) | np.uint64(ids[code])
                if length < 4:
                    continue
                place = _head(heads, head)
                if heads[place] == _EMPTY:
                    heads[place], targets[place] = head, nodes
                    nodes += 1
                node = targets[place]
                continue
            key = (np.uint64(node) << np.uint64(_ID_BITS)) | np.uint64(ids[code])
            place = _edge(edges, key)
            if edges[place] == _EMPTY:
                edges[place] = (key << np.uint64(_CHILD_BITS)) | np.uint64(nodes)
                nodes += 1
            node = np.int64(edges[place] & _CHILD)
        spot = _bit(head)
        bits[spot >> np.uint64(6)] |= np.uint64(1) << (spot & np.uint64(63))
        place = _head(heads, head)
        if length < 4 and heads[place] == _EMPTY:
            heads[place], targets[place] = head, found
            found += 1
        elif length >= 4 and words[node] < 0:
            words[node] = found
            found += 1
        word_of[entry] = targets[place] if length < 4 else words[node]
    return nodes, word_of


def build(entries: Sequence[str], lists: np.ndarray, *, fold: bool = True) -> tuple[Automaton, list[str]]:
    """(automaton, its words) of entries and the list bits (uint64) of each; equal entries become one word.

    `fold` makes case and full-width forms equal.
    """
    lengths = np.array([len(entry) for entry in entries], np.int64)
    if len(entries) and (lengths.min() < 2 or lengths.max() > MAX_CHARACTERS):
        raise ValueError(f"words need 2 to {MAX_CHARACTERS} characters, not {lengths.min()} or {lengths.max()}")
    if lengths.sum() >= 1 << _CHILD_BITS:
        raise ValueError(f"{lengths.sum()} characters of words are too many: use fewer than {1 << _CHILD_BITS}")
    data, offsets = string_buffers(pa.array(entries, pa.large_string()))
    folds = folding() if fold else np.arange(CODES, dtype=np.uint32)
    ids = np.zeros(CODES, np.uint16)
    total = int(lengths.sum())
    bits, heads = np.zeros(1 << (HEAD_BITS - 6), np.uint64), np.zeros(_capacity(len(entries)), np.uint64)
    targets, words = np.zeros(len(heads), np.int32), np.full(total + 1, -1, np.int32)
    edges = np.zeros(_capacity(total), np.uint64)
    nodes, word_of = _insert(data, offsets, folds, ids, bits, heads, targets, edges, words)
    held_by = np.zeros(int(word_of.max(initial=-1)) + 1, np.uint64)
    np.bitwise_or.at(held_by, word_of, lists)
    _, first = np.unique(word_of, return_index=True)
    in_word = np.zeros(CODES, np.uint8)
    in_word[:TABLE_SIZE] = (word_table()[0] == WORD) | (word_table()[0] == 3)
    compact = np.zeros(_capacity(nodes), np.uint64)
    _move(edges, compact)
    automaton = Automaton(ids[folds], in_word, bits, heads, targets, compact, words[:nodes].copy(), held_by)
    return automaton, [str(entries[i]) for i in first.tolist()]


def _capacity(items: int) -> int:
    """Slots of a hash table that is at most half full."""
    return 1 << max(10, (2 * items).bit_length())


@njit(nogil=True, cache=True)
def _move(edges, into):
    for edge in edges:
        if edge != _EMPTY:
            key = edge >> np.uint64(_CHILD_BITS)
            into[_edge(into, key)] = edge


@inner
def _decode(data, start, stop, ids, in_word, text, positions, inside):
    """Character numbers, byte positions and word membership of one text; returns the number of characters."""
    count, i = 0, start
    while i < stop:
        lead = data[i]
        if lead < 0x80:
            code, width = np.int64(lead), 1
        else:
            code, width = code_point(data, i, stop)
        known = code < CODES
        text[count] = ids[code] if known else 0
        inside[count] = in_word[code] if known else 0
        positions[count] = i
        count += 1
        i += width
    positions[count] = stop
    # Four zeros end every head and every walk.
    text[count : count + 4] = 0
    inside[count] = 0
    return count


@inner
def _begins(bits, text, inside, count, whole_words, places):
    """The characters where a word may begin, into `places`; returns their number. Branches would cost more."""
    key = np.uint64(text[0]) << np.uint64(32) | np.uint64(text[1]) << np.uint64(16) | np.uint64(text[2])
    found, before = 0, np.uint8(0)
    for i in range(count):
        key = (key << np.uint64(16)) | np.uint64(text[i + 3])
        two, three, four = _bit(key >> np.uint64(32)), _bit(key >> np.uint64(16)), _bit(key)
        hit = bits[two >> np.uint64(6)] >> (two & np.uint64(63))
        hit |= bits[three >> np.uint64(6)] >> (three & np.uint64(63))
        hit |= bits[four >> np.uint64(6)] >> (four & np.uint64(63))
        # A word that begins with a letter begins where a word of the text does.
        not_amid = np.uint64(1) ^ np.uint64(before & inside[i] & whole_words)
        before = inside[i]
        places[found] = i
        found += np.int64(hit & not_amid & np.uint64(text[i] != 0))
    return found


@inner
def _words_at(heads, targets, edges, words, text, i, stops, found):
    """The words that begin at i, shortest first, into `found` and the characters where they end into `stops`."""
    head, place, count = np.uint64(text[i]), np.uint64(0), 0
    for length in range(2, 5):
        character = text[i + length - 1]
        if character == 0:
            return count
        head = (head << np.uint64(_ID_BITS)) | np.uint64(character)
        place = _head(heads, head)
        if heads[place] == head and length < 4:
            stops[count], found[count] = i + length, targets[place]
            count += 1
    if heads[place] == _EMPTY:
        return count
    node, j = np.int64(targets[place]), i + 4
    while True:
        if words[node] >= 0:
            stops[count], found[count] = j, words[node]
            count += 1
        if text[j] == 0:
            return count
        edge = edges[_edge(edges, (np.uint64(node) << np.uint64(_ID_BITS)) | np.uint64(text[j]))]
        if edge == _EMPTY:
            return count
        node = np.int64(edge & _CHILD)
        j += 1


@inner
def _whole(inside, stops, found, count):
    """Keep the words that end where a word of the text does; returns their number."""
    kept = 0
    for m in range(count):
        if not (inside[stops[m] - 1] and inside[stops[m]]):
            stops[kept], found[kept] = stops[m], found[m]
            kept += 1
    return kept


@njit(nogil=True, cache=True)
def _scan(data, offsets, active, automaton, whole_words, overlapping, hits):
    """Fill `hits` [capacity, 5] and return how many there are, which may be more than fit."""
    ids, in_word, bits, heads, targets, edges, words, lists = automaton
    size = longest(offsets)
    text, inside = np.empty(size + 4, np.uint16), np.empty(size + 4, np.uint8)
    positions, places = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    stops, found = np.empty(MAX_CHARACTERS, np.int64), np.empty(MAX_CHARACTERS, np.int32)
    ends, count = np.zeros(MAX_LISTS, np.int64), 0
    for row in range(offsets.shape[0] - 1):
        if active[row] == 0:
            continue
        length = _decode(data, offsets[row], offsets[row + 1], ids, in_word, text, positions, inside)
        ends[:] = 0
        shield, chosen = 0, active[row] & ~ALLOWED
        for p in range(_begins(bits, text, inside, length, whole_words, places)):
            i = places[p]
            matches = _words_at(heads, targets, edges, words, text, i, stops, found)
            if whole_words:
                matches = _whole(inside, stops, found, matches)
            for m in range(matches):
                if lists[found[m]] & ALLOWED != 0:
                    shield = max(shield, stops[m])
            taken, start = np.uint64(0), positions[i]
            for m in range(matches - 1, -1, -1):
                fresh = lists[found[m]] & chosen & ~taken
                if fresh == 0 or stops[m] <= shield:
                    continue
                taken = np.uint64(0) if overlapping else taken | fresh
                q = 0
                while fresh != 0:
                    if fresh & np.uint64(1) and (overlapping or i >= ends[q]):
                        ends[q] = stops[m]
                        if count < hits.shape[0]:
                            hit = hits[count]
                            hit[0], hit[1], hit[2], hit[3], hit[4] = row, start, positions[stops[m]], found[m], q
                        count += 1
                    fresh >>= np.uint64(1)
                    q += 1
    return count


def find(
    column: pa.Array, automaton: Automaton, active: np.ndarray, *, whole_words: bool = True, overlapping: bool = False
) -> Hits:
    """The words in each text of the lists (bits, uint64 [rows]) that are active for it.

    Of one list the leftmost word counts, of those the longest, and the next begins behind it; `overlapping` gives
    every occurrence of every word instead. With `whole_words` a word that begins or ends with a letter or digit of a
    script written with spaces begins or ends where a word of the text does. A word within an allowed phrase is none.
    """
    data, offsets = string_buffers(column)
    # Memory that is not written to is not taken.
    capacity = 1024 + int(offsets[-1] - offsets[0]) // 8
    while True:
        hits = np.empty((capacity, 5), np.int64)
        count = _scan(data, offsets, active, automaton, whole_words, overlapping, hits)
        if count <= capacity:
            return Hits(*hits[:count].T)
        capacity = count
