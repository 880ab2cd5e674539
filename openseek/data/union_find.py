"""Verified pairs of near duplicates -> clusters, and the documents that go."""

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Stars:
    """The documents that go, by row id in order, and why."""

    goes: np.ndarray
    """Row ids uint64 [D] of the documents that go."""
    partners: np.ndarray
    """Row ids uint64 [D] of the documents that stay in their place."""
    values: np.ndarray
    """Similarity float64 [D] of the two."""
    cluster_sizes: np.ndarray
    """Documents int64 [C] of every connected component."""
    num_pairs: int
    """Near pairs."""


def stars(pairs: np.ndarray, similarity: np.ndarray, nodes: np.ndarray, ranks: np.ndarray) -> Stars:
    """Decide over near pairs uint64 [P, 2] of row ids; `nodes` [N] are those that occur, `ranks` [N] their ranks."""
    order = np.lexsort((nodes, ranks))
    place = np.empty(len(nodes), np.int64)
    place[order] = np.arange(len(nodes))
    ends = np.sort(place[np.searchsorted(nodes, pairs)], axis=1)
    partner, value = star_partners(ends[:, 0], ends[:, 1], similarity, len(nodes))
    goes = np.flatnonzero(partner >= 0)
    goes = goes[np.argsort(nodes[order[goes]])]
    sizes = cluster_sizes(components(ends[:, 0], ends[:, 1], len(nodes)))
    return Stars(nodes[order[goes]], nodes[order[partner[goes]]], value[goes], sizes, len(pairs))


@njit(nogil=True, cache=True)
def _root(parent: np.ndarray, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(nogil=True, cache=True)
def components(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
    """Label [size] int64 of each node's connected component: the lowest node in it (union-find with path halving)."""
    parent = np.arange(size)
    for i in range(left.shape[0]):
        a, b = _root(parent, left[i]), _root(parent, right[i])
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b
    for node in range(size):
        parent[node] = _root(parent, node)
    return parent


def cluster_sizes(labels: np.ndarray) -> np.ndarray:
    """Sizes of the components with more than one node."""
    sizes = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    return sizes[sizes > 1]


def star_partners(left: np.ndarray, right: np.ndarray, value: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(partner int64, value float64) [size] of the nodes that go; partner -1 where a node stays.

    Nodes are numbered by preference and `left < right` in every pair. A node goes only if it is paired with a node that
    stays, so each dropped document has a kept twin and no chain of weak resemblances wipes a cluster out. Its partner
    is the most similar of these.
    """
    order = np.lexsort((left, -value, right))
    return _star(left[order], right[order], value[order], size)


@njit(nogil=True, cache=True)
def _star(left: np.ndarray, right: np.ndarray, value: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    partner, best = np.full(size, -1), np.zeros(size)
    # Pairs come by rising right end, so whether a left end stays is already decided.
    for i in range(left.shape[0]):
        a, b = left[i], right[i]
        if partner[b] < 0 and partner[a] < 0:
            partner[b], best[b] = a, value[i]
    return partner, best
