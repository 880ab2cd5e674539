"""Sentences by the marks that end them, in any script, counted over Arrow string buffers.

A sentence ends at 。！？；…!? or at a "." that white space follows, and at the end of its line. Its length is its
characters that are no white space, so it says the same of scripts with and without blanks.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import code_point, string_buffers

STATISTICS = ("marked_sentences", "sentence_characters", "longest_sentence")
SENTENCES, CHARACTERS, LONGEST = range(len(STATISTICS))
_ENDS, _BLANKS = "。！？；…!?｡", "\u3000\xa0"
# What a byte is: nothing to count (white space and controls, bytes within a character), a character, and of those that
# need a look: a line end, a mark, a period, the first byte of a character that may be a blank or a mark.
_SILENT, _CHARACTER, _LINE_END, _MARK, _PERIOD, _LEAD = range(6)
KINDS = np.full(256, _CHARACTER, np.uint8)
KINDS[:33] = KINDS[0x80:0xC0] = _SILENT
KINDS[[ord(c) for c in "!?"]], KINDS[ord(".")], KINDS[ord("\n")] = _MARK, _PERIOD, _LINE_END
KINDS[[c.encode()[0] for c in _ENDS + _BLANKS if ord(c) >= 0x80]] = _LEAD
ENDS, BLANKS = (np.array([ord(c) for c in signs if ord(c) >= 0x80], np.int64) for signs in (_ENDS, _BLANKS))


@inner
def _among(point, signs):
    found = False
    for k in range(signs.shape[0]):
        found |= point == signs[k]
    return found


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, kinds, ends, blanks, table):
    for d in range(table.shape[0]):
        i, stop, row, length = offsets[d], offsets[d + 1], table[d], 0
        while i < stop:
            kind = kinds[buffer[i]]
            i += 1
            if kind <= _CHARACTER:
                length += kind
                continue
            ended = kind in (_LINE_END, _MARK)
            if kind == _PERIOD:
                ended = i < stop and buffer[i] <= 32
            elif kind == _LEAD:
                point, width = code_point(buffer, i - 1, stop)
                i += width - 1
                ended = _among(point, ends)
                length -= _among(point, blanks)
            length += kind != _LINE_END
            if ended and length > 0:
                row[SENTENCES] += 1
                row[CHARACTERS] += length
                row[LONGEST] = max(row[LONGEST], length)
                length = 0
        if length > 0:
            row[SENTENCES] += 1
            row[CHARACTERS] += length
            row[LONGEST] = max(row[LONGEST], length)


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    _statistics(buffer, offsets, KINDS, ENDS, BLANKS, table)
    return table
