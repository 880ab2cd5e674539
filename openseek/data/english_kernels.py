"""English words as spaCy's tokenizer splits them, by numba kernels over code points; no Python string is made.

What stands between white space is a chunk. Signs come off its front and its back, a period off its end where it ends a
sentence rather than an abbreviation, units off a number; what is left is a special word (english_words.py), an address,
which stays whole, or is parted at hyphens, commas and other signs between letters. At last special words that this took
apart are put together again. A character of a script without spaces (Han, Kana, Thai, Lao, Myanmar, Khmer) is a word.
"""

import numpy as np
from numba import njit

from openseek.data.characters import (
    ALPHA,
    BEFORE_PERIOD,
    CLOSER,
    CURRENCY,
    DIGIT,
    HOST,
    ICON,
    JOINER,
    LETTER,
    LOWER,
    MARK,
    NUMBER,
    OPENER,
    QUOTE,
    UNSPACED,
    UPPER,
    character_table,
    decode,
)
from openseek.data.english_words import (
    FNV_OFFSET,
    FNV_PRIME,
    LONGEST_SPECIAL,
    MERGED,
    TABLE_PLACES,
    sieve_place,
    special_table,
    unit_hashes,
)
from openseek.data.kernel import inner

DOT, _ELLIPSIS, _PLUS, _APOSTROPHE, _TYPOGRAPHIC, _HYPHEN = (ord(c) for c in ".…+'’-")
_DASHES = (ord("–"), ord("—"), ord("~"))
_LONGEST_UNIT = 4
ROLES = OPENER | CLOSER | JOINER | DIGIT | QUOTE
"""A chunk in which no character has one of these bits is one word, or a special word."""


@inner
def hash_points(points, a, b):
    """FNV-1a over points[a:b]."""
    h = np.uint64(FNV_OFFSET)
    for i in range(a, b):
        h = (h ^ np.uint64(points[i])) * np.uint64(FNV_PRIME)
    return h


sieve = njit(nogil=True, cache=True)(sieve_place)


@inner
def special_parts(h, keys, parts):
    """Lengths of the parts of the special word with hash `h`, 8 bits each; 0 where there is none."""
    place = (h >> np.uint64(40)) % np.uint64(TABLE_PLACES)
    while parts[place] != 0 and keys[place] != h:
        place = (place + np.uint64(1)) % np.uint64(TABLE_PLACES)
    return parts[place]


@inner
def _special(points, a, b, keys, parts):
    if b - a > LONGEST_SPECIAL or b <= a or parts[sieve(points[a], points[b - 1], b - a)] == 0:
        return np.uint32(0)
    return special_parts(hash_points(points, a, b), keys, parts)


@inner
def _currency_code(points, a, b):
    """Characters of US$, C$ or A$ at the start of points[a:b]."""
    if b - a >= 2 and points[a + 1] == 36 and (points[a] == 67 or points[a] == 65):
        return 2
    return 3 if b - a >= 3 and points[a] == 85 and points[a + 1] == 83 and points[a + 2] == 36 else 0


@inner
def _prefix(points, flags, a, b):
    """Characters that come off the front of points[a:b]."""
    if flags[a] & np.uint32(OPENER):
        return 1
    point = points[a]
    if point == DOT:
        i = a
        while i < b and points[i] == DOT:
            i += 1
        return i - a if i - a > 1 else 0
    if point == _PLUS:
        return 0 if a + 1 < b and flags[a + 1] & np.uint32(DIGIT) else 1
    return _currency_code(points, a, b)


@inner
def _period(points, flags, a, b):
    """Periods that come off the end of points[a:b], which ends with one."""
    i = b
    while i > a and points[i - 1] == DOT:
        i -= 1
    if b - i > 1:
        return b - i
    if i == a:
        return 0
    if flags[i - 1] & np.uint32(BEFORE_PERIOD):
        return 1
    if i - 2 >= a and flags[i - 1] & np.uint32(UPPER):
        return 1 if flags[i - 2] & np.uint32(UPPER) or points[i - 2] == 0xB0 else 0
    return 0


@inner
def _unit(points, flags, a, b, units):
    """Characters of the unit, currency or plus sign behind a number at the end of points[a:b]."""
    i = b - 1
    while i >= a and b - i <= _LONGEST_UNIT and not flags[i] & np.uint32(DIGIT):
        i -= 1
    length = b - 1 - i
    if i < a or length == 0 or not flags[i] & np.uint32(DIGIT):
        return 0
    if length == 1 and (flags[b - 1] & np.uint32(CURRENCY) or points[b - 1] == _PLUS):
        return 1
    if _currency_code(points, b - length, b) == length:
        return length
    h = hash_points(points, b - length, b)
    for k in range(units.shape[0]):
        if units[k] == h:
            return length
    return 0


