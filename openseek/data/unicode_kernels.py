"""Which texts Unicode repair would change, and the repair itself where every character can be looked up by itself."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np

from openseek.data.kernel import inner
from openseek.data.words import code_point

# Every character that has another normal form lies below.
TABLE_SIZE = 0x30000
# What a table says of a code point: another character or none takes its place; its composition needs a look; or it can
# be part of doubly encoded UTF-8: the first of two, the second of two, the first of three, the second of three.
CHANGE, COMPOSE, FIRST_OF_TWO, SECOND_OF_TWO, FIRST_OF_THREE, SECOND_OF_THREE = 1, 2, 4, 8, 16, 32
SOUND, BY_TABLE, BY_HAND = 0, 1, 2
KEEP, DROP = 0, 255


@functools.cache
def composition() -> np.ndarray:
    """Flag COMPOSE on code points that keep a text from being in NFC for sure (Unicode Standard Annex 15, section 9).

    They are those with another NFC form, those that can be the second part of a composed character, and all with a
    combining class.
    """
    flags = np.zeros(TABLE_SIZE, np.uint8)
    flags[0x1161:0x1176] = flags[0x11A8:0x11C3] = COMPOSE
    for code in range(0xA0, TABLE_SIZE):
        character = chr(code)
        if unicodedata.combining(character) or unicodedata.normalize("NFC", character) != character:
            flags[code] = COMPOSE
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            flags[int(parts[1], 16)] = COMPOSE
    flags.setflags(write=False)
    return flags


@inner
def verdicts(buffer, offsets, wanted, table, found):
    """SOUND, BY_TABLE or BY_HAND for each document that is `wanted`."""
    for d in range(wanted.shape[0]):
        if not wanted[d]:
            continue
        i, stop, before, verdict = offsets[d], offsets[d + 1], np.uint8(0), SOUND
        while i < stop:
            if buffer[i] < 0x80:
                # Nothing of this half is the second of two.
                before = table[buffer[i]]
                verdict |= before & CHANGE
                i += 1
                continue
            point, width = code_point(buffer, i, stop)
            flags = table[point] if point < table.shape[0] else np.uint8(0)
            two = (before & FIRST_OF_TWO) != 0 and (flags & SECOND_OF_TWO) != 0
            three = (before & FIRST_OF_THREE) != 0 and (flags & SECOND_OF_THREE) != 0
            verdict |= flags & CHANGE
            if (flags & COMPOSE) != 0 or two or three:
                verdict = BY_HAND
                break
            before = flags
            i += width
        found[d] = verdict


@inner
def repaired(buffer, offsets, documents, replacements, out, placed):
    """Write the documents with each character exchanged for its replacement; CR LF counts as one line end."""
    place = 0
    for n in range(documents.shape[0]):
        i, stop = offsets[documents[n]], offsets[documents[n] + 1]
        while i < stop:
            if buffer[i] == 13 and i + 1 < stop and buffer[i + 1] == 10:
                i += 1
            point, width = code_point(buffer, i, stop)
            new = replacements[point] if point < replacements.shape[0] else np.uint8(KEEP)
            if new == KEEP:
                for k in range(width):
                    out[place + k] = buffer[i + k]
                place += width
            elif new != DROP:
                out[place] = new
                place += 1
            i += width
        placed[n + 1] = place
    return place
