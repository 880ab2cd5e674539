"""Words of UTF-8 text as 64-bit hashes, read from Arrow string buffers by numba kernels; no Python string is made.

A word is a run of letters, digits and underscores, lower-cased, with accents and compatibility forms folded away: a
wide underscore or a Kangxi radical counts as what it is folded to. A character of a script written without spaces (Han,
Kana, Thai, Lao, Myanmar, Khmer) is a word by itself. Combining marks are skipped, so composed and decomposed text give
the same words. Everything else separates.
"""

import functools
import unicodedata

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.kernel import inner

SEPARATOR, WORD, SINGLE, MARK = 0, 1, 2, 3
TABLE_SIZE = 0x20000
_SINGLE_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han iteration mark and zero
    (0x3040, 0x30FF),  # Kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)
_WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_GRAM_FACTOR = np.uint64(0x2545F4914F6CDD1D)


@functools.cache
def word_table() -> tuple[np.ndarray, np.ndarray]:
    """(class uint8, folded code point uint32) of every code point below 0x20000; above lie only Han characters."""
    classes = np.zeros(TABLE_SIZE, np.uint8)
    folded = np.arange(TABLE_SIZE, dtype=np.uint32)
    single = np.zeros(TABLE_SIZE, bool)
    for first, last in _SINGLE_RANGES:
        single[first : last + 1] = True
    for code in range(TABLE_SIZE):
        letter = fold(chr(code))
        category = unicodedata.category(letter)
        if unicodedata.category(chr(code)) == "Mn":
            classes[code] = MARK
        elif category[0] in "LN" or category == "Mc" or letter == "_":
            classes[code] = SINGLE if single[ord(letter)] else WORD
            folded[code] = ord(letter)
    classes.setflags(write=False)
    folded.setflags(write=False)
    return classes, folded


def fold(character: str) -> str:
    """Lower case, without marks and compatibility form where that leaves one character; else plain lower case."""
    for form in (unicodedata.normalize("NFKD", character.lower()), character.lower()):
        letters = [c for c in form if unicodedata.category(c) != "Mn"]
        if len(letters) == 1 and ord(letters[0]) < TABLE_SIZE:
            return letters[0]
    return character


def string_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(bytes uint8, offsets int64 [rows + 1]) of a string column; no copy when it is one chunk of large strings."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if column.null_count:
        raise ValueError(f"{column.null_count} texts are null: every document needs a text")
    column = column.cast(pa.large_string())
    if len(column) == 0:
        return np.zeros(1, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = column.buffers()
    positions = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    # A kernel wants an array to point at even when every text is empty.
    return (np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)), positions


@inner
def mix(value: np.uint64) -> np.uint64:
    """Spread every bit of a 64-bit value over all bits (the finaliser of splitmix64)."""
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@inner
def code_point(data, i, stop):
    """(code point, bytes) of the UTF-8 character at data[i]; a character cut off at `stop` reads as U+FFFD."""
    lead = np.int64(data[i])
    if lead < 0x80:
        return lead, 1
    width = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
    if i + width > stop:
        return 0xFFFD, stop - i
    code = lead & (0x7F >> width)
    for k in range(1, width):
        code = (code << 6) | (np.int64(data[i + k]) & 0x3F)
    return code, width


@inner
def words_of(data, start, stop, classes, folded, hashes, starts):
    """Hash the words of data[start:stop] into `hashes` and their byte positions into `starts`; returns their number.

    Both arrays need (stop - start + 1) // 2 + 1 places.
    """
    count = 0
    value = np.uint64(0)
    begin = -1
    i = start
    while i < stop:
        code, width = code_point(data, i, stop)
        if code < 0x20000:
            kind, letter = classes[code], np.uint64(folded[code])
        else:
            kind, letter = np.uint8(2 if code < 0x40000 else 0), np.uint64(code)
        if kind == 1 or kind == 2:
            if kind == 2 and begin >= 0:
                hashes[count], starts[count] = value, begin
                count += 1
                begin = -1
            if begin < 0:
                begin, value = i, np.uint64(0)
            value = (value ^ letter) * _WORD_FACTOR
            value ^= value >> np.uint64(29)
        if begin >= 0 and (kind == 0 or kind == 2):
            hashes[count], starts[count] = value, begin
            count += 1
            begin = -1
        i += width
    if begin >= 0:
        hashes[count], starts[count] = value, begin
        count += 1
    return count


@inner
def grams_of(words, count, size, grams):
    """Hash every run of `size` words into `grams` (rolling, finalised); returns their number, 0 below `size` words."""
    if count < size:
        return 0
    oldest = np.uint64(1)
    for _ in range(size - 1):
        oldest *= _GRAM_FACTOR
    rolling = np.uint64(0)
    for i in range(count):
        if i >= size:
            rolling -= words[i - size] * oldest
        rolling = rolling * _GRAM_FACTOR + words[i]
        if i >= size - 1:
            grams[i - size + 1] = mix(rolling)
    return count - size + 1


@njit(nogil=True, cache=True)
def longest(offsets: np.ndarray) -> int:
    """Bytes of the longest text."""
    most = 0
    for i in range(offsets.shape[0] - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


def hash_words(text: str) -> np.ndarray:
    """The word hashes (uint64) of one text; for short texts such as benchmark items."""
    data = np.frombuffer(text.encode() or b"\0", np.uint8)
    size = len(text.encode())
    hashes, starts = np.empty(size // 2 + 2, np.uint64), np.empty(size // 2 + 2, np.int64)
    return hashes[: words_of(data, 0, size, *word_table(), hashes, starts)]
