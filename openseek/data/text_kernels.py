"""Statistics of characters, lines and paragraphs by a compiled pass over Arrow string buffers, without Python strings.

Lengths are in characters (code points). Published rules split lines in different ways, so there are three kinds:

- `lines` lie between newlines and hold something other than white space (FineWeb); of these `line_characters` and
  `longest_line` leave out white space at both ends, `short_lines` have at most 30 characters as they stand,
  `terminal_lines` end with a sign that ends sentences in some script, `ended_lines` with such a sign of English or
  Chinese, a closing quote or a colon;
- `text_lines` are what str.splitlines gives, empty ones included; `bullet_lines` and `ellipsis_lines` are among these
  (Gopher's quality rules);
- `split_lines` lie between runs of newlines, white space included, and a newline at the begin or the end of the text
  has an empty one beside it; `duplicate_lines` were there before, `duplicate_line_characters` are theirs (Gopher's
  repetition), `repeated_line_characters` those of the duplicates that are not blank (FineWeb).

Paragraphs lie between two or more newlines, once white space is stripped off the text. What is said of duplicates
counts every copy but the first. Kernels release the GIL and are compiled once per machine (cache=True).
"""

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.characters import (
    IDEOGRAPH,
    LETTER,
    LINE_BREAK,
    NUMBER,
    SIGN,
    SPACE,
    TERMINAL,
    character_table,
    decode,
)
from openseek.data.kernel import inner
from openseek.data.words import longest, string_buffers

FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
SHORT_LINE = 30
"""FineWeb's length of a short line, in characters."""
NEWLINE, DOT, ELLIPSIS, HASH = (ord(c) for c in "\n.…#")
BULLETS = np.array([ord(c) for c in "•-"], np.int64)
SENTENCE_ENDS = np.array([ord(c) for c in ".!?\"'”’。！？…」』；;:："], np.int64)

STATISTICS = (
    "characters", "bytes", "letters", "digits", "ideographs", "symbols", "replacements", "hashes", "ellipses",
    "newlines", "lines", "line_characters", "longest_line", "short_lines", "terminal_lines", "ended_lines",
    "text_lines", "bullet_lines", "ellipsis_lines",
    "split_lines", "duplicate_lines", "duplicate_line_characters", "repeated_line_characters",
    "paragraphs", "duplicate_paragraphs", "duplicate_paragraph_characters",
)  # fmt: skip
(
    CHARACTERS, BYTES, LETTERS, DIGITS, IDEOGRAPHS, SYMBOLS, REPLACEMENTS, HASHES, ELLIPSES, NEWLINES,
    LINES, LINE_CHARACTERS, LONGEST_LINE, SHORT_LINES, TERMINAL_LINES, ENDED_LINES,
    TEXT_LINES, BULLET_LINES, ELLIPSIS_LINES,
    SPLIT_LINES, DUPLICATE_LINES, DUPLICATE_LINE_CHARACTERS, REPEATED_LINE_CHARACTERS,
    PARAGRAPHS, DUPLICATE_PARAGRAPHS, DUPLICATE_PARAGRAPH_CHARACTERS,
) = range(len(STATISTICS))  # fmt: skip


@inner
def slot(keys, stamps, stamp, key, mask):
    """Index of `key` in the open-addressing set of this stamp, or of the free place where it belongs."""
    h = key ^ (key >> np.uint64(31))
    h *= np.uint64(0x94D049BB133111EB)
    i = (h ^ (h >> np.uint64(32))) & mask
    while stamps[i] == stamp and keys[i] != key:
        i = (i + np.uint64(1)) & mask
    return i


@inner
def power_of_two(least):
    """The least power of two that is at least `least` and 16."""
    size = 16
    while size < least:
        size *= 2
    return size


@inner
def strip(flags, a, b):
    """(first, end) of flags[a:b] without white space at both ends."""
    while a < b and flags[a] & np.uint32(SPACE):
        a += 1
    while b > a and flags[b - 1] & np.uint32(SPACE):
        b -= 1
    return a, b


@inner
def _characters(points, flags, size, row):
    letters, digits, ideographs, symbols, replacements, hashes, ellipses, newlines, dots = 0, 0, 0, 0, 0, 0, 0, 0, 0
    # Sums without a branch, which the compiler takes several at a time.
    for i in range(size):
        point, bits = points[i], flags[i]
        letters += (bits & np.uint32(LETTER)) != 0
        digits += (bits & np.uint32(NUMBER)) != 0
        ideographs += (bits & np.uint32(IDEOGRAPH)) != 0
        symbols += (bits & np.uint32(SIGN)) != 0
        replacements += point == 0xFFFD
        hashes += point == HASH
        newlines += point == NEWLINE
        ellipses += point == ELLIPSIS
    for i in range(size):
        dots = dots + 1 if points[i] == DOT else 0
        if dots == 3:
            ellipses, dots = ellipses + 1, 0
    row[CHARACTERS], row[LETTERS], row[DIGITS], row[IDEOGRAPHS] = size, letters - ideographs, digits, ideographs
    row[SYMBOLS], row[REPLACEMENTS], row[HASHES], row[ELLIPSES] = symbols, replacements, hashes, ellipses
    row[NEWLINES] = newlines


