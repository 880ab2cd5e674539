"""An inverted index of benchmark n-grams with every place they come from, and its look-up in documents (numba)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.arrays import read_arrays, write_arrays
from openseek.data.exact import content_hashes
from openseek.data.ngrams import Decontaminate, Hits
from openseek.data.words import grams_of, hash_words, longest, mix, string_buffers, word_table, words_of

SIEVE_BITS = 22
_LENGTH_FACTOR = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class GramIndex:
    """Sorted n-gram keys and, for each, the (item, first word) places that it comes from."""

    lengths: np.ndarray
    """n-gram lengths in use [L] int64: `ngram`, and the lengths of the items shorter than that."""
    keys: np.ndarray
    """Distinct keys [G] uint64, sorted."""
    bounds: np.ndarray
    """Where each key's places begin [G + 1] int64."""
    place_items: np.ndarray
    """Item of each place [P] int64."""
    place_words: np.ndarray
    """First word in the item of each place [P] int64."""
    item_words: np.ndarray
    """Words of each item [I] int64."""
    short_hashes: np.ndarray
    """Content hashes [S, 2] uint64 of the items found only as whole documents."""
    short_items: np.ndarray
    """Their item numbers [S] int64."""

    def write(self, path: Path) -> None:
        """Write the index to one file."""
        write_arrays(path, *(getattr(self, f.name) for f in fields(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Map an index written by `write`."""
        return cls(*read_arrays(path))


def build_index(items: Sequence[str], config: Decontaminate) -> GramIndex:
    """Index the n-grams of items, numbered in order; an item of fewer than `ngram` words is one n-gram as a whole."""
    keys, owners, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    item_words = np.zeros(len(items), np.int64)
    short, lengths = [], {config.ngram}
    for number, text in enumerate(items):
        words = hash_words(text)
        item_words[number] = len(words)
        if len(words) < config.min_words:
            if text.strip():
                short.append(number)
            continue
        length = min(len(words), config.ngram)
        lengths.add(length)
        grams = np.empty(len(words), np.uint64)
        count = grams_of(words, len(words), length, grams)
        keys.append(key_of(grams[:count], length))
        owners.append(np.full(count, number))
        places.append(np.arange(count))
    all_keys, all_owners, all_places = np.concatenate(keys), np.concatenate(owners), np.concatenate(places)
    order = np.argsort(all_keys, kind="stable")
    distinct, first = np.unique(all_keys[order], return_index=True)
    short_text = pa.chunked_array([pa.array([items[i] for i in short], pa.large_string())])
    return GramIndex(
        lengths=np.array(sorted(lengths)),
        keys=distinct,
        bounds=np.append(first, len(all_keys)).astype(np.int64),
        place_items=all_owners[order],
        place_words=all_places[order],
        item_words=item_words,
        short_hashes=content_hashes(short_text, "case"),
        short_items=np.array(short, np.int64),
    )


@njit(nogil=True, cache=True)
def key_of(grams, length):
    """Index keys [N] uint64 of n-gram hashes: n-grams of different lengths never meet."""
    keys = np.empty(grams.shape[0], np.uint64)
    for i in range(grams.shape[0]):
        keys[i] = mix(grams[i] ^ (np.uint64(length) * _LENGTH_FACTOR))
    return keys


@njit(nogil=True, cache=True)
def _sieve(keys, bits):
    """A bit for the low bits of each key: most n-grams of a text are in no benchmark and end here."""
    sieve = np.zeros(1 << (bits - 6), np.uint64)
    for key in keys:
        low = key & np.uint64((1 << bits) - 1)
        sieve[low >> np.uint64(6)] |= np.uint64(1) << (low & np.uint64(63))
    return sieve


@njit(nogil=True, cache=True)
def _matches(data, offsets, lengths, keys, sieve, bits, classes, folded):
    """[M, 4] int64 (row, key number, first byte, byte after the last word's first) of n-grams that the index has."""
    most = longest(offsets) // 2 + 2
    words, starts, grams = np.empty(most, np.uint64), np.empty(most, np.int64), np.empty(most, np.uint64)
    found, count = np.empty((256, 4), np.int64), 0
    for row in range(offsets.shape[0] - 1):
        total = words_of(data, offsets[row], offsets[row + 1], classes, folded, words, starts)
        for length in lengths:
            grams_total = grams_of(words, total, length, grams)
            for i in range(grams_total):
                key = mix(grams[i] ^ (np.uint64(length) * _LENGTH_FACTOR))
                low = key & np.uint64((1 << bits) - 1)
                if not (sieve[low >> np.uint64(6)] >> (low & np.uint64(63))) & np.uint64(1):
                    continue
                at = np.searchsorted(keys, key)
                if at == keys.shape[0] or keys[at] != key:
                    continue
                if count == found.shape[0]:
                    found = np.concatenate((found, np.empty_like(found)))
                found[count, 0], found[count, 1] = row, at
                found[count, 2] = starts[i] - offsets[row]
                found[count, 3] = (starts[i + length] if i + length < total else offsets[row + 1]) - offsets[row]
                count += 1
    return found[:count]


def find_items(text: pa.ChunkedArray, index: GramIndex, min_overlap: float) -> Hits:
    """Which documents of a text column hold which items to at least `min_overlap` of the item's words."""
    data, offsets = string_buffers(text)
    sieve = _sieve(index.keys, SIEVE_BITS)
    matches = _matches(data, offsets, index.lengths, index.keys, sieve, SIEVE_BITS, *word_table())
    covered = _covered(matches, index)
    enough = covered.overlaps >= min_overlap
    whole = _whole_documents(text, offsets, index)
    parts = [(getattr(covered, f.name)[enough], getattr(whole, f.name)) for f in fields(Hits)]
    rows, items, overlaps, starts, stops = (np.concatenate(pair) for pair in parts)
    order = np.lexsort((items, -overlaps, rows))
    return Hits(rows[order], items[order], overlaps[order], starts[order], stops[order])


def _covered(matches: np.ndarray, index: GramIndex) -> Hits:
    """For each (document, item) the share of the item's words that common n-grams cover, and where these are."""
    counts = index.bounds[matches[:, 1] + 1] - index.bounds[matches[:, 1]]
    source = np.repeat(np.arange(len(matches)), counts)
    step = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = index.bounds[matches[source, 1]] + step
    rows, items, words = matches[source, 0], index.place_items[place], index.place_words[place]
    order = np.lexsort((words, items, rows))
    rows, items, words, source = rows[order], items[order], words[order], source[order]
    length = np.minimum(index.item_words[items], index.lengths[-1])
    change = np.ones(len(rows) + 1, bool)
    change[1:-1] = (rows[1:] != rows[:-1]) | (items[1:] != items[:-1])
    group = np.flatnonzero(change[:-1])
    gap = np.append(words[1:] - words[:-1], 0)
    # The last place of a group covers its whole n-gram, the others at most up to the next place.
    fresh = np.where(change[1:], length, np.minimum(gap, length))
    if not len(group):
        return Hits(*(np.zeros(0, kind) for kind in (np.int64, np.int64, np.float64, np.int64, np.int64)))
    overlaps = np.add.reduceat(fresh, group) / index.item_words[items[group]]
    starts = np.minimum.reduceat(matches[source, 2], group)
    stops = np.maximum.reduceat(matches[source, 3], group)
    return Hits(rows[group], items[group], overlaps, starts, stops)


def _whole_documents(text: pa.ChunkedArray, offsets: np.ndarray, index: GramIndex) -> Hits:
    """Documents that are a short item and nothing else; blanks and case aside, signs count, so 3+4 is not 3-4."""
    pairs = []
    if len(index.short_items):
        by_hash: dict[tuple[int, int], list[int]] = {}
        for (high, low), item in zip(index.short_hashes.tolist(), index.short_items.tolist(), strict=True):
            by_hash.setdefault((high, low), []).append(item)
        for row, (high, low) in enumerate(content_hashes(text, "case").tolist()):
            pairs += [(row, item) for item in by_hash.get((high, low), ())]
    rows, items = np.array(pairs, np.int64).reshape(-1, 2).T
    return Hits(rows, items, np.ones(len(rows)), np.zeros(len(rows), np.int64), np.diff(offsets)[rows])
