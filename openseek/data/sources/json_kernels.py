"""Lines of JSON objects to a text column and the rest: numba, no Python object a text.

`split` unescapes one string member of each line into a column and copies the line without it, so that the rests of
many lines are one small JSON array for orjson, which checks all of their grammar. A line that is in any way unusual is
left to the caller, who parses it alone.
"""

import numba
import numpy as np

from openseek.data.kernel import inner

BLANK, SOUND, OTHER = 0, 1, 2
ONE = np.uint64(1)
# What a string's byte may be besides a plain one: its end, an escape, or a control character, which it must not hold.
SPECIAL = np.array([b < 32 or b in b'"\\' for b in range(256)])
_QUOTE, _BACKSLASH, _SLASH, _COMMA, _COLON, _OPEN, _CLOSE = (np.uint8(ord(c)) for c in '"\\/,:{}')
_OPEN_LIST, _CLOSE_LIST = np.uint8(ord("[")), np.uint8(ord("]"))


@inner
def _is_space(b):
    return b == 32 or b == 9 or b == 13


@inner
def _hex4(data, i):
    """The number that four hex digits give; -1 when they are none."""
    value = 0
    for k in range(i, i + 4):
        b = data[k]
        if 48 <= b <= 57:
            digit = b - 48
        elif 97 <= (b | 32) <= 102:
            digit = (b | 32) - 87
        else:
            return -1
        value = value * 16 + np.int64(digit)
    return value


