"""Which documents hold which benchmark items: a pass over the n-grams of the texts, hits confirmed by alignment.

Two kinds of evidence: chains of common words with gaps, which must weigh much, and runs, that is a whole item or its
beginning word for word, which may weigh less. No run is missed: the anchor of its item stands in it.
"""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data import alignment as a
from openseek.data.gram_index import BIT, GramIndex, key_of, slot_of, whole_text_hashes
from openseek.data.ngrams import Decontaminate
from openseek.data.words import grams_of, longest, string_buffers, word_table, words_of

FRAGMENT_DENSITY = 0.8
"""Share that the common words of a fragment are of all words from the first to the last of them, in item and text."""
FRAGMENT_WORDS = 8
"""Fewer common words are the beginning of an item only where they stand alone, without any change."""
BREAK = re.compile(r"[\n\r!?…。！？．：<>|#•]|[.:][\s\"'”’)]")
"""What ends a sentence or line; a dot or colon between two words may be part of a number, a time or a name."""
SIGNS = re.compile(r"\W*\Z")
SIGN_BYTES = 64
"""So many bytes without a word are a break, too."""
NO_ANSWER, WITHOUT, WITH = -1, 0, 1
ANSWER_RUN = 8
"""An answer of up to so many words must stand there word for word; of a longer one a share in the same order."""
ANSWER_SHARE = 0.7
ANSWER_WORDS = 256
"""Words of an answer that are looked at."""
WORD_BYTES = 16
"""Bytes that are read for each word of a window."""


@dataclass(frozen=True)
class Hits:
    """Documents that hold items: one line for each (document, item), by document, then the greatest overlap first."""

    rows: np.ndarray
    items: np.ndarray
    overlaps: np.ndarray
    """Share of the item's words that stand in the document in the same order."""
    starts: np.ndarray
    """First byte of the item in the text."""
    stops: np.ndarray
    """First byte of the word after it, or the end of the text."""
    bits: np.ndarray
    """What the common words weigh; 0 where a short item is the whole document."""
    with_answer: np.ndarray
    """WITH or WITHOUT its answer; NO_ANSWER: the item has none."""


def find_items(text: pa.ChunkedArray, index: GramIndex, config: Decontaminate) -> Hits:
    """Which documents of a text column hold which items."""
    data, offsets = string_buffers(text)
    pieces, runs = _pieces(
        data, offsets, config.ngram, config.max_owners, config.min_fragment, index.sieve, index.slots, index.ranges,
        index.places, index.words, index.weights, index.fresh_weights, index.bounds, *word_table(),
    )  # fmt: skip
    pieces = pieces[np.lexsort((pieces[:, a.START], pieces[:, a.ITEM], pieces[:, a.ROW]))]
    sizes = np.diff(index.bounds)
    chains = np.empty_like(pieces)
    chains = chains[: a.best_chains(pieces, sizes, chains)]
    overlaps = chains[:, a.MATCHED] / sizes[chains[:, a.ITEM]]
    enough = _fragment(chains, overlaps, config) | (overlaps >= config.min_overlap)
    enough &= (chains[:, a.WEIGHT] >= config.min_bits * BIT) & (sizes[chains[:, a.ITEM]] >= config.min_words)
    found = _best(np.concatenate((chains[enough], runs[_enough_runs(runs, sizes, data, offsets, config)])))
    parts = (_of_entries(found, sizes, index), _whole_documents(text, offsets, index))
    rows, items, overlaps, starts, stops, bits = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    order = np.lexsort((items, -overlaps, rows))
    rows, items, starts, stops = rows[order], items[order], starts[order], stops[order]
    with_answer = np.array(
        [
            _answer(data[offsets[row] : offsets[row + 1]], start, stop, _answer_of(index, item), config.answer_window)
            for row, item, start, stop in zip(rows, items, starts, stops, strict=True)
        ],
        np.int8,
    )
    return Hits(rows, items, overlaps[order], starts, stops, bits[order], with_answer)


def _fragment(chains: np.ndarray, overlaps: np.ndarray, config: Decontaminate) -> np.ndarray:
    """Chains that are an item's beginning without many changes."""
    found = (chains[:, a.ITEM_START] == 0) & (overlaps >= config.min_fragment)
    found &= chains[:, a.MATCHED] >= FRAGMENT_WORDS
    for stop, start in ((a.STOP, a.START), (a.ITEM_STOP, a.ITEM_START)):
        found &= chains[:, a.MATCHED] >= FRAGMENT_DENSITY * (chains[:, stop] - chains[:, start])
    return found


