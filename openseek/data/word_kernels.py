"""Statistics of words, sentences, n-grams and C4's lines by a compiled pass over Arrow string buffers.

A word is what english_kernels.py splits off: signs are words too, a character of a script without spaces is one by
itself. Lengths are in characters.

- `words`, `word_characters`: all words; `lexical_words`, `lexical_characters`: those with something other than
  punctuation in them; `alpha_words`: those with a letter; `stop_words`: how many different ones of STOP_WORDS there
  are, in small letters as they stand; `sentences`: a new one begins after . ! ? or another mark that ends sentences,
  at the next word that is no punctuation, and in every line.
- `top_Ngram`: characters of the most frequent run of N words (2 to 4), the earliest of several, spaces between its
  words counted, times how often it is there, be it once; `duplicate_Ngram`: characters, without spaces, of runs of N
  words (5 to 10) that were there before, where reading goes on behind such a run (Rae et al., 2021, table A1).
- `c4_lines`: lines that C4 keeps (Raffel et al., 2020, section 2.2): at least 3 words between white space, none longer
  than 1000 characters, the end . ! ? or a quote and no ellipsis once citation marks are gone, neither "javascript" nor
  words of a policy; `c4_sentences`: sentences in these; `c4_lorem_lines`, `c4_curly_lines`: lines with "lorem ipsum" or
  an opening curly bracket among those that reach that test. `c4_open_*`: the same where a line may end as it likes, as
  FineWeb applied C4 (Penedo et al., 2024, section 3).
"""

import functools

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.c4_kernels import (
    CURLY_BRACKET,
    FEW_WORDS,
    JAVASCRIPT,
    LONG_WORD,
    LOREM_IPSUM,
    MAX_WORD_LENGTH,
    MIN_WORDS,
    POLICY,
    UNENDED,
    judge,
    without_citations,
)
from openseek.data.characters import (
    LETTER,
    LINE_BREAK,
    PUNCTUATION,
    SPACE,
    SYMBOL,
    TERMINAL,
    UNSPACED,
    character_table,
    decode,
)
from openseek.data.english_kernels import ROLES, chunk_end, special_parts, split_chunk
from openseek.data.english_words import (
    FNV_OFFSET,
    FNV_PRIME,
    LONGEST_SPECIAL,
    hash_text,
    special_table,
    unit_hashes,
)
from openseek.data.repetition_kernels import repetition
from openseek.data.text_kernels import power_of_two, strip
from openseek.data.words import longest, string_buffers

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
STATISTICS = (
    "words", "word_characters", "lexical_words", "lexical_characters", "alpha_words", "stop_words", "sentences",
    "c4_lines", "c4_sentences", "c4_lorem_lines", "c4_curly_lines",
    "c4_open_lines", "c4_open_sentences", "c4_open_lorem_lines", "c4_open_curly_lines",
    "top_2gram", "top_3gram", "top_4gram",
    "duplicate_5gram", "duplicate_6gram", "duplicate_7gram", "duplicate_8gram", "duplicate_9gram", "duplicate_10gram",
)  # fmt: skip
(
    WORDS, WORD_CHARACTERS, LEXICAL_WORDS, LEXICAL_CHARACTERS, ALPHA_WORDS, STOPS, SENTENCES,
    C4_LINES, C4_SENTENCES, C4_LOREM_LINES, C4_CURLY_LINES, C4_OPEN_LINES, _2, _3, _4, TOP_2GRAM,
) = range(16)  # fmt: skip


@njit(nogil=True, cache=True)
def _word(points, flags, a, b):
    """(hash, bits that any character has, bits that all have) of points[a:b]."""
    h, some, every = np.uint64(FNV_OFFSET), np.uint32(0), np.uint32(0xFFFFFFFF)
    for i in range(a, b):
        h = (h ^ np.uint64(points[i])) * np.uint64(FNV_PRIME)
        some |= flags[i]
        every &= flags[i]
    return h, some, every


@njit(nogil=True, cache=True)
def _count_word(h, some, every, length, stops, row):
    row[WORDS] += 1
    row[WORD_CHARACTERS] += length
    row[ALPHA_WORDS] += (some & np.uint32(LETTER)) != 0
    if not every & np.uint32(SYMBOL):
        row[LEXICAL_WORDS] += 1
        row[LEXICAL_CHARACTERS] += length
        if 2 <= length <= 4:
            for k in range(stops.shape[0]):
                if h == stops[k]:
                    row[STOPS] |= 1 << k


