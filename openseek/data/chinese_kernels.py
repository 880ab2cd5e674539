"""Which lines the conversion of traditional to simplified Chinese may change: one pass over an Arrow column."""

from __future__ import annotations

import functools

import numpy as np

from openseek.data.kernel import inner
from openseek.data.spans import filled
from openseek.data.words import code_point

# Every character that OpenCC knows lies below.
TABLE_SIZE = 0x34000
HAN, KANA, MARKED = 1, 2, 4
# Characters that OpenCC 1.4 changes in some phrases only; tests read its dictionary for others.
CHANGED_IN_PHRASES = "哩坏沈甦瞭藉衹覆"
# Lines with no more bytes between them are converted at once: a call costs more than these.
NEAR = 256


@functools.cache
def chinese_table() -> np.ndarray:
    """uint8 by code point: HAN, KANA, and MARKED where traditional to simplified Chinese may change the character."""
    from opencc import OpenCC

    table = np.zeros(TABLE_SIZE, np.uint8)
    table[0x3041:0x30FB] = KANA
    for first, last in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x33FFF)):
        table[first : last + 1] = HAN
    characters = [chr(c) for c in range(0x2E80, TABLE_SIZE) if not 0xD800 <= c < 0xE000]
    changed = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    marked = [ord(c) for c, new in zip(characters, changed, strict=True) if c != new] + [
        ord(c) for c in CHANGED_IN_PHRASES
    ]
    table[marked] |= MARKED
    table.setflags(write=False)
    return table


@inner
def _marked_lines(buffer, offsets, wanted, table, han_per_kana, lines):
    """Fill `lines` [n, 3] with (document, start, stop); returns how many there are."""
    count = 0
    for d in range(wanted.shape[0]):
        if not wanted[d]:
            continue
        i, stop, han, kana, first = offsets[d], offsets[d + 1], 0, 0, count
        begin, marked = i, False
        while i < stop:
            if buffer[i] < 0xE2:
                if buffer[i] == 10:
                    count = _add(d, begin, i, lines, count) if marked else count
                    begin, marked = i + 1, False
                i += 1
                continue
            point, width = code_point(buffer, i, stop)
            if point < table.shape[0]:
                kind = table[point]
                han += kind & HAN
                kana += (kind & KANA) != 0
                marked |= (kind & MARKED) != 0
            i += width
        count = _add(d, begin, stop, lines, count) if marked else count
        if kana and kana * han_per_kana >= han:
            count = first
    return count


@inner
def _add(document, start, stop, lines, count):
    """Note a line, or make the span before longer where it ends just before this line."""
    before = count - 1
    if 0 <= before < lines.shape[0] and lines[before, 0] == document and start - lines[before, 2] <= NEAR:
        lines[before, 2] = stop
        return count
    if count < lines.shape[0]:
        lines[count, 0], lines[count, 1], lines[count, 2] = document, start, stop
    return count + 1


def marked_lines(buffer: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, han_per_kana: int) -> np.ndarray:
    """int64 [spans, 3]: (document, start, stop) of lines with a MARKED character, in the documents that are `wanted`.

    Lines with little between them are one span. Documents in which Kana is usual have none. No word that OpenCC knows
    goes over the end of a line.
    """
    table = chinese_table()
    return filled(lambda lines: _marked_lines(buffer, offsets, wanted, table, han_per_kana, lines))
