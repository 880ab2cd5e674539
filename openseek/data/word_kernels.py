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
    BEFORE_PERIOD,
    CLOSER,
    DIGIT,
    LETTER,
    LINE_BREAK,
    MARK,
    PUNCTUATION,
    SPACE,
    SYMBOL,
    TERMINAL,
    UNSPACED,
    character_table,
    decode,
)
from openseek.data.english_kernels import DOT, ROLES, sieve, special_parts, split_chunk
from openseek.data.english_words import (
    FNV_OFFSET,
    FNV_PRIME,
    LONGEST_SPECIAL,
    MERGED,
    hash_text,
    special_table,
    unit_hashes,
)
from openseek.data.kernel import inlined, inner
from openseek.data.repetition_kernels import repetition
from openseek.data.text_kernels import power_of_two, strip
from openseek.data.words import longest, string_buffers

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
STOP_PLACES = 256
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


@inner
def _stop_bit(h, stops):
    """The bit of the stop word with hash `h`, 0 for any other word."""
    place = h & np.uint64(STOP_PLACES - 1)
    return np.int64(stops[1, place]) if stops[0, place] == h else np.int64(0)


@inner
def _word(points, flags, a, b):
    """(hash, bits that any character has, bits that all have) of points[a:b]."""
    h, some, every = np.uint64(FNV_OFFSET), np.uint32(0), np.uint32(0xFFFFFFFF)
    for i in range(a, b):
        h = (h ^ np.uint64(points[i])) * np.uint64(FNV_PRIME)
        some |= flags[i]
        every &= flags[i]
    return h, some, every


@inner
def _split_words(points, flags, size, stops, firsts, lasts, hashes, begins, count, sentences, ended, row):
    """Add the words of a chunk that split_chunk parted; returns (sentences now, whether the last one ended)."""
    for k in range(size):
        first, last = firsts[k], lasts[k]
        length = last - first
        h, some, every = _word(points, flags, first, last)
        row[ALPHA_WORDS] += (some & np.uint32(LETTER)) != 0
        if not every & np.uint32(SYMBOL):
            row[LEXICAL_WORDS] += 1
            row[LEXICAL_CHARACTERS] += length
            row[STOPS] |= _stop_bit(h, stops)
        hashes[count + k], begins[count + k + 1] = h, begins[count + k] + length
        terminal = length == 1 and (some & np.uint32(TERMINAL)) != 0
        if sentences == 0 or (ended and not terminal and not every & np.uint32(PUNCTUATION)):
            sentences, ended = sentences + 1, False
        ended |= terminal
    return sentences, ended


@inner
def _ends_in_sign(points, flags, a, b, before, whole, special, parts):
    """Whether of the chunk points[a:b] exactly its last character comes off, in the most common way.

    Of its other characters none may have a role; `before` and `whole` are the hashes without and with the sign. False
    does not mean that nothing comes off.
    """
    if points[b - 1] == DOT:
        if not flags[b - 2] & np.uint32(BEFORE_PERIOD):
            return False
    elif not flags[b - 1] & np.uint32(CLOSER):
        return False
    if b - a > LONGEST_SPECIAL + 1:
        return True
    if special_parts(before, special, parts):
        return False
    if b - a > LONGEST_SPECIAL:
        return True
    merged = parts[sieve(points[a], points[b - 1], b - a)] & np.uint32(MERGED)
    return not merged and not special_parts(whole, special, parts)


@inlined
def _chunk(points, flags, a, b):
    """(end, hash, bits that any character has, bits that all have) of the chunk that begins at points[a].

    It ends before white space or a letter of a script without spaces; such a letter is one by itself, with its marks.
    """
    h, some, every, i = np.uint64(FNV_OFFSET), np.uint32(0), np.uint32(0xFFFFFFFF), a
    if flags[i] & np.uint32(UNSPACED):
        h, some, every, i = (h ^ np.uint64(points[i])) * np.uint64(FNV_PRIME), flags[i], np.uint32(0), i + 1
        while i < b and flags[i] & np.uint32(MARK):
            h = (h ^ np.uint64(points[i])) * np.uint64(FNV_PRIME)
            i += 1
        return i, h, some, every
    while i < b and not flags[i] & np.uint32(SPACE | UNSPACED):
        h = (h ^ np.uint64(points[i])) * np.uint64(FNV_PRIME)
        some |= flags[i]
        every &= flags[i]
        i += 1
    return i, h, some, every


@inlined
def _common(points, flags, a, b, h, some, every, special, parts):
    """(words, hash, bits of any, bits of all) of a chunk, the latter of its first word.

    One word, or two where a sign comes off its end; 0 for a chunk that split_chunk must look at.
    """
    if b - a == 1 or every & np.uint32(DIGIT) or some & np.uint32(UNSPACED):
        return 1, h, some, every
    if not some & np.uint32(ROLES):
        return int(b - a > LONGEST_SPECIAL or not special_parts(h, special, parts)), h, some, every
    before, some, every = _word(points, flags, a, b - 1)
    if some & np.uint32(ROLES) or not _ends_in_sign(points, flags, a, b, before, h, special, parts):
        return 0, h, some, every
    return 2, before, some, every


