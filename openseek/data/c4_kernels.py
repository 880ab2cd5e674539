"""What C4 asks of a line (Raffel et al., 2020, section 2.2, and its published code), by numba kernels."""

import numpy as np

from openseek.data.kernel import inner
from openseek.data.text_kernels import ends_with_ellipsis

UNENDED, FEW_WORDS, LONG_WORD, LOREM_IPSUM, JAVASCRIPT, CURLY_BRACKET, POLICY = (1 << bit for bit in range(7))
"""A line without . ? ! or a quote at its end, or with an ellipsis there; of too few words; with too long a word; with
the phrase; with the word; with an opening curly bracket; with words of a privacy, cookie or usage policy."""
MIN_WORDS, MAX_WORD_LENGTH = 3, 1000
# A phrase, its rarest letter, at which it is looked for, and its bit.
_PHRASES = (
    ("lorem ipsum", "p", LOREM_IPSUM),
    ("javascript", "j", JAVASCRIPT),
    ("terms of use", "f", POLICY),
    ("privacy policy", "v", POLICY),
    ("cookie policy", "k", POLICY),
    ("uses cookies", "k", POLICY),
    ("use of cookies", "k", POLICY),
    ("use cookies", "k", POLICY),
)
_TEXTS = np.zeros((len(_PHRASES), 16), np.int32)
_LENGTHS = np.array([len(phrase) for phrase, _, _ in _PHRASES], np.int64)
_PLACES = np.array([phrase.index(letter) for phrase, letter, _ in _PHRASES], np.int64)
_BITS = np.array([bit for _, _, bit in _PHRASES], np.int64)
# Phrases to look for at a letter, a bit each.
_AT_LETTER = np.zeros(128, np.uint8)
for _number, (_phrase, _letter, _) in enumerate(_PHRASES):
    _TEXTS[_number, : len(_phrase)] = [ord(c) for c in _phrase]
    for _form in (_letter, _letter.upper()):
        _AT_LETTER[ord(_form)] |= 1 << _number
_ENDS = np.array([ord(c) for c in ".?!\"'"], np.int64)
_MARKS = tuple(np.array([ord(c) for c in mark], np.int32) for mark in ("[edit]", "[citation needed]"))
_EDIT, _NEEDED = _MARKS
_OPEN, _CLOSE, _CURLY = (ord(c) for c in "[]{")


@inner
def _same(points, a, b, letters):
    if b - a < letters.shape[0]:
        return False
    k = 0
    while k < letters.shape[0] and points[a + k] == letters[k]:
        k += 1
    return k == letters.shape[0]


@inner
def _citation(points, i, b):
    """Characters of the citation mark at points[i]: [1], [], [edit] or [citation needed]."""
    stop = i + 1
    while stop < b and 48 <= points[stop] <= 57:
        stop += 1
    if stop < b and points[stop] == _CLOSE:
        return stop + 1 - i
    if _same(points, i, b, _EDIT):
        return _EDIT.shape[0]
    return _NEEDED.shape[0] if _same(points, i, b, _NEEDED) else 0


@inner
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


@inner
def _phrases(points, a, b):
    """The bits of the phrases in points[a:b], small and capital letters alike, and of a curly bracket."""
    found = 0
    for i in range(a, b):
        point = points[i]
        if point == _CURLY:
            found |= CURLY_BRACKET
        candidates = _AT_LETTER[point] if point < 128 else 0
        number = 0
        while candidates:
            begin = i - _PLACES[number]
            if candidates & 1 and begin >= a and begin + _LENGTHS[number] <= b:
                k = 0
                while k < _LENGTHS[number]:
                    letter = points[begin + k]
                    if (letter + 32 if 65 <= letter <= 90 else letter) != _TEXTS[number, k]:
                        break
                    k += 1
                if k == _LENGTHS[number]:
                    found |= _BITS[number]
            candidates >>= 1
            number += 1
    return found


@inner
def judge(points, a, b, words, longest_word, min_words, max_word_length):
    """The bits of what is wrong with the line points[a:b], whose citation marks are gone; at least the first fault."""
    if longest_word > max_word_length or words < min_words:
        return LONG_WORD if longest_word > max_word_length else FEW_WORDS
    bits = 0
    ended = False
    if b > a:
        for k in range(_ENDS.shape[0]):
            ended |= points[b - 1] == _ENDS[k]
    if not ended or ends_with_ellipsis(points, a, b):
        bits |= UNENDED
    return bits | _phrases(points, a, b)
