"""The statistics that rules read, by compiled passes over Arrow string buffers; no Python string is made.

A *word* here is what stands between white space, as Gopher's rules want it. Repetition is looked for in runs of the
finer words of words.py, where an ideograph is one by itself; an n-gram's size is the bytes from its first word to the
word after it. Kernels release the GIL and are compiled once per machine (cache=True).
"""

import functools
import unicodedata

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.words import TABLE_SIZE, code_point, string_buffers, word_table, words_of

SPACE, LETTER, IDEOGRAPH, DIGIT, MARK, SYMBOL = range(6)
IDEOGRAPH_RANGES = ((0x3041, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
FNV_OFFSET, FNV_PRIME, NGRAM_PRIME = 0xCBF29CE484222325, 0x100000001B3, 0x2545F4914F6CDD1D
BULLETS = np.array([ord(c) for c in "-*•‣◦▪●·■□▶"], np.int64)
SENTENCE_ENDS = np.array([ord(c) for c in ".!?\"'”’。！？…」』；;:："], np.int64)

STATISTICS = (
    "characters", "letters", "digits", "ideographs", "symbols", "replacements",
    "words", "word_characters", "alpha_words", "stop_words", "hashes", "ellipses",
    "lines", "line_characters", "longest_line", "bullet_lines", "ellipsis_lines", "ended_lines",
    "duplicate_lines", "duplicate_line_characters",
    "paragraphs", "duplicate_paragraphs", "duplicate_paragraph_characters",
    "bytes", "top_2gram", "top_3gram", "top_4gram",
    "duplicate_5gram", "duplicate_6gram", "duplicate_7gram", "duplicate_8gram", "duplicate_9gram", "duplicate_10gram",
)  # fmt: skip
(
    CHARACTERS, LETTERS, DIGITS, IDEOGRAPHS, SYMBOLS, REPLACEMENTS,
    WORDS, WORD_CHARACTERS, ALPHA_WORDS, STOPS, HASHES, ELLIPSES,
    LINES, LINE_CHARACTERS, LONGEST_LINE, BULLET_LINES, ELLIPSIS_LINES, ENDED_LINES,
    DUPLICATE_LINES, DUPLICATE_LINE_CHARACTERS, PARAGRAPHS, DUPLICATE_PARAGRAPHS, DUPLICATE_PARAGRAPH_CHARACTERS,
    BYTES, TOP_2GRAM, _3, _4, _5, _6, _7, _8, _9, _10,
) = range(len(STATISTICS))  # fmt: skip


@functools.cache
def character_classes() -> np.ndarray:
    """Class (uint8) of every code point below TABLE_SIZE; above lie only ideographs."""
    classes = np.full(TABLE_SIZE, SPACE, np.uint8)
    by_category = {"L": LETTER, "N": DIGIT, "M": MARK, "P": SYMBOL, "S": SYMBOL}
    for code in range(TABLE_SIZE):
        classes[code] = by_category.get(unicodedata.category(chr(code))[0], SPACE)
    for first, last in IDEOGRAPH_RANGES:
        part = classes[first : last + 1]
        part[part == LETTER] = IDEOGRAPH
    classes.setflags(write=False)
    return classes


@njit(nogil=True, cache=True)
def _slot(keys, stamps, stamp, key, mask):
    """Index of `key` in the open-addressing set, or of the free place where it belongs."""
    h = key ^ (key >> np.uint64(31))
    h *= np.uint64(0x94D049BB133111EB)
    i = (h ^ (h >> np.uint64(32))) & mask
    while stamps[i] == stamp and keys[i] != key:
        i = (i + np.uint64(1)) & mask
    return i


@njit(nogil=True, cache=True)
def _characters_and_words(buffer, start, stop, classes, folds, stops, row):
    length, alpha, seen, i = 0, False, 0, start
    h = np.uint64(FNV_OFFSET)
    while i <= stop:
        point, width, kind = 32, 1, np.uint8(SPACE)
        if i < stop:
            point, width = code_point(buffer, i, stop)
            kind = classes[point] if point < classes.shape[0] else np.uint8(IDEOGRAPH)
            row[CHARACTERS] += 1
            row[LETTERS] += kind == LETTER
            row[DIGITS] += kind == DIGIT
            row[IDEOGRAPHS] += kind == IDEOGRAPH
            row[SYMBOLS] += kind == SYMBOL
            row[REPLACEMENTS] += point == 0xFFFD
            row[HASHES] += point == 35
            dots = point == 46 and i + 2 < stop and buffer[i + 1] == 46 and buffer[i + 2] == 46
            row[ELLIPSES] += point == 0x2026 or (dots and (i == start or buffer[i - 1] != 46))
        if kind == SPACE:
            if length > 0:
                row[WORDS] += 1
                row[WORD_CHARACTERS] += length
                row[ALPHA_WORDS] += alpha
                for q in range(stops.shape[0]):
                    if h == stops[q]:
                        seen |= 1 << q
            length, alpha, h = 0, False, np.uint64(FNV_OFFSET)
        else:
            length += 1
            if kind in (LETTER, IDEOGRAPH):
                alpha = True
                folded = folds[point] if point < folds.shape[0] else np.uint32(point)
                h = (h ^ np.uint64(folded)) * np.uint64(FNV_PRIME)
        i += width
    for q in range(stops.shape[0]):
        row[STOPS] += (seen >> q) & 1


@njit(nogil=True, cache=True)
def _line(buffer, first, last, bullets, ends, row):
    """Counts of one non-empty line, stripped of white space; returns (hash, characters)."""
    h, characters, i = np.uint64(FNV_OFFSET), 0, first
    begin, end, previous, before = 0, 0, 0, 0
    while i < last:
        point, width = code_point(buffer, i, last)
        h = (h ^ np.uint64(point)) * np.uint64(FNV_PRIME)
        begin = point if characters == 0 else begin
        before, previous, end = previous, end, point
        characters += 1
        i += width
    row[LINES] += 1
    row[LINE_CHARACTERS] += characters
    row[LONGEST_LINE] = max(row[LONGEST_LINE], characters)
    for bullet in bullets:
        row[BULLET_LINES] += begin == bullet
    row[ELLIPSIS_LINES] += end == 0x2026 or (end == 46 and previous == 46 and before == 46)
    for mark in ends:
        row[ENDED_LINES] += end == mark
    return h, characters


@njit(nogil=True, cache=True)
def _lines_and_paragraphs(buffer, start, stop, bullets, ends, keys, stamps, stamp, mask, row):
    """Lines and paragraphs (runs of non-empty lines), and how many of them were there before; of the document."""
    paragraph, paragraph_characters, a = np.uint64(FNV_OFFSET), 0, start
    while a <= stop:
        b = a
        while b < stop and buffer[b] != 10:
            b += 1
        first, last = a, b
        while first < last and buffer[first] <= 32:
            first += 1
        while last > first and buffer[last - 1] <= 32:
            last -= 1
        if last > first:
            h, characters = _line(buffer, first, last, bullets, ends, row)
            place = _slot(keys, stamps, stamp, h, mask)
            if stamps[place] == stamp:
                row[DUPLICATE_LINES] += 1
                row[DUPLICATE_LINE_CHARACTERS] += characters
            stamps[place], keys[place] = stamp, h
            paragraph = (paragraph ^ h) * np.uint64(NGRAM_PRIME) + np.uint64(1)
            paragraph_characters += characters
        if paragraph_characters > 0 and (last == first or b >= stop):
            row[PARAGRAPHS] += 1
            # A stamp of its own would cost a second set; the added bits keep paragraphs apart from lines.
            key = paragraph ^ np.uint64(0xA5A5A5A5A5A5A5A5)
            place = _slot(keys, stamps, stamp, key, mask)
            if stamps[place] == stamp:
                row[DUPLICATE_PARAGRAPHS] += 1
                row[DUPLICATE_PARAGRAPH_CHARACTERS] += paragraph_characters
            stamps[place], keys[place] = stamp, key
            paragraph, paragraph_characters = np.uint64(FNV_OFFSET), 0
        a = b + 1


@njit(nogil=True, cache=True)
def _ngrams(hashes, starts, count, size, keys, stamps, counts, stamp, mask):
    """(bytes in the n-gram that covers most of the text of those met twice or more, bytes in n-grams met before).

    The latter counts no byte twice: after a repeated n-gram the next one looked at begins behind it.
    """
    power, h = np.uint64(1), np.uint64(0)
    for _ in range(size):
        power *= np.uint64(NGRAM_PRIME)
    top, repeated, skip = 0, 0, 0
    for i in range(count):
        h = h * np.uint64(NGRAM_PRIME) + hashes[i]
        if i >= size:
            h -= hashes[i - size] * power
        if i < size - 1:
            continue
        length = starts[i + 1] - starts[i + 1 - size]
        place = _slot(keys, stamps, stamp, h, mask)
        if stamps[place] != stamp:
            stamps[place], keys[place], counts[place] = stamp, h, 0
        elif skip <= 0:
            repeated += length
            skip = size
        counts[place] += 1
        skip -= 1
        if counts[place] > 1:
            top = max(top, counts[place] * length)
    return top, repeated


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, classes, word_classes, folds, stops, bullets, ends, table):
    longest = 1
    for d in range(table.shape[0]):
        longest = max(longest, offsets[d + 1] - offsets[d])
    capacity = 16
    while capacity < 2 * longest + 16:
        capacity *= 2
    keys, stamps = np.empty(capacity, np.uint64), np.zeros(capacity, np.int64)
    counts = np.empty(capacity, np.int64)
    hashes, starts = np.empty(longest + 2, np.uint64), np.empty(longest + 2, np.int64)
    stamp = 0
    for d in range(table.shape[0]):
        start, stop, row = offsets[d], offsets[d + 1], table[d]
        # A set no larger than the document needs stays in the processor's cache.
        capacity = 16
        while capacity < 2 * (stop - start) + 16:
            capacity *= 2
        mask = np.uint64(capacity - 1)
        row[BYTES] = stop - start
        _characters_and_words(buffer, start, stop, classes, folds, stops, row)
        stamp += 1
        _lines_and_paragraphs(buffer, start, stop, bullets, ends, keys, stamps, stamp, mask, row)
        count = words_of(buffer, start, stop, word_classes, folds, hashes, starts)
        starts[count] = stop
        for size in range(2, 11):
            stamp += 1
            top, repeated = _ngrams(hashes, starts, count, size, keys, stamps, counts, stamp, mask)
            row[TOP_2GRAM + size - 2] = top if size <= 4 else repeated


@functools.cache
def _stop_hashes() -> np.ndarray:
    """Hashes of the stop words as _characters_and_words computes them."""
    found = []
    for word in STOP_WORDS:
        h = FNV_OFFSET
        for letter in word:
            h = ((h ^ ord(letter)) * FNV_PRIME) & (2**64 - 1)
        found.append(h)
    return np.array(found, np.uint64)


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    word_classes, folds = word_table()
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    _statistics(
        buffer, offsets, character_classes(), word_classes, folds, _stop_hashes(), BULLETS, SENTENCE_ENDS, table
    )
    return table
