"""A blocked Bloom filter (Putze et al., 2007): which 64-bit hashes of a sequence came before, with a stated error.

All bits of a hash lie in one block of 512 bits, so that a look-up costs one cache miss. The price is some bits more
than a plain filter of the same error would need; `size` counts them in.
"""

import functools
import math

import numpy as np
from numba import njit

from openseek.data.words import mix

BLOCK_BITS = 512
MOST_PROBES = 40
# A probe takes nine bits of a 64-bit value.
_PROBES_PER_VALUE = 7
_STEP = np.uint64(0x9E3779B97F4A7C15)


def error(units: float, blocks: int, probes: int) -> float:
    """Probability that a filter holding so many distinct hashes takes another one for a member.

    A block's load is Poisson distributed; the mean is taken over loads. In a block of a given load the number of bits
    set varies, which raises the mean of its power `probes` (Bose et al., 2008): taken in to the second order.
    """
    load = units / blocks
    if not load:
        return 0.0
    loads = np.arange(int(load + 12 * math.sqrt(load)) + 40)
    log_factorials = np.concatenate(([0.0], np.cumsum(np.log(loads[1:]))))
    weights = np.exp(loads * math.log(load) - load - log_factorials)
    clear = (1 - 1 / BLOCK_BITS) ** (loads * probes)
    filled = 1 - clear
    both_clear = (1 - 2 / BLOCK_BITS) ** (loads * probes)
    variance = np.maximum(0, clear / BLOCK_BITS + (1 - 1 / BLOCK_BITS) * both_clear - clear**2)
    spread = np.divide(variance, filled**2, out=np.zeros(len(loads)), where=filled > 0)
    return float((weights * filled**probes * (1 + probes * (probes - 1) / 2 * spread)).sum())


def size(units: int, rate: float) -> tuple[int, int]:
    """(blocks, probes) of the least filter whose error is at most `rate` when it holds `units` hashes."""
    if not 0 < rate < 1:
        raise ValueError(f"the error rate of a Bloom filter is {rate}: it must lie between 0 and 1")
    load, probes = _densest(rate)
    return max(1, math.ceil(units / load)), probes


@functools.cache
def _densest(rate: float) -> tuple[float, int]:
    """(hashes a block, probes) of the fullest filter whose error is at most `rate`."""
    bits = -math.log2(rate) / math.log(2)  # what a plain filter needs
    while True:
        best, probes = min((error(BLOCK_BITS / bits, 1, k), k) for k in range(1, MOST_PROBES))
        if best <= rate:
            return BLOCK_BITS / bits, probes
        bits *= 1.02


def expected_errors(units: int, blocks: int, probes: int, steps: int = 64) -> float:
    """Hashes, of `units` distinct ones put in one after the other, that are taken for members when they come."""
    fills = (np.arange(steps) + 0.5) / steps * units
    return units * sum(error(fill, blocks, probes) for fill in fills.tolist()) / steps


def empty(blocks: int) -> np.ndarray:
    """The bits of a filter without members, uint64 [8 * blocks]."""
    return np.zeros(blocks * (BLOCK_BITS // 64), np.uint64)


@njit(nogil=True, cache=True)
def seen_before(bits: np.ndarray, probes: int, hashes: np.ndarray) -> np.ndarray:
    """Put hashes uint64 [N] in, in order; bool [N]: whether each was a member when it came (or is taken for one)."""
    seen = np.empty(hashes.shape[0], np.bool_)
    blocks = np.uint64(bits.shape[0] // 8)
    for i in range(hashes.shape[0]):
        base = np.int64(((hashes[i] >> np.uint64(32)) * blocks) >> np.uint64(32)) * 8
        value = np.uint64(0)
        member = True
        for probe in range(probes):
            if probe % _PROBES_PER_VALUE == 0:
                value = mix(hashes[i] + _STEP * np.uint64(probe // _PROBES_PER_VALUE + 1))
            place = np.int64(value & np.uint64(BLOCK_BITS - 1))
            value >>= np.uint64(9)
            bit = np.uint64(1) << np.uint64(place & 63)
            if not bits[base + (place >> 6)] & bit:
                member = False
                bits[base + (place >> 6)] |= bit
        seen[i] = member
    return seen
