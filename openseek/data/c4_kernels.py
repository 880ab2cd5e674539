"""What C4 asks of a line (Raffel et al., 2020, section 2.2, and its published code), by numba kernels."""

import numpy as np
from numba import njit

from openseek.data.text_kernels import ends_with_ellipsis

UNENDED, FEW_WORDS, LONG_WORD, LOREM_IPSUM, JAVASCRIPT, CURLY_BRACKET, POLICY = (1 << bit for bit in range(7))
"""A line without . ? ! or a quote at its end, or with an ellipsis there; of too few words; with too long a word; with
the phrase; with the word; with an opening curly bracket; with words of a privacy, cookie or usage policy."""
MIN_WORDS, MAX_WORD_LENGTH = 3, 1000
_PHRASES = (
    ("lorem ipsum", LOREM_IPSUM),
    ("javascript", JAVASCRIPT),
    ("terms of use", POLICY),
    ("privacy policy", POLICY),
    ("cookie policy", POLICY),
    ("uses cookies", POLICY),
    ("use of cookies", POLICY),
    ("use cookies", POLICY),
)
_TEXTS = np.zeros((len(_PHRASES), 16), np.int32)
_LENGTHS = np.array([len(phrase) for phrase, _ in _PHRASES], np.int64)
_BITS = np.array([bit for _, bit in _PHRASES], np.int64)
# Phrases that may begin with these two letters, a bit each.
_FIRST, _SECOND = np.zeros(128, np.uint8), np.zeros(128, np.uint8)
for _number, (_phrase, _) in enumerate(_PHRASES):
    _TEXTS[_number, : len(_phrase)] = [ord(c) for c in _phrase]
    for _table, _letter in ((_FIRST, _phrase[0]), (_SECOND, _phrase[1])):
        for _form in (_letter, _letter.upper()):
            _table[ord(_form)] |= 1 << _number
_ENDS = np.array([ord(c) for c in ".?!\"'"], np.int64)
_MARKS = tuple(np.array([ord(c) for c in mark], np.int32) for mark in ("[edit]", "[citation needed]"))
_EDIT, _NEEDED = _MARKS
_OPEN, _CLOSE, _CURLY = (ord(c) for c in "[]{")


@njit(nogil=True, cache=True)
def _same(points, a, b, letters):
    if b - a < letters.shape[0]:
        return False
    for k in range(letters.shape[0]):
        if points[a + k] != letters[k]:
            return False
    return True


@njit(nogil=True, cache=True)
def _citation(points, i, b):
    """Characters of the citation mark at points[i]: [1], [], [edit] or [citation needed]."""
    stop = i + 1
    while stop < b and 48 <= points[stop] <= 57:
        stop += 1
    if stop < b and points[stop] == _CLOSE:
        return stop + 1 - i
    for mark in (_EDIT, _NEEDED):
        if _same(points, i, b, mark):
            return mark.shape[0]
    return 0


@njit(nogil=True, cache=True)
def without_citations(points, flags, a, b, new_points, new_flags):
    """Copy points[a:b] without citation marks; returns the characters left, or -1 (nothing copied) without any mark."""
    i, found = a, False
    while i < b and not found:
        found = points[i] == _OPEN and _citation(points, i, b) > 0
        i += 1
    if not found:
        return -1
    count, i = 0, a
    while i < b:
        length = _citation(points, i, b) if points[i] == _OPEN else 0
        if length == 0:
            new_points[count], new_flags[count] = points[i], flags[i]
            count, length = count + 1, 1
        i += length
    return count


@njit(nogil=True, cache=True)
def _phrases(points, a, b):
    """The bits of the phrases in points[a:b], small and capital letters alike, and of a curly bracket."""
    found = 0
    for i in range(a, b):
        point = points[i]
        if point == _CURLY:
            found |= CURLY_BRACKET
        if point >= 128 or i + 1 == b or points[i + 1] >= 128:
            continue
        candidates = _FIRST[point] & _SECOND[points[i + 1]]
        number = 0
        while candidates:
            if candidates & 1 and i + _LENGTHS[number] <= b:
                k = 2
                while k < _LENGTHS[number]:
                    letter = points[i + k]
                    if (letter + 32 if 65 <= letter <= 90 else letter) != _TEXTS[number, k]:
                        break
                    k += 1
                if k == _LENGTHS[number]:
                    found |= _BITS[number]
            candidates >>= 1
            number += 1
    return found


@njit(nogil=True, cache=True)
def judge(points, a, b, words, longest_word, min_words, max_word_length):
    """The bits of all that is wrong with the line points[a:b], whose citation marks are gone."""
    bits = LONG_WORD if longest_word > max_word_length else 0
    bits |= FEW_WORDS if words < min_words else 0
    ended = False
    if b > a:
        for mark in _ENDS:
            ended |= points[b - 1] == mark
    if not ended or ends_with_ellipsis(points, a, b):
        bits |= UNENDED
    return bits | _phrases(points, a, b)
