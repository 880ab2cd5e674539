"""Where a text may hold a mail address, an IP address or a long number: windows for the exact patterns to look at."""

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.clean.pii_patterns import ADDRESS, MAIL, MIN_DIGITS, NUMBER
from openseek.data.kernel import inner
from openseek.data.masking import joined
from openseek.data.spans import filled
from openseek.data.words import string_buffers

AT, COLON, DOT, SPACE, HYPHEN, OPEN, CLOSE, PLUS = (ord(c) for c in "@:. -()+")
LONG = 10
# Bytes at which a closer look begins: digits, "@", ":".
BEGINS = np.isin(np.arange(256), [*range(48, 58), AT, COLON])
# Bytes around a find that decide on it: the longest local part and domain of an address; the words before a number.
BEFORE_AT, AFTER_AT, AROUND = 66, 260, 28


@inner
def _is_digit(c):
    return 48 <= c <= 57


@inner
def _is_hex(c):
    return 48 <= c <= 57 or 65 <= c <= 70 or 97 <= c <= 102


@inner
def _introduced(data, first, i):
    """Whether a plus sign or a full-width bracket, and perhaps a separator, stands before i."""
    if i > first and data[i - 1] == PLUS:
        return True
    i -= i > first and (data[i - 1] == SPACE or data[i - 1] == HYPHEN)
    return i - 3 >= first and data[i - 3] == 0xEF and data[i - 2] == 0xBC and data[i - 1] == 0x89


@inner
def _number(data, i, first, stop):
    """(end of the run of groups of digits at i, NUMBER and ADDRESS as it may be one that identifies somebody).

    Four groups with periods between are an address. Of other numbers dates, amounts and decimals are the most usual;
    what is looked for is introduced by a sign, or has ten digits: eleven or more together, seven behind another group,
    or four behind three.
    """
    digits, group, before, periods, last, j = 0, 0, 0, 0, i, i
    address, grouped = False, False
    while j < stop:
        c = data[j]
        if _is_digit(c):
            if j > last:
                periods = periods + 1 if j == last + 1 and data[last] == DOT else 0
                before, group = group, 0
            digits += 1
            group += 1
            last = j + 1
            address |= periods >= 3
            grouped |= (group >= 4 and before >= 3) or (periods == 0 and (group >= 11 or (group >= 7 and before > 0)))
        elif j - last >= 3 or c not in (SPACE, HYPHEN, DOT, OPEN, CLOSE):
            break
        j += 1
    number = (digits >= LONG and grouped) or (digits >= MIN_DIGITS and _introduced(data, first, i))
    return last, (ADDRESS if address else 0) | (NUMBER if number else 0)


@inner
def _colons(data, i, first, stop):
    """(end of the run of hexadecimal digits and colons at i, whether it may belong to a public IPv6 address).

    Those begin with four digits, the first of which is 2 or 3.
    """
    colons, double, j = 0, False, i
    while j < stop and (data[j] == COLON or _is_hex(data[j])):
        colons += data[j] == COLON
        double |= j > i and data[j] == COLON and data[j - 1] == COLON
        j += 1
    public = i - 4 >= first and (data[i - 4] == 50 or data[i - 4] == 51)
    for k in range(i - 3, i):
        public = public and _is_hex(data[k])
    return j, public and (colons >= 4 or (double and colons < j - i))


@njit(nogil=True, cache=True)
def _windows(data, offsets, rows, found):
    """Fill `found` [n, 3] with (MAIL | NUMBER | ADDRESS, start, stop) for the chosen rows; returns how many."""
    count = 0
    for row in rows:
        first, stop = offsets[row], offsets[row + 1]
        i = colons_end = first
        while i < stop:
            c = data[i]
            if not BEGINS[c]:
                i += 1
                continue
            begin, end, following, kinds = -1, -1, i + 1, 0
            if c == AT:
                begin, end, kinds = i - BEFORE_AT, i + AFTER_AT, MAIL
            elif _is_digit(c):
                following, kinds = _number(data, i, first, stop)
                begin, end = i - AROUND, following + AROUND
            elif c == COLON and i >= colons_end:
                # Its digits may be a number by themselves, so the run is read once more.
                colons_end, found_address = _colons(data, i, first, stop)
                begin, end, kinds = i - AROUND, colons_end + AROUND, ADDRESS if found_address else 0
            if kinds:
                if count < found.shape[0]:
                    found[count, 0], found[count, 1], found[count, 2] = kinds, max(begin, first), min(end, stop)
                count += 1
            i = following
    return count


def windows(column: pa.Array, rows: np.ndarray) -> list[tuple[int, int, bytes, int]]:
    """(row, position in the column's buffer, bytes, what to look for) of the parts of texts worth a closer look."""
    data, offsets = string_buffers(column)
    found = filled(lambda table: _windows(data, offsets, rows, table))
    starts, stops = joined(found[:, 1], found[:, 2])
    belongs = np.searchsorted(offsets, starts, side="right") - 1
    order = np.argsort(found[:, 1], kind="stable")
    groups = np.searchsorted(found[order, 1], starts)
    kinds = np.bitwise_or.reduceat(found[order, 0], groups) if len(found) else groups
    spans = zip(belongs.tolist(), starts.tolist(), stops.tolist(), kinds.tolist(), strict=True)
    return [(row, start, data[start:stop].tobytes(), kind) for row, start, stop, kind in spans]
