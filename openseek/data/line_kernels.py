"""Lines and paragraphs of UTF-8 texts with a 64-bit hash of each, read from Arrow string buffers by a numba kernel.

The hash does not see case, width, or how much white space there is: neither its kind nor, in a paragraph, where lines
are broken. It does see every digit and sign, so that lines of a table or of formulas stay apart.
"""

import functools
import unicodedata

import numpy as np
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import SINGLE, TABLE_SIZE, WORD, code_point, mix, word_table

SIGN, ACCENT, SPACE, IGNORED = 0, 3, 4, 5
ROW, START, STOP, END, WORDS, CHARACTERS = range(6)
"""Columns of a unit: row of its document; bytes of the buffer where it begins, where its last line ends, and where what
goes with it ends (line break, blank lines); its words; its characters, a run of white space being one."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_JOINERS = "\u200c\u200d"


@functools.cache
def unit_table() -> tuple[np.ndarray, np.ndarray]:
    """(kind uint8, folded code point uint32) of every code point below TABLE_SIZE; above lie only Han characters."""
    kinds = word_table()[0].copy()
    folded = np.arange(TABLE_SIZE, dtype=np.uint32)
    for code in range(TABLE_SIZE):
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace() or category == "Cc":
            kinds[code] = SPACE
        elif category == "Cf" and character not in _JOINERS:
            kinds[code] = IGNORED
        else:
            for form in (unicodedata.normalize("NFKC", character).lower(), character.lower()):
                if len(form) == 1 and ord(form) < TABLE_SIZE:
                    folded[code] = ord(form)
                    break
    kinds.setflags(write=False)
    folded.setflags(write=False)
    return kinds, folded


@inner
def _scan(data, start, stop, kinds, folded, value, words, characters):
    """A unit's (hash, words, characters) after one more line data[start:stop]; a line break is white space."""
    blank, inside = characters > 0, False
    i = start
    while i < stop:
        code, width = code_point(data, i, stop)
        i += width
        if code < TABLE_SIZE:
            kind, letter = kinds[code], np.uint64(folded[code])
        else:
            kind, letter = np.uint8(SINGLE if code < 0x40000 else SIGN), np.uint64(code)
        if kind == SPACE:
            blank, inside = characters > 0, False
            continue
        if kind == IGNORED:
            continue
        if blank:
            value = (value ^ np.uint64(32)) * _FACTOR
            value ^= value >> np.uint64(29)
            characters += 1
            blank = False
        value = (value ^ letter) * _FACTOR
        value ^= value >> np.uint64(29)
        characters += 1
        words += kind == SINGLE or (kind == WORD and not inside)
        inside = kind == WORD or (inside and kind == ACCENT)
    return value, words, characters


@inner
def _put(units, hashes, count, row, start, stop, end, value, words, characters):
    units[count, 0], units[count, 1], units[count, 2], units[count, 3] = row, start, stop, end
    units[count, 4], units[count, 5] = words, characters
    hashes[count] = mix(value)
    return count + 1


@inner
def _split(data, row, start, stop, paragraphs, kinds, folded, units, hashes, count):
    """Write the units of one document data[start:stop]; returns how many there are after them."""
    first, begin, last = count, -1, start
    value, words, characters = np.uint64(0), 0, 0
    at = start
    while at < stop:
        end = at
        while end < stop and data[end] != 10:
            end += 1
        before = characters
        value, words, characters = _scan(data, at, end, kinds, folded, value, words, characters)
        after = min(end + 1, stop)
        solid = characters > before
        if solid:
            if begin < 0:
                begin = at
                if paragraphs and count > first:
                    units[count - 1, 3] = at
            last = end - (data[end - 1] == 13)
        if begin >= 0 and (not solid or not paragraphs or after == stop):
            reach = stop if paragraphs else after
            count = _put(units, hashes, count, row, begin, last, reach, value, words, characters)
            begin, value, words, characters = -1, np.uint64(0), 0, 0
        at = after
    return count


@njit(nogil=True, cache=True)
def _most(data, offsets, wanted):
    most = 0
    for row in range(wanted.shape[0]):
        if wanted[row]:
            most += 1
            for i in range(offsets[row], offsets[row + 1]):
                most += data[i] == 10
    return most


@njit(nogil=True, cache=True)
def _split_all(data, offsets, wanted, paragraphs, kinds, folded, units, hashes):
    count = 0
    for row in range(wanted.shape[0]):
        if wanted[row]:
            a, b = offsets[row], offsets[row + 1]
            count = _split(data, row, a, b, paragraphs, kinds, folded, units, hashes, count)
    return count


def split_units(
    data: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, *, paragraphs: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(units int64 [U, 6], hashes uint64 [U]) of the documents that `wanted` (bool [rows]) names, in text order.

    A unit is a line, or a paragraph: lines up to a blank one. Blank lines are none.
    """
    most = _most(data, offsets, wanted)
    units, hashes = np.empty((most, 6), np.int64), np.empty(most, np.uint64)
    count = _split_all(data, offsets, wanted, paragraphs, *unit_table(), units, hashes)
    return units[:count], hashes[:count]
