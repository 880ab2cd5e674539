"""Lines that hold one of a few hundred fixed strings, found in one pass over an Arrow column, whatever their number.

Four bytes, with ASCII letters in lower case, name a bucket of strings; almost every position of a text meets an empty
one. For lists of many thousands an automaton is the better machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from openseek.data import spans
from openseek.data.kernel import inner

BITS = 14
FACTOR = 2654435761


# Every byte, ASCII letters in lower case.
FOLDED = np.array([ord(chr(byte).lower()) if byte < 0x80 else byte for byte in range(256)], np.uint8)
# The last bytes, in UTF-8, of the letters beyond ASCII that fold to i, s and k.
FOREIGN = np.isin(np.arange(256), [0xB0, 0xB1, 0xBF, 0xAA])


class Literals(NamedTuple):
    """Strings of at least four bytes as `lines_with` wants them, ASCII letters in lower case."""

    filled: np.ndarray
    """bool: whether a bucket has a string; small enough to stay in the processor's first cache."""
    heads: np.ndarray
    """int32: first string of each bucket, -1 for none."""
    chain: np.ndarray
    """int32: the next string of the same bucket, -1 after the last."""
    data: np.ndarray
    """uint8: all strings."""
    starts: np.ndarray
    """int64: where each begins, and the end."""


def compiled(strings: Sequence[str]) -> Literals:
    """The strings, ready to be looked for without regard to the case of ASCII letters."""
    encoded = [string.lower().encode() for string in strings]
    short = [string for string, raw in zip(strings, encoded, strict=True) if len(raw) < 4]
    if short:
        raise ValueError(f"{short} are shorter than 4 bytes: such strings are not looked for")
    heads, chain = np.full(1 << BITS, -1, np.int32), np.full(len(encoded), -1, np.int32)
    for number, raw in enumerate(encoded):
        bucket = ((int.from_bytes(raw[:4], "big") * FACTOR) & 0xFFFFFFFF) >> (32 - BITS)
        chain[number], heads[bucket] = heads[bucket], number
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(raw) for raw in encoded])])
    return Literals(heads >= 0, heads, chain, np.frombuffer(b"".join(encoded) or b"\0", np.uint8), starts)


@inner
def _at(buffer, i, stop, number, chain, data, starts):
    """Whether string `number`, or another of its bucket, stands at i."""
    while number >= 0:
        size = starts[number + 1] - starts[number]
        if i + size <= stop:
            k = 0
            while k < size and FOLDED[buffer[i + k]] == data[starts[number] + k]:
                k += 1
            if k == size:
                return True
        number = chain[number]
    return False


@inner
def _lines_with(buffer, offsets, wanted, filled, heads, chain, data, starts, head_lines, foldings, lines):
    """(document, start, stop) of every line with one of the strings; of `head_lines` lines of each document at most."""
    count = 0
    for d in range(wanted.shape[0]):
        if not wanted[d]:
            continue
        i, stop, begin, number = offsets[d], offsets[d + 1], offsets[d], 0
        window = np.uint32(0)
        while i < stop and number < head_lines:
            byte = buffer[i]
            if byte == 10:
                begin = i + 1
                number += 1
            window = np.uint32((window << np.uint32(8)) | np.uint32(FOLDED[byte]))
            bucket = np.uint32(window * np.uint32(FACTOR)) >> np.uint32(32 - BITS)
            hit = False
            if filled[bucket]:
                hit = i - begin >= 3 and _at(buffer, i - 3, stop, heads[bucket], chain, data, starts)
            if foldings and FOREIGN[byte] and not hit:
                last = window & np.uint32(0xFFFF)
                hit = last == 0xC4B0 or last == 0xC4B1 or last == 0xC5BF or (window & np.uint32(0xFFFFFF)) == 0xE284AA
            if hit:
                while i < stop and buffer[i] != 10:
                    i += 1
                if count < lines.shape[0]:
                    lines[count, 0], lines[count, 1], lines[count, 2] = d, begin, i
                count += 1
                continue
            i += 1
    return count


def lines_with(
    literals: Literals,
    buffer: np.ndarray,
    offsets: np.ndarray,
    wanted: np.ndarray,
    head_lines: int = 2**62,
    foldings: bool = False,
) -> np.ndarray:
    """int64 [lines, 3]: document, first byte, end of every line with one of the strings, of the documents `wanted`.

    With `foldings`, also lines with a letter beyond ASCII that a case-blind regular expression takes for i, k or s.
    """
    return spans.filled(lambda rows: _lines_with(buffer, offsets, wanted, *literals, head_lines, foldings, rows))