@inner
def _suffix(points, flags, a, b, units):
    """Characters that come off the end of points[a:b]: of all that could, the longest."""
    if b <= a:
        return 0
    last = points[b - 1]
    if last == DOT:
        return _period(points, flags, a, b)
    if (last == 115 or last == 83) and b - a > 1 and points[b - 2] in (_APOSTROPHE, _TYPOGRAPHIC):
        return 2
    length = _unit(points, flags, a, b, units)
    if length == 0 and flags[b - 1] & np.uint32(CLOSER):
        length = 2 if last == _ELLIPSIS and b - a > 1 and points[b - 2] == _ELLIPSIS else 1
    return length


@inner
def _hyphen(points, flags, i, b):
    """Characters of the dash at points[i] that a letter follows."""
    limit = 3 if points[i] == _HYPHEN else (2 if points[i] == _DASHES[1] else 1)
    for length in range(1, limit + 1):
        if i + length >= b:
            return 0
        if flags[i + length] & np.uint32(ALPHA):
            return length
        if points[i + length] != points[i]:
            return 0
    return 0


@inner
def _infix(points, flags, a, b, i):
    """Characters at points[i], within the word points[a:b], that part what is before from what follows."""
    point = points[i]
    if point == DOT:
        stop = i
        while stop < b and points[stop] == DOT:
            stop += 1
        if stop - i > 1:
            return stop - i
    elif point == _ELLIPSIS or flags[i] & np.uint32(ICON):
        return 1
    if i == a or i + 1 == b:
        return 0
    before, after = flags[i - 1], flags[i + 1]
    if point == DOT:
        return 1 if before & np.uint32(LOWER | QUOTE) and after & np.uint32(UPPER | QUOTE) else 0
    operator = point in (_PLUS, _HYPHEN, ord("*"), ord("^")) and before & np.uint32(DIGIT) != 0
    if operator and (after & np.uint32(DIGIT) or points[i + 1] == _HYPHEN):
        return 1
    if point == 44:
        return 1 if before & np.uint32(ALPHA) and after & np.uint32(ALPHA) else 0
    if not before & np.uint32(ALPHA | DIGIT):
        return 0
    if point == _HYPHEN or point in _DASHES:
        return _hyphen(points, flags, i, b)
    return 1 if after & np.uint32(ALPHA) and point in (58, 60, 61, 62, 47) else 0


@inner
def _host_at(points, flags, a, b):
    """Whether points[a:b] is a host name with a top-level domain, and then nothing, a port or a path."""
    label, i = a, a
    while i < b and (flags[i] & np.uint32(HOST) or points[i] in (DOT, _HYPHEN, 95)):
        if points[i] == DOT:
            sound = i > label and i - label <= 64
            if not sound or not flags[label] & np.uint32(HOST) or not flags[i - 1] & np.uint32(HOST):
                return False
            label = i + 1
        i += 1
    if label == a or i - label < 2:
        return False
    domain, number = True, True
    for k in range(label, i):
        domain &= (flags[k] & np.uint32(LOWER)) != 0
    for k in range(a, i):
        number &= (flags[k] & np.uint32(DIGIT)) != 0 or points[k] == DOT
    if not domain and not number:
        return False
    if i < b and points[i] == 58:
        port = i + 1
        while port < b and flags[port] & np.uint32(DIGIT):
            port += 1
        if 2 <= port - i - 1 <= 5:
            i = port
    return i == b or points[i] in (47, 63, 35)


@inner
def _address(points, flags, a, b):
    """Whether points[a:b] is the address of a page or a mailbox: an optional scheme, an optional user, a host."""
    dotted = False
    for i in range(a + 1, b - 1):
        dotted |= points[i] == DOT
    if not dotted:
        return False
    if _host_at(points, flags, a, b):
        return True
    scheme = True
    for i in range(a + 1, b):
        if points[i] == 64 and _host_at(points, flags, i + 1, b):
            return True
        scheme &= (flags[i - 1] & np.uint32(LETTER | NUMBER)) != 0 or points[i - 1] in (95, _PLUS, _HYPHEN, DOT)
        slashes = i + 3 < b and points[i] == 58 and points[i + 1] == 47 and points[i + 2] == 47
        if scheme and slashes and i - a >= 2 and _host_at(points, flags, i + 3, b):
            return True
    return False