@inner
def ends_with_ellipsis(points, a, b):
    """Whether points[a:b] ends with three periods."""
    return b - a >= 3 and points[b - 1] == DOT and points[b - 2] == DOT and points[b - 3] == DOT


@njit(nogil=True, cache=True)
def _text_lines(points, flags, size, bullets, row):
    a = 0
    while a < size:
        b = a
        while b < size and not flags[b] & np.uint32(LINE_BREAK):
            b += 1
        first, last = strip(flags, a, b)
        row[TEXT_LINES] += 1
        if first < last:
            for bullet in bullets:
                row[BULLET_LINES] += points[first] == bullet
            row[ELLIPSIS_LINES] += points[last - 1] == ELLIPSIS or ends_with_ellipsis(points, first, last)
        a = b + (2 if b + 1 < size and points[b] == 13 and points[b + 1] == NEWLINE else 1)


@inner
def _filled_line(points, flags, a, b, ends, row):
    """Counts of one line between newlines; whether it holds something other than white space."""
    first, last = strip(flags, a, b)
    if first == last:
        return False
    row[LINES] += 1
    row[LINE_CHARACTERS] += last - first
    row[LONGEST_LINE] = max(row[LONGEST_LINE], last - first)
    row[SHORT_LINES] += b - a <= SHORT_LINE
    row[TERMINAL_LINES] += (flags[b - 1] & np.uint32(TERMINAL)) != 0
    for k in range(ends.shape[0]):
        row[ENDED_LINES] += points[last - 1] == ends[k]
    return True


@inner
def _lines(points, flags, size, ends, keys, stamps, stamp, mask, row):
    """Lines between newlines, and which of them were there before."""
    a = 0
    while a <= size:
        h, b = np.uint64(FNV_OFFSET), a
        while b < size and points[b] != NEWLINE:
            h = (h ^ np.uint64(points[b])) * np.uint64(FNV_PRIME)
            b += 1
        if b > a:
            filled = _filled_line(points, flags, a, b, ends, row)
            row[SPLIT_LINES] += 1
            place = slot(keys, stamps, stamp, h, mask)
            if stamps[place] == stamp:
                row[DUPLICATE_LINES] += 1
                row[DUPLICATE_LINE_CHARACTERS] += b - a
                row[REPEATED_LINE_CHARACTERS] += b - a if filled else 0
            stamps[place], keys[place] = stamp, h
        a = b + 1
    begins, stops = size > 0 and points[0] == NEWLINE, size > 0 and points[size - 1] == NEWLINE
    row[SPLIT_LINES] += (size == 0) + begins + stops
    row[DUPLICATE_LINES] += begins and stops


@inner
def _paragraphs(points, flags, size, keys, stamps, stamp, mask, row):
    """Paragraphs, and which of them were there before."""
    a, stop = strip(flags, 0, size)
    row[PARAGRAPHS] += a == stop
    while a < stop:
        h, b = np.uint64(FNV_OFFSET), a
        while b < stop and not (points[b] == NEWLINE and points[b + 1] == NEWLINE):
            h = (h ^ np.uint64(points[b])) * np.uint64(FNV_PRIME)
            b += 1
        row[PARAGRAPHS] += 1
        place = slot(keys, stamps, stamp, h, mask)
        if stamps[place] == stamp:
            row[DUPLICATE_PARAGRAPHS] += 1
            row[DUPLICATE_PARAGRAPH_CHARACTERS] += b - a
        stamps[place], keys[place] = stamp, h
        a = b
        while a < stop and points[a] == NEWLINE:
            a += 1


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, classes, bullets, ends, table):
    size = longest(offsets) + 1
    points, flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    keys, stamps = np.empty(16, np.uint64), np.zeros(16, np.int64)
    stamp = 0
    for d in range(table.shape[0]):
        row = table[d]
        count = decode(buffer, offsets[d], offsets[d + 1], classes, points, flags)
        row[BYTES] = offsets[d + 1] - offsets[d]
        _characters(points, flags, count, row)
        # A set no larger than the document needs stays in the processor's cache.
        capacity = power_of_two(2 * row[NEWLINES] + 2)
        if capacity > keys.shape[0]:
            keys, stamps = np.empty(capacity, np.uint64), np.zeros(capacity, np.int64)
        mask = np.uint64(capacity - 1)
        _text_lines(points, flags, count, bullets, row)
        _lines(points, flags, count, ends, keys, stamps, stamp + 1, mask, row)
        _paragraphs(points, flags, count, keys, stamps, stamp + 2, mask, row)
        stamp += 2


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    _statistics(buffer, offsets, character_table(), BULLETS, SENTENCE_ENDS, table)
    return table
