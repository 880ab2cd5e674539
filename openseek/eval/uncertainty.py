"""Uncertainty of scores: intervals for means and ratios, chance, paired comparison, signal to noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openseek.rl.heldout import Difference, paired_difference, student_quantile


@dataclass(frozen=True)
class Estimate:
    """A score with its standard error and two-sided 95 % interval."""

    value: float
    stderr: float
    low: float
    high: float
    n: int

    def at_chance(self, chance: float | None) -> bool:
        """Whether guessing explains the score: its interval holds the chance level (never without such a level)."""
        return chance is not None and self.low <= chance <= self.high


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("no value to estimate from: the benchmark scored no document")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{int((~np.isfinite(array)).sum())} of {array.size} scores are not finite: the model gives NaN"
        )
    return array


def mean_estimate(values: Sequence[float], clusters: Sequence[str] | None = None) -> Estimate:
    """Mean of `values`. `clusters` names each value's passage: items of one passage are not independent.

    A mean of zeros and ones gets Wilson's interval, which stays inside [0, 1] and is not empty at 0 or 1.
    """
    array = _finite(values)
    value, n = float(array.mean()), array.size
    if clusters is not None:
        names, index = np.unique(np.asarray(clusters), return_inverse=True)
        sums = np.bincount(index, weights=array - value, minlength=len(names))
        n = len(names)
        stderr = math.sqrt(float((sums**2).sum()) * n / max(n - 1, 1)) / array.size
    else:
        stderr = float(array.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    if clusters is None and np.isin(array, (0.0, 1.0)).all():
        low, high = _wilson(value, n)
    else:
        half = student_quantile(0.975, n - 1) * stderr if n > 1 else math.inf
        low, high = value - half, value + half
    return Estimate(value, stderr, low, high, array.size)


def _wilson(share: float, n: int) -> tuple[float, float]:
    z = student_quantile(0.975, 10**9)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def ratio_estimate(
    numerators: Sequence[float], denominators: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Sum of numerators over sum of denominators (bits over bytes), with a percentile bootstrap over the items."""
    top, bottom = _finite(numerators), _finite(denominators)
    if top.size != bottom.size or bottom.sum() <= 0:
        raise ValueError("a ratio needs as many numerators as denominators, and denominators that sum above 0")
    generator = np.random.default_rng(seed)
    # Multinomial counts of a resample: one matrix product gives all resampled sums.
    counts = generator.multinomial(top.size, np.full(top.size, 1 / top.size), size=resamples).astype(np.float64)
    resampled = (counts @ top) / np.maximum(counts @ bottom, np.finfo(np.float64).tiny)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(float(top.sum() / bottom.sum()), float(resampled.std(ddof=1)), float(low), float(high), top.size)


@dataclass(frozen=True)
class Comparison:
    """Two runs over the same items."""

    difference: Difference
    p_value: float
    """Two-sided, from random sign flips of the paired differences."""

    @property
    def verdict(self) -> str:
        """better, worse, or "no significant difference" of the second run."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "no significant difference"


def compare(
    first: dict[str, float], second: dict[str, float], *, permutations: int = 2_000, seed: int = 0
) -> Comparison:
    """Paired comparison of two runs, each {item key: score}; the key holds the document's and the prompt's hash.

    Raises ValueError when the runs scored different items or prompts.
    """
    if first.keys() != second.keys():
        only = sorted(first.keys() ^ second.keys())
        raise ValueError(
            f"{len(only)} items are in one run only or had another prompt (such as {only[0]}): score both runs with "
            "the same benchmark files, limits and prompts before comparing them"
        )
    keys = sorted(first)
    difference = paired_difference([first[k] for k in keys], [second[k] for k in keys])
    deltas = np.array([second[k] - first[k] for k in keys])
    generator, extreme = np.random.default_rng(seed), 0
    for _ in range(permutations):
        signs = generator.integers(0, 2, size=len(keys)) * 2 - 1
        extreme += abs(float(signs @ deltas)) >= abs(float(deltas.sum())) - 1e-12
    return Comparison(difference, (extreme + 1) / (permutations + 1))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: the chance of any false finding over all benchmarks stays below the level."""
    adjusted, floor = {}, 0.0
    for rank, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        floor = max(floor, min(1.0, p_value * (len(p_values) - rank)))
        adjusted[name] = floor
    return adjusted


def signal_to_noise(final_scores: Sequence[float], last_checkpoints: Sequence[Sequence[float]]) -> float:
    """Signal and Noise (AI2, arXiv:2508.13144): relative spread of runs over that of their last checkpoints."""
    final = _finite(final_scores)
    if final.size < 2 or len(last_checkpoints) != final.size or min(map(len, last_checkpoints)) < 2:
        raise ValueError("signal to noise needs at least two runs, each with at least two last checkpoints")
    if float(final.mean()) == 0:
        raise ValueError("signal to noise is undefined where all runs score 0")
    signal = float(final.max() - final.min()) / abs(float(final.mean()))
    noises = [float(np.std(c, ddof=1)) / abs(float(np.mean(c))) for c in map(_finite, last_checkpoints)]
    return signal / max(float(np.mean(noises)), np.finfo(np.float64).tiny)