@inner
def _parts(parts, a, begins, ends, count):
    """Write the words of a special word at points[a]; returns the new count."""
    lengths = parts & np.uint32(MERGED - 1)
    while lengths:
        begins[count], ends[count] = a, a + np.int64(lengths & np.uint32(255))
        a = ends[count]
        lengths >>= np.uint32(8)
        count += 1
    return count


@inner
def _middle(points, flags, a, b, begins, ends, count):
    """The words of points[a:b], off which nothing comes and which is no special word."""
    start, split = a, False
    i = a
    while i < b:
        length = _infix(points, flags, a, b, i) if flags[i] & np.uint32(JOINER) else 0
        if length and i > a:
            if not split and _address(points, flags, a, b):
                break
            split = True
            if i > start:
                begins[count], ends[count] = start, i
                count += 1
            begins[count], ends[count] = i, i + length
            count += 1
            start = i + length
        i += max(length, 1)
    if start < b:
        begins[count], ends[count] = start, b
        count += 1
    return count


@inner
def _merge(points, begins, ends, count, keys, parts):
    """Put special words together again that lie over several words of a chunk; the longest at each place."""
    out, t = 0, 0
    while t < count:
        a, best, found = begins[t], 0, np.uint32(0)
        u = t + 1
        while u < count and ends[u] - a <= LONGEST_SPECIAL:
            b = ends[u]
            if parts[sieve(points[a], points[b - 1], b - a)] & np.uint32(MERGED):
                lengths = special_parts(hash_points(points, a, b), keys, parts)
                if lengths & np.uint32(MERGED):
                    best, found = u - t + 1, lengths
            u += 1
        if best:
            out = _parts(found, begins[t], begins, ends, out)
            t += best
        else:
            begins[out], ends[out] = begins[t], ends[t]
            out, t = out + 1, t + 1
    return out


@inner
def split_chunk(points, flags, a, b, keys, parts, units, begins, ends):
    """Write begin and end of each word of the chunk points[a:b]; returns their number.

    `begins` and `ends` need b - a + 1 places. What comes off the back waits at their far end until the middle is done.
    """
    count, back, low, high = 0, b - a, a, b
    special = _special(points, low, high, keys, parts)
    while not special and low < high:
        front = _prefix(points, flags, low, high)
        if front:
            special = _special(points, low + front, high, keys, parts)
        tail = 0 if special else _suffix(points, flags, low + front, high, units)
        if tail:
            special = _special(points, low, high - tail, keys, parts)
            front = 0 if special else front
        if front == 0 and tail == 0:
            break
        if front:
            begins[count], ends[count] = low, low + front
            low, count = low + front, count + 1
        if tail:
            begins[back], ends[back] = high - tail, high
            high, back = high - tail, back - 1
        if not special:
            special = _special(points, low, high, keys, parts)
    if special:
        count = _parts(special, low, begins, ends, count)
    elif low < high:
        count = _middle(points, flags, low, high, begins, ends, count)
    for i in range(back + 1, b - a + 1):
        begins[count], ends[count] = begins[i], ends[i]
        count += 1
    return _merge(points, begins, ends, count, keys, parts) if count > 1 else count


@inner
def chunk_end(points, flags, a, b):
    """(end of the chunk that begins at points[a], bits that any of its characters has).

    A character of a script without spaces, with its marks, is a chunk.
    """
    if flags[a] & np.uint32(UNSPACED):
        i, bits = a + 1, flags[a]
        while i < b and flags[i] & np.uint32(MARK):
            i += 1
        return i, bits
    i, bits = a, np.uint32(0)
    while i < b and not flags[i] & np.uint32(1 | UNSPACED):
        bits |= flags[i]
        i += 1
    return i, bits


@njit(nogil=True, cache=True)
def _all_words(points, flags, size, keys, parts, units, begins, ends, found):
    count, i = 0, 0
    while i < size:
        if flags[i] & np.uint32(1):
            i += 1
            continue
        stop, _ = chunk_end(points, flags, i, size)
        for k in range(split_chunk(points, flags, i, stop, keys, parts, units, begins, ends)):
            found[count, 0], found[count, 1] = begins[k], ends[k]
            count += 1
        i = stop
    return count


def split_words(text: str) -> list[str]:
    """The words of one text; for short texts and for looking at."""
    data = np.frombuffer(text.encode() or b" ", np.uint8)
    points, flags = np.empty(len(data), np.int32), np.empty(len(data), np.uint32)
    size = decode(data, 0, len(data), character_table(), points, flags)
    scratch = np.empty((2, size + 1), np.int64)
    found = np.empty((size, 2), np.int64)
    count = _all_words(points, flags, size, *special_table(), unit_hashes(), scratch[0], scratch[1], found)
    return [text[a:b] for a, b in found[:count].tolist()]