def _enough_runs(
    runs: np.ndarray, sizes: np.ndarray, data: np.ndarray, offsets: np.ndarray, config: Decontaminate
) -> np.ndarray:
    """Runs that are an item by themselves: all its words if they are many, else what stands alone."""
    size = sizes[runs[:, a.ITEM]]
    whole, long = runs[:, a.MATCHED] == size, size >= config.min_words
    found = whole & long & (runs[:, a.WEIGHT] >= config.min_whole_bits * BIT)
    least = np.where(long, config.min_alone_bits, config.min_bits) * BIT
    for run in np.flatnonzero(~found & (whole | long) & (runs[:, a.WEIGHT] >= least)):
        start, stop = offsets[runs[run, a.ROW]], offsets[runs[run, a.ROW] + 1]
        found[run] = stands_alone(data[start:stop], runs[run, a.FIRST_BYTE], runs[run, a.LAST_BYTE])
    return found


def stands_alone(text: np.ndarray, start: int, stop: int) -> bool:
    """Whether a sentence or line begins at byte `start` of a text [N] uint8 and one ends before the word at `stop`."""
    before = bytes(text[max(0, start - SIGN_BYTES) : start]).decode(errors="ignore")
    within = bytes(text[max(start, stop - SIGN_BYTES) : stop]).decode(errors="ignore")
    for part, end in ((before, start == 0), (within, stop == len(text))):
        signs = SIGNS.search(part)
        assert signs is not None
        whole = part is before and signs.start() == 0
        if not (end or whole or BREAK.search(signs[0])):
            return False
    return True


def _best(chains: np.ndarray) -> np.ndarray:
    """Of the chains of each (row, item) the one with most words."""
    chains = chains[np.lexsort((-chains[:, a.MATCHED], chains[:, a.ITEM], chains[:, a.ROW]))]
    new = np.ones(len(chains), bool)
    new[1:] = (chains[1:, [a.ROW, a.ITEM]] != chains[:-1, [a.ROW, a.ITEM]]).any(axis=1)
    return chains[new]


@njit(nogil=True, cache=True)
def _pieces(
    data, offsets, ngram, most_owners, share, sieve, slots, ranges, places, item_words, weights, fresh, bounds, classes,
    folded,
):  # fmt: skip
    """(alignments around each common n-gram that lies in no earlier one of that entry; runs): each [N, PIECE] int64.

    A run is at least `share` of an item, from its first word on, word for word.
    """
    most = longest(offsets) // 2 + 2
    words, starts, grams = np.empty(most, np.uint64), np.empty(most, np.int64), np.empty(most, np.uint64)
    entries = bounds.shape[0] - 1
    seen_row, seen_at, seen_stop = np.full(entries, -1), np.zeros(entries, np.int64), np.zeros(entries, np.int64)
    run_row, run_stop = np.full(entries, -1), np.zeros(entries, np.int64)
    shift, size = np.uint64(64), sieve.shape[0] * 64
    while size > 1:
        shift, size = shift - np.uint64(1), size // 2
    found, count = np.empty((256, a.PIECE), np.int64), 0
    runs, run_count = np.empty((256, a.PIECE), np.int64), 0
    for row in range(offsets.shape[0] - 1):
        total = words_of(data, offsets[row], offsets[row + 1], classes, folded, words, starts)
        # Bytes count from the document's first; its end is where the word after the last would begin.
        starts[total] = offsets[row + 1]
        starts[: total + 1] -= offsets[row]
        for d in range(grams_of(words, total, ngram, grams)):
            key = key_of(grams[d])
            high = key >> shift
            if not (sieve[high >> np.uint64(6)] >> (high & np.uint64(63))) & np.uint64(1):
                continue
            slot = slot_of(slots, key)
            if slots[slot] == 0:
                continue
            common = ranges[slot, 1] - ranges[slot, 0] > most_owners
            for place in range(ranges[slot, 0], ranges[slot, 1]):
                entry, i = places[place, 0], places[place, 1]
                own, tells = item_words[bounds[entry] : bounds[entry + 1]], fresh[bounds[entry] : bounds[entry + 1]]
                if i < 0:
                    i = ~i
                    matched = a.verbatim(own, i, words, d, total)
                    stop = d - i + matched
                    # Of runs that lie in one another, as those of a word said over and over, the first is enough.
                    if matched >= share * own.shape[0] and not (run_row[entry] == row and stop <= run_stop[entry]):
                        run_row[entry], run_stop[entry] = row, stop
                        runs = a.with_room(runs, run_count)
                        heavy = weights[bounds[entry] : bounds[entry] + matched].sum()
                        a.fill(runs[run_count], row, entry, 0, matched, d - i, stop, matched, heavy, starts)
                        run_count += 1
                # Places of one n-gram are tried each; later n-grams are those that an alignment took.
                again = seen_row[entry] == row and seen_at[entry] == d
                if common or (seen_row[entry] == row and not again and d < seen_stop[entry]):
                    continue
                i_stop, d_stop, after, weight_after = a.extend(own, tells, i, own.shape[0], words, d, total, 1)
                i_start, d_start, before, weight_before = a.extend(own, tells, i - 1, -1, words, d - 1, -1, -1)
                seen_stop[entry] = max(seen_stop[entry], d_stop) if again else d_stop
                seen_row[entry], seen_at[entry] = row, d
                matched, weight = before + after, weight_before + weight_after
                found = a.with_room(found, count)
                a.fill(found[count], row, entry, i_start + 1, i_stop, d_start + 1, d_stop, matched, weight, starts)
                count += 1
    return found[:count], runs[:run_count]


