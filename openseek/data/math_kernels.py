r"""Formulas in text and whether their delimiters fit, counted over Arrow string buffers.

A formula stands in $...$, $$...$$, \(...\), \[...\] or in an environment of displayed mathematics. A single dollar
opens one when no blank follows it, and closes it when no blank stands before it and no digit after it, in the same
paragraph: so prices are no formulas. A *symbol line* has no two letters in a row.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import code_point, string_buffers

STATISTICS = (
    "formulas", "formula_bytes", "unclosed_formulas", "braces", "unbalanced_braces", "environments",
    "unbalanced_environments", "math_bytes", "math_lines", "symbol_lines",
)  # fmt: skip
(
    FORMULAS, FORMULA_BYTES, UNCLOSED, BRACES, UNBALANCED_BRACES, ENVIRONMENTS,
    UNBALANCED_ENVIRONMENTS, BYTES, LINES, SYMBOL_LINES,
) = range(len(STATISTICS))  # fmt: skip
# By their first letters, so that starred forms and variants count too.
DISPLAYED = ("equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "flalign", "split", "cases")
BEGIN, END = np.frombuffer(b"\\begin{", np.uint8), np.frombuffer(b"\\end{", np.uint8)
NAMES = np.zeros((len(DISPLAYED), 12), np.uint8)
for _row, _name in zip(NAMES, DISPLAYED, strict=True):
    _row[: len(_name)] = list(_name.encode())


@inner
def _is(buffer, i, stop, word):
    if i + word.shape[0] > stop:
        return False
    k = 0
    while k < word.shape[0] and buffer[i + k] == word[k]:
        k += 1
    return k == word.shape[0]


@inner
def _displayed(buffer, i, stop, names):
    """Whether the environment whose name starts at i is one of mathematics."""
    for n in range(names.shape[0]):
        k = 0
        while names[n, k] != 0 and i + k < stop and buffer[i + k] == names[n, k]:
            k += 1
        if names[n, k] == 0:
            return True
    return False


@inner
def _dollar(buffer, i, stop, row):
    """Position after the formula that a dollar opens, or after the dollar where it opens none."""
    double = i + 1 < stop and buffer[i + 1] == 36
    width = 2 if double else 1
    if i + width >= stop or (not double and buffer[i + 1] <= 32):
        return i + width
    j = i + width
    while j < stop:
        byte = buffer[j]
        if byte == 92:
            j += 2
            continue
        if byte == 10 and j + 1 < stop and buffer[j + 1] == 10:
            break
        if byte == 36:
            if double and j + 1 < stop and buffer[j + 1] == 36:
                row[FORMULAS] += 1
                row[FORMULA_BYTES] += j + 2 - i
                return j + 2
            digit = j + 1 < stop and 48 <= buffer[j + 1] <= 57
            if not double and buffer[j - 1] > 32 and not digit:
                row[FORMULAS] += 1
                row[FORMULA_BYTES] += j + 1 - i
                return j + 1
        j += 1
    row[UNCLOSED] += double or not 48 <= buffer[i + 1] <= 57
    return i + width


@inner
def _scan(buffer, start, stop, begin, end, names, row):
    i, depth, environments, open_at, bracket = start, 0, 0, -1, np.uint8(0)
    while i < stop:
        byte = buffer[i]
        if byte == 92 and i + 1 < stop:
            after = buffer[i + 1]
            if _is(buffer, i, stop, begin):
                row[ENVIRONMENTS] += 1
                environments += 1
                if open_at < 0 and _displayed(buffer, i + begin.shape[0], stop, names):
                    open_at, bracket = i, np.uint8(environments & 0x3F)
                i += begin.shape[0] - 1
                continue
            if _is(buffer, i, stop, end):
                environments -= 1
                if environments < 0:
                    row[UNBALANCED_ENVIRONMENTS] += 1
                    environments = 0
                if open_at >= 0 and bracket == np.uint8((environments + 1) & 0x3F):
                    row[FORMULAS] += 1
                    row[FORMULA_BYTES] += i - open_at
                    open_at = -1
                i += end.shape[0] - 1
                continue
            if (after == 40 or after == 91) and open_at < 0:
                if i == start or buffer[i - 1] != 92:
                    open_at, bracket = i, np.uint8(after + 64)
            elif open_at >= 0 and ((after == 41 and bracket == 104) or (after == 93 and bracket == 155)):
                row[FORMULAS] += 1
                row[FORMULA_BYTES] += i + 2 - open_at
                open_at = -1
            i += 2
            continue
        if byte == 36 and open_at < 0:
            i = _dollar(buffer, i, stop, row)
            continue
        if byte == 123:
            row[BRACES] += 1
            depth += 1
        elif byte == 125:
            depth -= 1
            if depth < 0:
                row[UNBALANCED_BRACES] += 1
                depth = 0
        i += 1
    row[UNBALANCED_BRACES] += depth
    row[UNBALANCED_ENVIRONMENTS] += environments
    row[UNCLOSED] += open_at >= 0 and bracket >= 104


@inner
def _lines(buffer, start, stop, row):
    filled, letters, word, i = False, 0, False, start
    while i <= stop:
        if i == stop or buffer[i] == 10:
            row[LINES] += filled
            row[SYMBOL_LINES] += filled and not word
            filled, letters, word = False, 0, False
            i += 1
            continue
        point, width = code_point(buffer, i, stop)
        filled |= point > 32
        # An ideograph or another letter beyond Latin, Greek and the signs says something by itself.
        word |= 0x400 <= point < 0x2000 or 0x3040 <= point < 0xD7B0 or 0x20000 <= point < 0x34000
        letters = letters + 1 if (97 <= point | 32 <= 122) or 0xC0 <= point < 0x250 else 0
        word |= letters >= 2
        i += width


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, begin, end, names, table):
    for d in range(table.shape[0]):
        start, stop, row = offsets[d], offsets[d + 1], table[d]
        row[BYTES] = stop - start
        _scan(buffer, start, stop, begin, end, names, row)
        _lines(buffer, start, stop, row)


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    _statistics(buffer, offsets, BEGIN, END, NAMES, table)
    return table
