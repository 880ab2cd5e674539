"""Sentences by the marks that end them, in any script, counted over Arrow string buffers.

A sentence ends at 。！？；…!? or at a "." that white space follows, and at the end of its line. Its length is its
characters that are no white space, so it says the same of scripts with and without blanks.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.words import code_point, string_buffers

STATISTICS = ("marked_sentences", "sentence_characters", "longest_sentence")
SENTENCES, CHARACTERS, LONGEST = range(len(STATISTICS))
ENDS = np.array([ord(c) for c in "。！？；…!?｡"], np.int64)


@njit(nogil=True, cache=True)
def _statistics(buffer, offsets, ends, table):
    for d in range(table.shape[0]):
        i, stop, row, length = offsets[d], offsets[d + 1], table[d], 0
        while i < stop:
            point, width = code_point(buffer, i, stop)
            after = buffer[i + width] if i + width < stop else np.uint8(10)
            i += width
            blank = point <= 32 or point == 0x3000 or point == 0xA0
            length += not blank
            ended = point == 10 or i >= stop or (point == 46 and after <= 32)
            if point > 32 and not ended:
                for mark in ends:
                    ended |= point == mark
            if ended and length > 0:
                row[SENTENCES] += 1
                row[CHARACTERS] += length
                row[LONGEST] = max(row[LONGEST], length)
                length = 0


def statistics(column: pa.Array) -> np.ndarray:
    """int64 [rows, len(STATISTICS)]: the counts of each text of a string column."""
    buffer, offsets = string_buffers(column)
    table = np.zeros((len(column), len(STATISTICS)), np.int64)
    _statistics(buffer, offsets, ENDS, table)
    return table