@inner
def _put(out, o, point):
    """Write a code point as UTF-8; returns where the next one goes."""
    if point < 0x80:
        out[o] = point
        return o + 1
    if point < 0x800:
        out[o], out[o + 1] = 0xC0 | point >> 6, 0x80 | point & 63
        return o + 2
    if point < 0x10000:
        out[o], out[o + 1], out[o + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63
        return o + 3
    out[o], out[o + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 63
    out[o + 2], out[o + 3] = 0x80 | point >> 6 & 63, 0x80 | point & 63
    return o + 4


@inner
def _escape(data, i, stop, out, o):
    """What the escape at data[i] (a backslash) means, written to out; (next i, next o), or (-1, o) when it is wrong."""
    if i + 1 >= stop:
        return -1, o
    b = data[i + 1]
    if b == 117:
        if i + 6 > stop:
            return -1, o
        point = _hex4(data, i + 2)
        i += 6
        if 0xD800 <= point < 0xDC00 and i + 6 <= stop and data[i] == _BACKSLASH and data[i + 1] == 117:
            low = _hex4(data, i + 2)
            if not 0xDC00 <= low < 0xE000:
                return -1, o
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            i += 6
        elif point < 0 or 0xD800 <= point < 0xE000:
            return -1, o
        return i, _put(out, o, point)
    if b in (_QUOTE, _BACKSLASH, _SLASH):
        out[o] = b
    elif b == 110:
        out[o] = 10
    elif b == 116:
        out[o] = 9
    elif b == 114:
        out[o] = 13
    elif b == 98:
        out[o] = 8
    elif b == 102:
        out[o] = 12
    else:
        return -1, o
    return i + 2, o + 1


@inner
def _unescape(data, i, stop, out, o):
    """Copy the string whose first byte is data[i]; (the place after its quote, next o), or (-1, o) when it is wrong."""
    # Unsigned places: a signed one is first asked whether it counts from the end.
    place, end, to = np.uint64(i), np.uint64(stop), np.uint64(o)
    while place < end:
        b = data[place]
        if not SPECIAL[b]:
            out[to] = b
            place, to = place + ONE, to + ONE
        elif b == _QUOTE:
            return np.int64(place + ONE), np.int64(to)
        elif b == _BACKSLASH:
            i, o = _escape(data, np.int64(place), stop, out, np.int64(to))
            if i < 0:
                return -1, o
            place, to = np.uint64(i), np.uint64(o)
        else:
            return -1, np.int64(to)
    return -1, np.int64(to)


@inner
def _string_end(data, i, stop):
    """The place after the quote that ends the string whose first byte is data[i]; -1 when none does."""
    place, end = np.uint64(i), np.uint64(stop)
    while place < end:
        b = data[place]
        if b == _QUOTE:
            return np.int64(place + ONE)
        place += ONE + ONE if b == _BACKSLASH else ONE
    return -1


@inner
def _value_end(data, i, stop):
    """The place of the comma or brace after the value at data[i], by counting brackets; -1 when there is none."""
    depth = 0
    while i < stop:
        b = data[i]
        if b == _QUOTE:
            i = _string_end(data, i + 1, stop)
            if i < 0:
                return -1
            continue
        if b in (_OPEN, _OPEN_LIST):
            depth += 1
        elif b in (_CLOSE, _CLOSE_LIST):
            if depth == 0:
                return i
            depth -= 1
        elif b == _COMMA and depth == 0:
            return i
        i += 1
    return -1


@inner
def _same(data, i, stop, wanted):
    if stop - i != len(wanted):
        return False
    same = True
    for k in range(len(wanted)):
        same &= data[i + k] == wanted[k]
    return same


@inner
def _object(data, i, stop, wanted, out, o):
    """Unescape the string member `wanted` of the object data[i:stop]: (next o, first and end of its value in data).

    (-1, 0, 0) for anything unusual: no such member, two of them, another type, an escaped name, a wrong bracket.
    """
    begin = end = 0
    i += 1
    while True:
        while i < stop and _is_space(data[i]):
            i += 1
        if i >= stop or data[i] != _QUOTE:
            return -1, 0, 0
        name = i + 1
        i = _string_end(data, name, stop)
        if i < 0:
            return -1, 0, 0
        name_end = i - 1
        for k in range(name, name_end):
            if data[k] == _BACKSLASH:
                return -1, 0, 0
        while i < stop and _is_space(data[i]):
            i += 1
        if i >= stop or data[i] != _COLON:
            return -1, 0, 0
        i += 1
        while i < stop and _is_space(data[i]):
            i += 1
        if _same(data, name, name_end, wanted):
            if end or i >= stop or data[i] != _QUOTE:
                return -1, 0, 0
            begin = i
            i, o = _unescape(data, i + 1, stop, out, o)
            if i < 0:
                return -1, 0, 0
            end = i
            while i < stop and _is_space(data[i]):
                i += 1
        else:
            i = _value_end(data, i, stop)
        if i < 0 or i >= stop:
            return -1, 0, 0
        if data[i] == _CLOSE:
            return (o, begin, end) if end and i + 1 == stop else (-1, 0, 0)
        if data[i] != _COMMA:
            return -1, 0, 0
        i += 1


@numba.njit(nogil=True, cache=True)
def split(
    data,
    starts,
    limit,
    wanted,
    kinds,
    text,
    offsets,
    rest,
):
    """Take the lines data[starts[k] : starts[k + 1] - 1] apart: (how many are sound, bytes of the rests' array).

    kinds[k]: BLANK, SOUND, or OTHER for one that the caller parses alone. Of sound lines, text[offsets[j] :
    offsets[j + 1]] is the member `wanted` and `rest` gets the object with "" in its place.
    """
    count, o, r = 0, 0, 1
    rest[0] = _OPEN_LIST
    for k in range(len(starts) - 1):
        i, stop = starts[k], starts[k + 1] - 1
        while i < stop and (_is_space(data[i]) or data[i] == 11 or data[i] == 12):
            i += 1
        while stop > i and (_is_space(data[stop - 1]) or data[stop - 1] == 11 or data[stop - 1] == 12):
            stop -= 1
        if i == stop:
            kinds[k] = BLANK
            continue
        kinds[k] = OTHER
        if starts[k + 1] - 1 - starts[k] > limit or data[i] != _OPEN:
            continue
        after, begin, end = _object(data, i, stop, wanted, text, o)
        if after < 0:
            continue
        kinds[k] = SOUND
        o, count = after, count + 1
        offsets[count] = o
        for place in range(i, begin):
            rest[r] = data[place]
            r += 1
        rest[r] = rest[r + 1] = _QUOTE
        r += 2
        for place in range(end, stop):
            rest[r] = data[place]
            r += 1
        rest[r] = _COMMA
        r += 1
    rest[max(1, r - 1)] = _CLOSE_LIST
    return count, max(1, r - 1) + 1


@inner
def may_be_blank(data, offsets, found):
    """found[k]: whether text k holds, up to its first byte that decides, only space or what may be space beyond ASCII.

    Of all characters beyond ASCII that Python's strip() takes, the first byte is one of C2, E1, E2, E3.
    """
    for k in range(len(offsets) - 1):
        found[k] = True
        for i in range(offsets[k], offsets[k + 1]):
            b = data[i]
            if 9 <= b <= 13 or 28 <= b <= 32:
                continue
            found[k] = b == 0xC2 or b == 0xE1 or b == 0xE2 or b == 0xE3
            break
