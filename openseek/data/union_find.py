"""Verified pairs of near duplicates -> clusters, and the documents that go."""

import numpy as np
from numba import njit


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
