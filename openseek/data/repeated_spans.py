"""Repeated windows among places with equal anchors: exact, without a limit on the places.

All windows that hold an anchor lie in its context: `length - size` symbols before it and `length` from it on. Places of
an anchor with equal contexts have equal windows, so the first of them represents all, and only representatives are
compared (`openseek.data.repeat_kernels`). A suffix array finds the same in a small corpus, by other means.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from openseek.data.anchors import joined_spans
from openseek.data.repeat_kernels import compare_classes, context_hashes, copy_contexts
from openseek.data.row_ids import distinct, row_of, shard_of
from openseek.data.substring import Substring

FEW = 24
"""Representatives of one anchor that are compared each with each."""
SMALL_CLASS = 4
"""Places of one anchor for which contexts are not hashed: comparing them is quicker."""
BATCH_SYMBOLS = 1 << 27
MOST_SUFFIXES = 1 << 28

Texts = Sequence[tuple[np.ndarray, np.ndarray]]
"""(symbols, offsets [N + 1]) of each shard, mapped."""


class Spans(NamedTuple):
    """Marked spans, sorted by document and start, disjoint; each names a document that has (a part of) it too."""

    documents: np.ndarray
    """Row ids uint64 [S]."""
    starts: np.ndarray
    """First symbol int64 [S]."""
    stops: np.ndarray
    """Symbol after the last int64 [S]."""
    partners: np.ndarray
    """Row ids uint64 [S]."""


def spans_of(documents: np.ndarray, starts: np.ndarray, stops: np.ndarray, partners: np.ndarray) -> Spans:
    """Spans in any order, joined where they touch; the longest names the partner."""
    order = np.lexsort((starts, documents))
    nodes = distinct(documents)
    rows = np.searchsorted(nodes, documents[order])
    joined = joined_spans(np.stack((rows, starts[order], stops[order]), axis=1))
    return Spans(nodes[joined[:, 0]], joined[:, 1], joined[:, 2], partners[order[joined[:, 3]]])


def repeated_spans(
    texts: Texts, anchors: np.ndarray, documents: np.ndarray, positions: np.ndarray, config: Substring
) -> Spans:
    """What is marked around places [N] with these anchors (hashes uint64), documents (row ids) and positions.

    All places of an anchor have to be among them; places of an anchor that is met once are ignored.
    """
    if not len(anchors):
        return Spans(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint64))
    order = np.lexsort((positions, documents, anchors))
    anchors, documents, positions = anchors[order], documents[order], positions[order].astype(np.int64)
    contexts = _contexts(texts, anchors, documents, positions, config)
    order = np.lexsort((positions, documents, contexts, anchors))
    anchors, contexts, documents, positions = (a[order] for a in (anchors, contexts, documents, positions))
    groups = np.flatnonzero(_changes(anchors) | _changes(contexts))
    # Representatives of one anchor go in the order of the corpus.
    groups = groups[np.lexsort((positions[groups], documents[groups], anchors[groups]))]
    ends = _ends(groups, len(anchors))
    last = documents[ends - 1]
    several = documents[groups] != last
    reach, partner = _compared(texts, anchors[groups], documents[groups], positions[groups], several, config)
    alone = partner < 0
    partner[alone] = 0
    beside = np.where(documents[groups][partner] != documents[groups], documents[groups][partner], last[partner])
    group = np.repeat(np.arange(len(groups)), ends - groups)
    members = np.arange(len(group)) + (groups - np.cumsum(ends - groups) + (ends - groups))[group]
    before, after = _extents(texts, documents[members], positions[members], config)
    first = documents[groups][group]
    if config.keep == "first":
        whole = (members != groups[group]) & (config.within_document or documents[members] != first)
    else:
        whole = (several | (config.within_document & (ends - groups > 1)))[group]
    left, right = np.where(whole, before, reach[group, 0]), np.where(whole, after, reach[group, 1])
    other = np.where(whole, np.where(first != documents[members], first, last[group]), beside[group])
    marked = left + right > 0
    at = positions[members]
    return spans_of(*(a[marked] for a in (documents[members], at - left, at + right, other)))


def _changes(values: np.ndarray) -> np.ndarray:
    changed = np.ones(len(values), bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _ends(groups: np.ndarray, total: int) -> np.ndarray:
    """Where each group ends that begins at one of `groups`, which are in any order."""
    borders = np.append(np.sort(groups), total)
    return borders[np.searchsorted(borders, groups) + 1]


def _by_shard(documents: np.ndarray) -> list[tuple[int, np.ndarray]]:
    numbers = shard_of(documents)
    order = np.argsort(numbers, kind="stable")
    found = distinct(numbers)
    bounds = np.searchsorted(numbers[order], np.append(found, found[-1:] + 1)).tolist()
    return [(int(shard), order[a:b]) for shard, a, b in zip(found, bounds[:-1], bounds[1:], strict=True)]


def _contexts(
    texts: Texts, anchors: np.ndarray, documents: np.ndarray, positions: np.ndarray, config: Substring
) -> np.ndarray:
    contexts = np.arange(len(anchors), dtype=np.uint64)
    bounds = np.flatnonzero(np.append(_changes(anchors), True))
    sizes = np.diff(bounds)
    large = np.flatnonzero(np.repeat(sizes > SMALL_CLASS, sizes))
    for shard, places in _by_shard(documents[large]):
        chosen = large[places]
        rows, reach = row_of(documents[chosen]), config.length - config.anchor_size
        contexts[chosen] = context_hashes(*texts[shard], rows, positions[chosen], reach, config.length)
    return contexts


def _extents(
    texts: Texts, documents: np.ndarray, positions: np.ndarray, config: Substring
) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of each place's context before its anchor and from it on."""
    sizes = np.zeros(len(documents), np.int64)
    for shard, places in _by_shard(documents):
        offsets, rows = texts[shard][1], row_of(documents[places])
        sizes[places] = offsets[rows + 1] - offsets[rows]
    before = np.minimum(positions, config.length - config.anchor_size)
    return before, np.minimum(sizes - positions, config.length)