def _of_entries(chains: np.ndarray, sizes: np.ndarray, index: GramIndex) -> tuple[np.ndarray, ...]:
    """(rows, items, overlaps, starts, stops, bits): every item of the entries found, whose words `sizes` [E] counts."""
    entries = chains[:, a.ITEM]
    overlaps = chains[:, a.MATCHED] / sizes[entries]
    counts = index.owner_bounds[entries + 1] - index.owner_bounds[entries]
    source = np.repeat(np.arange(len(chains)), counts)
    nth = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    chains, items = chains[source], index.owners[index.owner_bounds[entries[source]] + nth]
    spans = chains[:, a.FIRST_BYTE], chains[:, a.LAST_BYTE]
    return chains[:, a.ROW], items, overlaps[source], *spans, chains[:, a.WEIGHT] / BIT


def _whole_documents(text: pa.ChunkedArray, offsets: np.ndarray, index: GramIndex) -> tuple[np.ndarray, ...]:
    """(rows, items, overlaps, starts, stops, bits) of documents that are a short item and nothing else."""
    pairs = []
    # Wide forms take up to three times the bytes of what they are folded to, blanks some more.
    rows = np.flatnonzero(np.diff(offsets) <= 4 * int(index.short_bytes[0]) + 64)
    if len(index.short_items) and len(rows):
        by_hash: dict[tuple[int, int], list[int]] = {}
        for (high, low), item in zip(index.short_hashes.tolist(), index.short_items.tolist(), strict=True):
            by_hash.setdefault((high, low), []).append(item)
        for row, (high, low) in zip(rows.tolist(), whole_text_hashes(text.take(rows)).tolist(), strict=True):
            pairs += [(row, item) for item in by_hash.get((high, low), ())]
    found, items = np.array(pairs, np.int64).reshape(-1, 2).T
    zeros = np.zeros(len(found), np.int64)
    return found, items, np.ones(len(found)), zeros, np.diff(offsets)[found], zeros.astype(np.float64)


def _answer_of(index: GramIndex, item: int) -> np.ndarray:
    return index.answers[index.answer_bounds[item] : index.answer_bounds[item + 1]][:ANSWER_WORDS]


def _answer(text: np.ndarray, start: int, stop: int, answer: np.ndarray, window: int) -> int:
    """Whether an item's answer stands after its span, or shortly before it."""
    if not len(answer):
        return NO_ANSWER
    wide = max(window, 2 * len(answer))
    narrow = max(window // 4, len(answer))
    after = _words(text[stop : stop + wide * WORD_BYTES])[:wide]
    before = _words(text[max(0, start - narrow * WORD_BYTES) : start])[-narrow:]
    return WITH if any(_holds(part, answer, ANSWER_RUN, ANSWER_SHARE) for part in (after, before)) else WITHOUT


def _words(data: np.ndarray) -> np.ndarray:
    hashes, starts = np.empty(len(data) // 2 + 2, np.uint64), np.empty(len(data) // 2 + 2, np.int64)
    return hashes[: words_of(data, 0, len(data), *word_table(), hashes, starts)]


@njit(nogil=True, cache=True)
def _holds(text, answer, run, share):
    """Whether a short text holds an answer: as a run of words, or a share of its words in order if it is long."""
    size = answer.shape[0]
    if size <= run:
        d, last = 0, text.shape[0] - size
        while d <= last and not (text[d : d + size] == answer).all():
            d += 1
        return d <= last
    common = np.zeros(size + 1, np.int64)
    for d in range(text.shape[0]):
        diagonal = 0
        for i in range(size):
            above = common[i + 1]
            common[i + 1] = diagonal + 1 if text[d] == answer[i] else max(above, common[i])
            diagonal = above
    return common[size] >= share * size
