"""The kernels of `openseek.train.streams`: fill-in-the-middle, and the copy from mapped files into windows.

No Python object is made for a document. Tokens are read at addresses, since a window takes its documents from many
shards and a kernel cannot be given a list of arrays; `openseek.train.documents` checks every address before.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from openseek.data.kernel import inner
from openseek.data.words import mix
from openseek.train.packing_kernels import Pieces

PLAIN, PREFIX_FIRST, SUFFIX_FIRST = 0, 1, 2
"""Forms of a document: as it is, PSM and SPM of Bavarian et al. (2022)."""
LEAST_TOKENS = 3
"""Shorter documents are never rearranged: end-of-document and two tokens before it."""


def _pointer_of(typing: Any, address: Any, like: Any) -> Any:
    """An int64 address as a pointer to tokens of the dtype of the array `like`."""
    pointer = types.CPointer(like.dtype)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, like), build


_pointer: Any = intrinsic(_pointer_of)


@inner
def _is_rearranged(key, number, length, rate):
    """Whether document `number` is rearranged, by a hash of the two."""
    draw = mix(key ^ mix(np.uint64(number) + np.uint64(0x9E3779B97F4A7C15)))
    return length >= LEAST_TOKENS and np.float64(draw >> np.uint64(11)) * 2.0**-53 < rate


@njit(nogil=True, cache=True)
def count_rearranged(key: np.uint64, bounds: np.ndarray, lengths: np.ndarray, rate: float, counts: np.ndarray) -> None:
    """Set counts[r] to how many of the documents bounds[r] .. bounds[r + 1] - 1 are rearranged.

    lengths: tokens of the documents from bounds[0] on.
    """
    for run in range(counts.shape[0]):
        counts[run] = 0
        for number in range(bounds[run], bounds[run + 1]):
            counts[run] += _is_rearranged(key, number, lengths[number - bounds[0]], rate)


@njit(nogil=True, cache=True)
def rearrangements(
    key: np.uint64, numbers: np.ndarray, lengths: np.ndarray, rate: float, suffix_first: float
) -> np.ndarray:
    """(form, end of prefix, start of suffix) int64 [D, 3]: two cuts drawn evenly among all places of a document.

    The last token, the end of the document, stays last.
    """
    result = np.zeros((numbers.shape[0], 3), np.int64)
    for i in range(numbers.shape[0]):
        if not _is_rearranged(key, numbers[i], lengths[i], rate):
            continue
        draw = mix(key + np.uint64(numbers[i]) * np.uint64(0xD6E8FEB86659FD93))
        one = np.int64(mix(draw + np.uint64(1)) % np.uint64(lengths[i]))
        other = np.int64(mix(draw + np.uint64(2)) % np.uint64(lengths[i]))
        side = np.float64(mix(draw + np.uint64(3)) >> np.uint64(11)) * 2.0**-53
        result[i, 0] = SUFFIX_FIRST if side < suffix_first else PREFIX_FIRST
        result[i, 1], result[i, 2] = min(one, other), max(one, other)
    return result


@inner
def _span(source, low, high, begin, offset, stop, limit, out, at):
    """Copy what of source[low:high], which lies at `begin` of a document, is in its [offset, stop), to out[at:].

    Negative when an id is outside [0, limit).
    """
    first, last = max(begin, offset), min(begin + high - low, stop)
    bad, shift, to = np.int64(0), low - begin, at - offset
    for i in range(first, last):
        value = np.int64(source[i + shift])
        out[i + to] = value
        bad |= value | (limit - 1 - value)
    return bad


@inner
def _mark(token, begin, offset, stop, out, at):
    if offset <= begin < stop:
        out[at + begin - offset] = token


@inner
def _copy(source, count, forms, i, marks, offset, stop, limit, out, at):
    """Copy [offset, stop) of document i, `count` stored tokens, in its form, to out[at:]; see _span for the result."""
    if forms[i, 0] == PLAIN:
        return _span(source, 0, count, 0, offset, stop, limit, out, at)
    low, high, content = forms[i, 1], forms[i, 2], count - 1
    suffix = content - high
    _mark(marks[0], 0, offset, stop, out, at)
    if forms[i, 0] == PREFIX_FIRST:
        bad = _span(source, 0, low, 1, offset, stop, limit, out, at)
        _mark(marks[1], 1 + low, offset, stop, out, at)
        bad |= _span(source, high, content, 2 + low, offset, stop, limit, out, at)
        _mark(marks[2], 2 + low + suffix, offset, stop, out, at)
        bad |= _span(source, low, high, 3 + low + suffix, offset, stop, limit, out, at)
    else:
        _mark(marks[1], 1, offset, stop, out, at)
        bad = _span(source, high, content, 2, offset, stop, limit, out, at)
        _mark(marks[2], 2 + suffix, offset, stop, out, at)
        bad |= _span(source, 0, high, 3 + suffix, offset, stop, limit, out, at)
    return bad | _span(source, content, count, 3 + content, offset, stop, limit, out, at)


@njit(nogil=True, cache=True)
def fill(
    like: np.ndarray,
    where: tuple[np.ndarray, np.ndarray, np.ndarray],
    marks: np.ndarray,
    limit: int,
    pieces: Pieces,
    wanted: np.ndarray,
    rows: np.ndarray,
    ids: np.ndarray,
    documents: np.ndarray,
) -> int:
    """Write windows `wanted` [M] to `rows` [M] of ids and documents [B, T]; what a window leaves free keeps its value.

    like: an array of the tokens' dtype. where: addresses, counts and forms of the documents that `pieces` are of.
    Returns the first document with an id outside [0, limit), or -1.
    """
    addresses, counts, forms = where
    first, document, offset, length = pieces
    for k in range(wanted.shape[0]):
        row, at = rows[k], 0
        out = ids[row]
        for piece in range(first[wanted[k]], first[wanted[k] + 1]):
            i, start, stop = document[piece], offset[piece], offset[piece] + length[piece]
            source = _pointer(addresses[i], like)
            if _copy(source, counts[i], forms, i, marks, start, stop, limit, out, at) < 0:
                return i
            number = piece - first[wanted[k]]
            for j in range(at, at + length[piece]):
                documents[row, j] = number
            at += length[piece]
    return -1
