"""Texts without the lines that C4 does not keep, rewritten on Arrow buffers by a numba kernel."""

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.c4_kernels import FEW_WORDS, JAVASCRIPT, LONG_WORD, POLICY, UNENDED, judge, without_citations
from openseek.data.characters import LINE_BREAK, SPACE, character_table, decode
from openseek.data.kernel import inner
from openseek.data.spans import copy_bytes
from openseek.data.text_kernels import strip
from openseek.data.words import longest, string_buffers


@inner
def _encode(points, a, b, out, at):
    """Write points[a:b] as UTF-8 at out[at]; returns where it ends."""
    for i in range(a, b):
        point = points[i]
        if point < 0x80:
            out[at] = point
            at += 1
            continue
        width = 2 if point < 0x800 else (3 if point < 0x10000 else 4)
        for k in range(width - 1, 0, -1):
            out[at + k] = 0x80 | (point & 0x3F)
            point >>= 6
        out[at] = (0xF00 >> width) & 0xFF | point
        at += width
    return at


@inner
def _chunks(flags, a, b):
    """(number, longest) of the words between white space in flags[a:b]."""
    number, most, i = 0, 0, a
    while i < b:
        start = i
        while i < b and not flags[i] & np.uint32(SPACE):
            i += 1
        number += i > start
        most = max(most, i - start)
        i += 1
    return number, most


@njit(nogil=True, cache=True)
def _rewrite(buffer, offsets, mask, classes, faults, min_words, max_word_length, out, ends):
    size = longest(offsets) + 1
    points, flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    clean, clean_flags = np.empty(size, np.int32), np.empty(size, np.uint32)
    text = np.empty(size, np.int32)
    at = 0
    for d in range(offsets.shape[0] - 1):
        if not mask[d]:
            at = copy_bytes(buffer, offsets[d], offsets[d + 1], out, at)
            ends[d] = at
            continue
        count = decode(buffer, offsets[d], offsets[d + 1], classes, points, flags)
        a, filled = 0, 0
        while a < count:
            b = a
            while b < count and not flags[b] & np.uint32(LINE_BREAK):
                b += 1
            first, last = strip(flags, a, b)
            a = b + 1
            number, most = _chunks(flags, first, last)
            left = without_citations(points, flags, first, last, clean, clean_flags)
            line, low, high = (points, first, last) if left < 0 else (clean, 0, left)
            if judge(line, low, high, number, most, min_words, max_word_length) & faults:
                continue
            if filled:
                text[filled] = 10
                filled += 1
            text[filled : filled + high - low] = line[low:high]
            filled += high - low
        low, high = 0, filled
        while low < high and (text[low] < classes.shape[0] and classes[text[low]] & np.uint32(SPACE)):
            low += 1
        while high > low and (text[high - 1] < classes.shape[0] and classes[text[high - 1]] & np.uint32(SPACE)):
            high -= 1
        at = _encode(text, low, high, out, at)
        ends[d] = at


def keep_lines(
    column: pa.Array,
    mask: np.ndarray,
    *,
    terminal_punctuation: bool,
    min_words: int,
    max_word_length: int,
    javascript: bool,
    policies: bool,
) -> pa.Array:
    """The texts, those that `mask` names with only the lines that C4 keeps, stripped, without citation marks."""
    buffer, offsets = string_buffers(column)
    faults = FEW_WORDS | LONG_WORD
    faults |= (terminal_punctuation and UNENDED) | (javascript and JAVASCRIPT) | (policies and POLICY)
    out = np.empty(max(int(offsets[-1] - offsets[0]), 1), np.uint8)
    ends = np.zeros(len(column) + 1, np.int64)
    _rewrite(buffer, offsets, mask, character_table(), faults, min_words, max_word_length, out, ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(out[: ends[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(column), buffers).cast(column.type)
