"""An inverted index of benchmark items by their word n-grams, with every owner of each.

Items of equal words are one entry. Words are weighed by how few items have them (in bits), and n-grams that weigh
little or have many owners are left out: a phrase such as "which of the following is true" leads to no item. But each
item has an anchor, whatever it weighs: the n-gram of its beginning that fewest items have. Wherever this beginning
stands word for word, the anchor leads to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.arrays import read_arrays, write_arrays
from openseek.data.exact import content_hashes
from openseek.data.kernel import inner
from openseek.data.ngrams import BenchmarkItem, Decontaminate
from openseek.data.words import SINGLE, grams_of, hash_words, word_table

BIT = 256
"""Weights are whole numbers of 1/256 bit."""
PRIOR_ITEMS = 1000
"""A collection counts as so many items more, such that each word of a few items weighs about ten bits."""
SINGLE_SHARE = 0.6
"""A character that is a word by itself weighs this much of what its rarity says: most are parts of longer words."""
FRESH_PRIOR = 10
"""So many entries count beside those that have a word, where it is asked what comes after it."""
FACTOR = np.uint64(0x9E3779B97F4A7C15)
SEED_SHARE = 0.4
"""An n-gram that leads to items weighs at least this share of what matched words must weigh."""
SIEVE_BITS_A_KEY = 16
PLACES_AN_ENTRY = 4
LEAST_SEEDS = 4


@dataclass(frozen=True)
class GramIndex:
    """N-grams that lead to items, in open addressing, and the items' words. An entry: items of equal words."""

    sieve: np.ndarray
    """A bit for the upper bits of each key [2^n] uint64: most n-grams of a text end here."""
    slots: np.ndarray
    """Keys in open addressing [2^n] uint64; 0 is a free place."""
    ranges: np.ndarray
    """Where the places of a slot's key begin and end [2^n, 2] int32."""
    places: np.ndarray
    """(entry, first word) of each place [P, 2] int32; ~word (below zero) where it is the entry's anchor."""
    words: np.ndarray
    """Word hashes of all entries, one entry after the other [W] uint64."""
    weights: np.ndarray
    """Weight of each of these words [W] int32, in 1/256 bit: how few items have it."""
    fresh_weights: np.ndarray
    """The same, but no more than what the word tells after the one before it, by other items."""
    bounds: np.ndarray
    """Where the words of each entry begin [E + 1] int64."""
    owners: np.ndarray
    """Items of the entries, one entry after the other [I] int64."""
    owner_bounds: np.ndarray
    """Where the items of each entry begin [E + 1] int64."""
    short_hashes: np.ndarray
    """Hashes [S, 2] uint64 of the items found only as whole documents."""
    short_items: np.ndarray
    """Their item numbers [S] int64."""
    short_bytes: np.ndarray
    """Bytes of the longest of them [1] int64."""
    answers: np.ndarray
    """Word hashes of all items' answers, one after the other [A] uint64."""
    answer_bounds: np.ndarray
    """Where the answer of each item begins [items + 1] int64."""

    def write(self, path: Path) -> None:
        """Write the index to one file."""
        write_arrays(path, *(getattr(self, f.name) for f in fields(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Map an index written by `write`."""
        return cls(*read_arrays(path))


def build_index(items: Sequence[BenchmarkItem], config: Decontaminate) -> GramIndex:
    """Index the n-grams of items, numbered in order; items of one word or none are left out.

    An item of fewer words than an n-gram, or one that weighs too little for any rule, is found as whole document.
    """
    hashed = [hash_words(item.question) for item in items]
    answers = [hash_words(item.answer) for item in items]
    distinct, bits = _word_weights(hashed)
    groups: dict[bytes, list[int]] = {}
    short = []
    for number, words in enumerate(hashed):
        weight = bits[np.searchsorted(distinct, words)].sum()
        least = min(config.min_whole_bits, config.min_bits) if len(words) >= config.min_words else config.min_bits
        if len(words) >= config.ngram and weight >= least * BIT:
            groups.setdefault(words.tobytes(), []).append(number)
        elif len(words) > 1:
            short.append(number)
    entries = [np.frombuffer(key, np.uint64) for key in groups]
    words = np.concatenate([np.zeros(0, np.uint64), *entries])
    weights = bits[np.searchsorted(distinct, words)].astype(np.int32)
    bounds = np.cumsum([0, *map(len, entries)])
    keys, places = _seeds(words, weights, bounds, config)
    short_text = pa.chunked_array([pa.array([items[i].question for i in short], pa.large_string())])
    return GramIndex(
        *_table(keys, places),
        words=words,
        weights=weights,
        fresh_weights=_fresh_weights(words, weights, bounds, np.isin(words, _single_words())),
        bounds=bounds,
        owners=np.array([number for group in groups.values() for number in group], np.int64),
        owner_bounds=np.cumsum([0, *map(len, groups.values())]),
        short_hashes=whole_text_hashes(short_text),
        short_items=np.array(short, np.int64),
        short_bytes=np.array([max((len(items[i].question.encode()) for i in short), default=0)]),
        answers=np.concatenate([np.zeros(0, np.uint64), *answers]),
        answer_bounds=np.cumsum([0, *map(len, answers)]),
    )


def whole_text_hashes(text: pa.ChunkedArray) -> np.ndarray:
    """Hashes [N, 2] uint64 of texts without regard to blanks, case and width; signs count, so 3+4 is not 3-4."""
    import pyarrow.compute as pc

    options = pc.Utf8NormalizeOptions("NFKC")
    return content_hashes(pc.call_function("utf8_normalize", [text], options), "case")


def _word_weights(hashed: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(distinct words, sorted; their weights int64): log2 of items over items that have the word."""
    each = [np.unique(words) for words in hashed]
    distinct, having = np.unique(np.concatenate([np.zeros(0, np.uint64), *each]), return_counts=True)
    bits = np.log2((len(hashed) + PRIOR_ITEMS) / (having + 1))
    bits[np.isin(distinct, _single_words())] *= SINGLE_SHARE
    return distinct, np.round(bits * BIT).astype(np.int64)


def _single_words() -> np.ndarray:
    """Hashes of the characters that are words by themselves."""
    return hash_words("".join(map(chr, np.flatnonzero(word_table()[0] == SINGLE))))


def _fresh_weights(words: np.ndarray, weights: np.ndarray, bounds: np.ndarray, single: np.ndarray) -> np.ndarray:
    """What each word tells after the one or two words before it [W] int32, in 1/256 bit; at most its weight.

    The bits of a conditional probability from the other entries: of those with the words before, how many go on so,
    with FRESH_PRIOR entries in which the word comes as often as anywhere. The form of a question tells little.
    """
    entry = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    place = np.arange(len(words)) - bounds[entry]
    share = np.where(single, SINGLE_SHARE, 1.0)
    anywhere = FRESH_PRIOR * np.exp2(-weights / (BIT * share))
    fresh, before, others = weights.copy(), np.zeros(len(words), np.uint64), _other_entries(words, entry)
    for size in (1, 2):
        before = before * FACTOR + np.roll(words, size)
        alike = _other_entries(before * FACTOR + words, entry)
        bits = share * BIT * np.log2((np.roll(others, 1) + FRESH_PRIOR) / (alike + anywhere))
        fresh = np.where(place < size, fresh, np.minimum(fresh, np.maximum(bits, 0))).astype(np.int32)
        others = alike
    return fresh


def _other_entries(keys: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """For each place how many entries other than its own have its key."""
    distinct, number = np.unique(keys, return_inverse=True)
    pairs = np.unique(number * (int(entry.max(initial=0)) + 1) + entry)
    return np.bincount(pairs // (int(entry.max(initial=0)) + 1), minlength=len(distinct))[number] - 1


def _seeds(
    words: np.ndarray, weights: np.ndarray, bounds: np.ndarray, config: Decontaminate
) -> tuple[np.ndarray, np.ndarray]:
    """(keys, sorted [P] uint64; places [P, 2] int32) of the n-grams that lead to entries.

    Left out: what weighs too little or has too many owners, unless an entry would have none, and all but the first
    places of an n-gram in one entry. The anchor of each entry is among them.
    """
    sizes = np.maximum(np.diff(bounds) - config.ngram + 1, 0)
    keys, heavy = np.empty(sizes.sum(), np.uint64), np.empty(sizes.sum(), np.int64)
    longest = int(np.diff(bounds).max(initial=0))
    _all_grams(words, weights, bounds, config.ngram, np.empty(longest, np.uint64), keys, heavy)
    entry = np.repeat(np.arange(len(sizes)), sizes)
    word = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    order = np.lexsort((word, entry, keys))
    keys, heavy, entry, word = keys[order], heavy[order], entry[order], word[order]
    nth, owners = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
    _count_owners(keys, entry, nth, owners)
    first_places = nth < PLACES_AN_ENTRY
    leads = (heavy >= SEED_SHARE * config.min_bits * BIT) & (owners <= config.max_owners) & first_places
    anchor = _anchors(np.diff(bounds), heavy, entry, word, owners, config)
    few = np.bincount(entry[leads], minlength=len(sizes)) < LEAST_SEEDS
    rest = np.flatnonzero(~leads & few[entry] & first_places)
    rest = rest[np.lexsort((word[rest], -heavy[rest], owners[rest], entry[rest]))]
    start = np.searchsorted(entry[rest], np.arange(len(sizes)))
    leads[rest[np.arange(len(rest)) - start[entry[rest]] < LEAST_SEEDS]] = True
    leads[anchor] = True
    word[anchor] = ~word[anchor]
    return keys[leads], np.stack((entry[leads], word[leads]), axis=1).astype(np.int32)


def _anchors(
    sizes: np.ndarray,
    heavy: np.ndarray,
    entry: np.ndarray,
    word: np.ndarray,
    owners: np.ndarray,
    config: Decontaminate,
) -> np.ndarray:
    """Which n-gram [entries] is the anchor of each entry: of the beginning's the one with fewest owners."""
    beginning = np.maximum(np.ceil(config.min_fragment * sizes).astype(np.int64), config.ngram)
    inside = np.flatnonzero(word + config.ngram <= beginning[entry])
    inside = inside[np.lexsort((word[inside], -heavy[inside], owners[inside], entry[inside]))]
    return inside[np.searchsorted(entry[inside], np.arange(len(sizes)))]


@njit(nogil=True, cache=True)
def _all_grams(words, weights, bounds, size, grams, keys, heavy):
    """Key and weight of every n-gram of all entries."""
    at = 0
    for e in range(bounds.shape[0] - 1):
        count = grams_of(words[bounds[e] : bounds[e + 1]], bounds[e + 1] - bounds[e], size, grams)
        for i in range(count):
            keys[at] = key_of(grams[i])
            heavy[at] = weights[bounds[e] + i : bounds[e] + i + size].sum()
            at += 1


@njit(nogil=True, cache=True)
def _count_owners(keys, entry, nth, owners):
    """For sorted (key, entry) places: number of the place among those of the same key and entry; entries of the key."""
    begin, distinct = 0, 0
    for p in range(keys.shape[0] + 1):
        if p == keys.shape[0] or keys[p] != keys[begin]:
            owners[begin:p] = distinct
            begin, distinct = p, 0
        if p < keys.shape[0]:
            again = p > begin and entry[p] == entry[p - 1]
            nth[p] = nth[p - 1] + 1 if again else 0
            distinct += not again


@inner
def key_of(gram):
    """Table key of an n-gram hash, never 0."""
    return gram | np.uint64(1)


def _table(keys: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(sieve, slots, ranges, places) of sorted keys."""
    distinct, begin = np.unique(keys, return_index=True)
    bits = max(6, int(len(distinct) * SIEVE_BITS_A_KEY).bit_length())
    slots = np.zeros(1 << max(4, int(2 * len(distinct)).bit_length()), np.uint64)
    ranges = np.zeros((len(slots), 2), np.int32)
    sieve = np.zeros(1 << (bits - 6), np.uint64)
    _fill(distinct, np.append(begin, len(keys)), np.uint64(64 - bits), sieve, slots, ranges)
    return sieve, slots, ranges, places


@njit(nogil=True, cache=True)
def _fill(keys, begin, shift, sieve, slots, ranges):
    for k in range(keys.shape[0]):
        high = keys[k] >> shift
        sieve[high >> np.uint64(6)] |= np.uint64(1) << (high & np.uint64(63))
        place = slot_of(slots, keys[k])
        slots[place] = keys[k]
        ranges[place, 0], ranges[place, 1] = begin[k], begin[k + 1]


@inner
def slot_of(slots, key):
    """Place of a key, or of the free slot where it belongs."""
    mask = np.uint64(slots.shape[0] - 1)
    # The lowest bit is the same in all keys.
    place = (key >> np.uint64(1)) & mask
    while slots[place] != 0 and slots[place] != key:
        place = (place + np.uint64(1)) & mask
    return place