@njit(nogil=True, cache=True)
def _line_words(points, flags, a, b, english, chunk_words, hashes, begins, count, row):
    """Add the words of the line points[a:b], stripped, to `hashes` and `begins`.

    Returns (words now, sentences, words between white space, the longest of these).
    """
    special, parts, units, stops = english
    firsts, lasts = chunk_words
    sentences, ended, chunks, longest_chunk, chunk, i = 0, False, 0, 0, a, a
    while i < b:
        if i == a or flags[i - 1] & np.uint32(SPACE):
            chunks, chunk = chunks + 1, i
        stop, bits = chunk_end(points, flags, i, b)
        longest_chunk = max(longest_chunk, stop - chunk)
        h, some, every = _word(points, flags, i, stop)
        plain = not bits & np.uint32(ROLES) or bits & np.uint32(UNSPACED)
        size = 1
        if plain and not (stop - i <= LONGEST_SPECIAL and special_parts(h, special, parts)):
            firsts[0], lasts[0] = i, stop
        else:
            size = split_chunk(points, flags, i, stop, special, parts, units, firsts, lasts)
        for k in range(size):
            first, last = firsts[k], lasts[k]
            if size > 1:
                h, some, every = _word(points, flags, first, last)
            _count_word(h, some, every, last - first, stops, row)
            hashes[count], begins[count + 1] = h, begins[count] + last - first
            count += 1
            terminal = last - first == 1 and (some & np.uint32(TERMINAL)) != 0
            if sentences == 0 or (ended and not terminal and not every & np.uint32(PUNCTUATION)):
                sentences, ended = sentences + 1, False
            ended |= terminal
        i = stop
        while i < b and flags[i] & np.uint32(SPACE):
            i += 1
        # White space that is more than one blank is a word to the sentence splitter, and no punctuation.
        if ended and i > stop and (i - stop > 1 or points[stop] != 32):
            sentences, ended = sentences + 1, False
    return count, sentences, chunks, longest_chunk


@njit(nogil=True, cache=True)
def _count_c4(bits, sentences, row):
    """Count a line with these faults; a line is looked at until its first fault, a bracket after "javascript"."""
    if bits & (LONG_WORD | FEW_WORDS):
        return
    lorem = (bits & LOREM_IPSUM) != 0
    curly = (bits & CURLY_BRACKET) != 0 and not bits & JAVASCRIPT
    kept = not bits & (JAVASCRIPT | POLICY)
    for group in range(1 if bits & UNENDED else 0, 2):
        base = C4_OPEN_LINES if group else C4_LINES
        row[base] += kept
        row[base + 1] += sentences if kept else 0
        row[base + 2] += lorem
        row[base + 3] += curly


@njit(nogil=True, cache=True)
def _document(points, flags, size, english, chunk_words, hashes, begins, clean, clean_flags, ignored, row):
    """Count one decoded document; returns its number of words."""
    count, a = 0, 0
    begins[0] = 0
    while a < size:
        b = a
        while b < size and not flags[b] & np.uint32(LINE_BREAK):
            b += 1
        first, last = strip(flags, a, b)
        a = b + 1
        if first == last:
            continue
        left = without_citations(points, flags, first, last, clean, clean_flags)
        text, low, high, cleaned = points, first, last, 0
        if left >= 0:
            low, high = strip(clean_flags, 0, left)
            counted = _line_words(clean, clean_flags, low, high, english, chunk_words, hashes, begins, count, ignored)
            cleaned = counted[1]
            text, low, high = clean, 0, left
        count, sentences, chunks, longest_chunk = _line_words(
            points, flags, first, last, english, chunk_words, hashes, begins, count, row
        )
        row[SENTENCES] += sentences
        bits = judge(text, low, high, chunks, longest_chunk, MIN_WORDS, MAX_WORD_LENGTH)
        _count_c4(bits, cleaned if left >= 0 else sentences, row)
    return count


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, classes, english, table):
    size, stops = longest(offsets) + 2, english[3]
    points, flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    clean, clean_flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    chunk_words = (np.empty(size, np.int64), np.empty(size, np.int64))
    hashes, begins = np.empty(size, np.uint64), np.empty(size, np.int64)
    places, first, times = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    seen = np.empty(size, np.int8)
    keys, stamps, owners = np.empty(16, np.uint64), np.zeros(16, np.int64), np.empty(16, np.int32)
    ignored = np.empty(table.shape[1], np.int64)
    for d in range(table.shape[0]):
        row = table[d]
        count = decode(buffer, offsets[d], offsets[d + 1], classes, points, flags)
        count = _document(points, flags, count, english, chunk_words, hashes, begins, clean, clean_flags, ignored, row)
        mask, row[STOPS] = row[STOPS], 0
        for k in range(stops.shape[0]):
            row[STOPS] += (mask >> k) & 1
        capacity = power_of_two(2 * count)
        if capacity > keys.shape[0]:
            keys, stamps = np.empty(capacity, np.uint64), np.zeros(capacity, np.int64)
            owners = np.empty(capacity, np.int32)
        repetition(
            hashes, begins, count, places, first, times, seen, keys, stamps, owners, 16 * d + 16, row[TOP_2GRAM:]
        )


@functools.cache
def _stop_hashes() -> np.ndarray:
    return np.array([hash_text(word) for word in STOP_WORDS], np.uint64)


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    english = (*special_table(), unit_hashes(), _stop_hashes())
    _statistics(buffer, offsets, character_table(), english, table)
    return table
