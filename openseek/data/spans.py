"""Parts of the texts of an Arrow column exchanged for others, without a Python string for the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.kernel import inner
from openseek.data.words import string_buffers


@njit(nogil=True, cache=True)
def _lengths(offsets, starts, stops, new_offsets, lengths):
    """Bytes of each document after the exchange; spans are sorted and each lies within one document."""
    at = 0
    for d in range(lengths.shape[0]):
        length = offsets[d + 1] - offsets[d]
        while at < starts.shape[0] and stops[at] <= offsets[d + 1] and starts[at] >= offsets[d]:
            length += new_offsets[at + 1] - new_offsets[at] - (stops[at] - starts[at])
            at += 1
        lengths[d] = length
    return at


@inner
def copy_bytes(source, first, last, target, place):
    """Copy source[first:last] to target[place:]; returns where it ends. Slices would take four times as long."""
    a, b = source[first:last], target[place : place + last - first]
    for k in range(a.shape[0]):
        b[k] = a[k]
    return place + last - first


@njit(nogil=True, cache=True)
def _copy(buffer, first, last, starts, stops, new, new_offsets, out):
    at, place = first, 0
    for s in range(starts.shape[0]):
        place = copy_bytes(buffer, at, starts[s], out, place)
        place = copy_bytes(new, new_offsets[s], new_offsets[s + 1], out, place)
        at = stops[s]
    copy_bytes(buffer, at, last, out, place)


def splice(column: pa.Array, starts: np.ndarray, stops: np.ndarray, replacements: pa.Array) -> pa.Array:
    """The column with its bytes [starts[i], stops[i]) exchanged for replacements[i].

    Positions are those of the column's buffer; spans are sorted, not empty, do not overlap and lie within one document.
    """
    if not len(starts):
        return column
    buffer, offsets = string_buffers(column)
    new, new_offsets = string_buffers(replacements)
    lengths = np.zeros(len(column), np.int64)
    used = _lengths(offsets, starts, stops, new_offsets, lengths)
    assert used == len(starts), "spans are not sorted, or one lies in no document"
    placed = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    out = np.empty(int(placed[-1]), np.uint8)
    _copy(buffer, offsets[0], offsets[-1], starts, stops, new, new_offsets, out)
    return string_column(out, placed).cast(column.type)


def string_column(data: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """A column of large strings over UTF-8 bytes and int64 offsets, which it shares."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)


def filled(kernel: Callable[[np.ndarray], int], guess: int = 1024) -> np.ndarray:
    """What `kernel(rows int64 [n, 3])` writes; it returns how many, and is run again if n was too small.

    Where n is too small the kernel may return more than there are, never fewer.
    """
    rows = np.empty((guess, 3), np.int64)
    count = kernel(rows)
    if count > guess:
        rows = np.empty((count, 3), np.int64)
        count = kernel(rows)
    return rows[:count]