@inner
def _line_words(points, flags, a, b, special, parts, units, stops, firsts, lasts, hashes, begins, count, row):
    """Add the words of the line points[a:b], stripped, to `hashes` and `begins`.

    Returns (words now, sentences, words between white space, the longest of these).
    """
    sentences, ended, chunks, longest_chunk, chunk, stop = 0, False, 0, 0, a, a
    before, place, found, alphas, lexicals, lexical_characters = count, begins[count], np.int64(0), 0, 0, 0
    while stop < b:
        first = stop
        stop, h, some, every = _chunk(points, flags, first, b)
        size, h, some, every = _common(points, flags, first, stop, h, some, every, special, parts)
        if size == 0:
            size = split_chunk(points, flags, first, stop, special, parts, units, firsts, lasts)
            sentences, ended = _split_words(
                points, flags, size, stops, firsts, lasts, hashes, begins, count, sentences, ended, row
            )
            count, size, place = count + size, 0, begins[count + size]
        last = stop - (size == 2)
        for k in range(size):
            if k:
                first, last, some, every = last, stop, flags[last], flags[last]
                h = (np.uint64(FNV_OFFSET) ^ np.uint64(points[first])) * np.uint64(FNV_PRIME)
            length = last - first
            alphas += (some & np.uint32(LETTER)) != 0
            if not every & np.uint32(SYMBOL):
                lexicals += 1
                lexical_characters += length
                found |= _stop_bit(h, stops)
            place += length
            hashes[count], begins[count + 1] = h, place
            count += 1
            terminal = length == 1 and (every & np.uint32(TERMINAL)) != 0
            if sentences == 0 or (ended and not terminal and not every & np.uint32(PUNCTUATION)):
                sentences, ended = sentences + 1, False
            ended |= terminal
        end = stop
        while stop < b and flags[stop] & np.uint32(SPACE):
            stop += 1
        if stop > end or stop == b:
            chunks, longest_chunk, chunk = chunks + 1, max(longest_chunk, end - chunk), stop
            # White space that is more than one blank is a word to the sentence splitter, and no punctuation.
            if ended and stop > end and (stop - end > 1 or points[end] != 32):
                sentences, ended = sentences + 1, False
    row[WORDS] += count - before
    row[WORD_CHARACTERS] += place - begins[before]
    row[ALPHA_WORDS] += alphas
    row[LEXICAL_WORDS] += lexicals
    row[LEXICAL_CHARACTERS] += lexical_characters
    row[STOPS] |= found
    return count, sentences, chunks, longest_chunk


@inner
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


@inner
def _document(
    points, flags, size, special, parts, units, stops, firsts, lasts, hashes, begins, clean, clean_flags, ignored, row
):
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
            _, cleaned, _, _ = _line_words(
                clean, clean_flags, low, high, special, parts, units, stops, firsts, lasts, hashes, begins, count,
                ignored,
            )  # fmt: skip
            text, low, high = clean, 0, left
        count, sentences, chunks, longest_chunk = _line_words(
            points, flags, first, last, special, parts, units, stops, firsts, lasts, hashes, begins, count, row
        )
        row[SENTENCES] += sentences
        bits = judge(text, low, high, chunks, longest_chunk, MIN_WORDS, MAX_WORD_LENGTH)
        _count_c4(bits, cleaned if left >= 0 else sentences, row)
    return count


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, classes, special, parts, units, stops, table):
    size = longest(offsets) + 2
    points, flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    clean, clean_flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    firsts, lasts = np.empty(size, np.int64), np.empty(size, np.int64)
    hashes, begins = np.empty(size, np.uint64), np.empty(size, np.int64)
    places, first, times = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    seen = np.empty(size, np.int8)
    counts, grams = np.empty(32, np.uint8), np.zeros(32, np.uint64)
    ignored = np.empty(table.shape[1], np.int64)
    for d in range(table.shape[0]):
        row = table[d]
        count = decode(buffer, offsets[d], offsets[d + 1], classes, points, flags)
        count = _document(
            points, flags, count, special, parts, units, stops, firsts, lasts, hashes, begins, clean, clean_flags,
            ignored, row,
        )  # fmt: skip
        mask, row[STOPS] = row[STOPS], 0
        while mask:
            row[STOPS] += mask & 1
            mask >>= 1
        capacity = power_of_two(4 * count)
        if capacity > grams.shape[0]:
            counts, grams = np.empty(capacity, np.uint8), np.zeros(capacity, np.uint64)
        repetition(hashes, begins, count, places, first, times, seen, counts, grams, 16 * d + 16, row[TOP_2GRAM:])


@functools.cache
def _stop_table() -> np.ndarray:
    """uint64 [2, STOP_PLACES]: hash of a stop word, and its bit, at the place that the hash's last bits name."""
    table = np.zeros((2, STOP_PLACES), np.uint64)
    for number, word in enumerate(STOP_WORDS):
        place = hash_text(word) % STOP_PLACES
        assert not table[1, place], f"{word!r} shares its place: STOP_PLACES is too small"
        table[:, place] = hash_text(word), 1 << number
    return table


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    _statistics(buffer, offsets, character_table(), *special_table(), unit_hashes(), _stop_table(), table)
    return table
