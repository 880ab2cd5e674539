"""Where a text may hold a mail address, an IP address or a long number: windows for the exact patterns to look at."""

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.masking import joined
from openseek.data.spans import filled
from openseek.data.words import string_buffers

AT, COLON, DOT, SPACE, HYPHEN, OPEN, CLOSE = (ord(c) for c in "@:. -()")
MIN_DIGITS = 7
# Bytes around a find that decide on it: the longest local part and domain of an address; the words before a number.
BEFORE_AT, AFTER_AT, AROUND = 66, 260, 28


@njit(nogil=True, cache=True)
def _is_digit(c):
    return 48 <= c <= 57


@njit(nogil=True, cache=True)
def _is_hex(c):
    return 48 <= c <= 57 or 65 <= c <= 70 or 97 <= c <= 102


@njit(nogil=True, cache=True)
def _number(data, i, stop):
    """(end of the run of digits and single separators at i, whether it may be a number that identifies somebody)."""
    digits, dots, last, j = 0, 0, i, i
    while j < stop:
        c = data[j]
        if _is_digit(c):
            digits += 1
            last = j + 1
        elif c in (SPACE, HYPHEN, DOT, OPEN, CLOSE) and j - last < 2:
            dots += c == DOT
        else:
            break
        j += 1
    return last, digits >= MIN_DIGITS or dots >= 3


@njit(nogil=True, cache=True)
def _colons(data, i, stop):
    """(end of the run of hexadecimal digits and colons at i, whether it may belong to an IPv6 address)."""
    colons, double, j = 0, False, i
    while j < stop and (data[j] == COLON or _is_hex(data[j])):
        colons += data[j] == COLON
        double |= j > i and data[j] == COLON and data[j - 1] == COLON
        j += 1
    return j, colons >= 4 or (double and colons < j - i)


@njit(nogil=True, cache=True)
def _windows(data, offsets, rows, found):
    """Fill `found` [n, 3] with (row, start, stop) for the chosen rows; returns how many there are."""
    count = 0
    for row in rows:
        first, stop = offsets[row], offsets[row + 1]
        i = first
        while i < stop:
            c = data[i]
            begin, end, following = -1, -1, i + 1
            if c == AT:
                begin, end = i - BEFORE_AT, i + AFTER_AT
            elif _is_digit(c):
                following, found_number = _number(data, i, stop)
                if found_number:
                    begin, end = i - AROUND, following + AROUND
            elif c == COLON:
                following, found_address = _colons(data, i, stop)
                if found_address:
                    begin, end = i - AROUND, following + AROUND
            if end >= 0:
                if count < found.shape[0]:
                    found[count, 0], found[count, 1], found[count, 2] = row, max(begin, first), min(end, stop)
                count += 1
            i = following
    return count


def windows(column: pa.Array, rows: np.ndarray) -> list[tuple[int, int, bytes]]:
    """(row, position in the column's buffer, bytes) of the parts of texts that are worth a closer look."""
    data, offsets = string_buffers(column)
    found = filled(lambda table: _windows(data, offsets, rows, table))
    starts, stops = joined(found[:, 1], found[:, 2])
    belongs = np.searchsorted(offsets, starts, side="right") - 1
    spans = zip(belongs.tolist(), starts.tolist(), stops.tolist(), strict=True)
    return [(row, start, data[start:stop].tobytes()) for row, start, stop in spans]
