"""A measure of a policy on prompts it was not trained on, and whether it changed."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A paired difference of means with its two-sided 95 % interval."""

    mean: float
    low: float
    high: float
    n: int
    stderr: float


def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t by Hill's expansion of the normal quantile (error below 0.01 from 5 degrees on)."""
    if degrees < 1:
        return math.inf
    z = statistics.NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / degrees ** (power + 1) for power, term in enumerate(terms))


def paired_difference(before: Sequence[float], after: Sequence[float]) -> Difference:
    """Mean of after - before over the same items, with the t interval of the differences.

    One value an item: where an item was sampled several times give its mean, so that the item is the cluster.
    Raises ValueError for sequences of unequal length, none, or values that are not finite.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"a paired comparison needs the same items on both sides, got {len(before)} and {len(after)}")
    differences = [b - a for a, b in zip(before, after, strict=True)]
    if not all(math.isfinite(d) for d in differences):
        raise ValueError("a paired comparison met a value that is not finite: drop or repair that sample first")
    n, mean = len(differences), statistics.fmean(differences)
    stderr = statistics.stdev(differences) / math.sqrt(n) if n > 1 else math.inf
    half = student_quantile(0.975, n - 1) * stderr if n > 1 else math.inf
    return Difference(mean, mean - half, mean + half, n, stderr)