def _compared(
    texts: Texts,
    anchors: np.ndarray,
    documents: np.ndarray,
    positions: np.ndarray,
    several: np.ndarray,
    config: Substring,
) -> tuple[np.ndarray, np.ndarray]:
    """(reach [R, 2], partner [R], -1 for none) of representatives in class order; contexts are copied in batches."""
    reach, partner = np.zeros((len(anchors), 2), np.int64), np.full(len(anchors), -1, np.int64)
    before, after = _extents(texts, documents, positions, config)
    starts = np.concatenate(([0], np.cumsum(before + after)))
    bounds = np.flatnonzero(np.append(_changes(anchors), True))
    # Classes with nothing to compare are not copied; the others go in batches of whole classes.
    begin = 0
    while begin < len(bounds) - 1:
        room = starts[bounds[begin]] + BATCH_SYMBOLS
        end = max(begin + 1, int(np.searchsorted(starts[bounds], room, side="right")) - 1)
        sizes = np.diff(bounds[begin : end + 1])
        chosen = np.flatnonzero(np.repeat(sizes > 1, sizes)) + bounds[begin]
        if len(chosen):
            classes = np.concatenate(([0], np.cumsum(sizes[sizes > 1])))
            found, beside = _compare_batch(
                texts, classes, documents[chosen], positions[chosen], several[chosen], config
            )
            reach[chosen] = found
            partner[chosen] = np.where(beside >= 0, chosen[beside], -1)
        begin = end
    return reach, partner


def _compare_batch(
    texts: Texts,
    classes: np.ndarray,
    documents: np.ndarray,
    positions: np.ndarray,
    several: np.ndarray,
    config: Substring,
) -> tuple[np.ndarray, np.ndarray]:
    length, size = config.length, config.anchor_size
    before, after = _extents(texts, documents, positions, config)
    ends = np.cumsum(before + after)
    starts, centres, stops = ends - before - after, np.zeros_like(ends), np.zeros_like(ends)
    text = np.empty(int(ends[-1]), texts[0][0].dtype)
    for shard, places in _by_shard(documents):
        middle, stop = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
        where = row_of(documents[places]), positions[places], length - size, length
        copy_contexts(*texts[shard], *where, text, starts[places], middle, stop)
        centres[places], stops[places] = middle, stop
    flags = config.within_document, config.keep == "none", FEW
    return compare_classes(text, starts, centres, stops, classes, documents, several, size, length, *flags)


def suffix_spans(texts: Texts, config: Substring) -> Spans:
    """The same spans by a suffix array: prefix doubling (Manber and Myers, 1993), then runs of windows that agree.

    ValueError beyond 2^28 symbols: it is there to compare with, and holds all in memory.
    """
    sizes = [len(offsets) - 1 for _, offsets in texts]
    ids = [(np.uint64(s) << np.uint64(32)) + np.arange(n, dtype=np.uint64) for s, n in enumerate(sizes)]
    documents = np.concatenate([np.zeros(0, np.uint64), *ids])
    lengths = np.concatenate([np.zeros(0, np.int64), *(np.diff(offsets) for _, offsets in texts)])
    total, window = int(lengths.sum()), config.length
    if total > MOST_SUFFIXES:
        raise ValueError(f"{total} symbols are too many for engine=suffix_array (at most {MOST_SUFFIXES}): use anchors")
    data = np.concatenate([np.zeros(0, np.int64), *(part[: offsets[-1]].astype(np.int64) for part, offsets in texts)])
    owner = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    room = ends[owner] - np.arange(total) if total else np.zeros(0, np.int64)
    # A suffix is ranked by its first `window` symbols; beyond the end of its document stands nothing.
    rank, width = np.unique(data, return_inverse=True)[1] + 1, 1
    while width < window:
        step = min(width, window - width)
        following = np.zeros(total, np.int64)
        inside = np.flatnonzero(room > step)
        following[inside] = rank[inside + step]
        rank = np.unique(rank * (total + 2) + following, return_inverse=True)[1] + 1
        width += step
    places = np.flatnonzero(room >= window)
    order = places[np.argsort(rank[places], kind="stable")]
    begins = _changes(rank[order])
    first = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
    bounds = np.append(np.flatnonzero(begins), len(order))
    last = np.repeat(order[bounds[1:] - 1], np.diff(bounds))
    if config.keep == "first":
        marked = (order != first) & (config.within_document | (owner[order] != owner[first]))
    else:
        marked = (first != last) & (config.within_document | (owner[first] != owner[last]))
    at = order[marked]
    other = np.where(owner[first[marked]] != owner[at], owner[first[marked]], owner[last[marked]])
    begin = at - (ends - lengths)[owner[at]]
    return spans_of(documents[owner[at]], begin, begin + window, documents[other])
