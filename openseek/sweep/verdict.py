"""Differences with intervals, and what they say in words: of two recipes, and of a sweep's predictions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

LEVEL = 0.95
LEAST_CORRELATION = 0.5
"""Rank correlation over the folds below which predictions are doubted whatever the check says."""


@dataclass(frozen=True)
class Difference:
    """Mean of the second minus that of the first, with its interval."""

    mean: float
    low: float
    high: float
    method: str
    """paired or welch."""


@dataclass(frozen=True)
class Verdict:
    """A decision in words."""

    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Noise:
    """How much runs differ that differ in nothing but the seed."""

    deviation: float
    """Standard deviation of one run."""
    freedom: int
    """Degrees of freedom that it was measured with."""

    def pooled(self, *groups: Sequence[float] | Array) -> "Noise":
        """The same, with the repeats in these groups of runs."""
        squares = self.freedom * self.deviation**2
        freedom = self.freedom
        for values in map(_finite, groups):
            squares += float(((values - values.mean()) ** 2).sum())
            freedom += len(values) - 1
        return Noise(math.sqrt(squares / max(1, freedom)), max(1, freedom))

    def difference(self, first: Sequence[float] | Array, second: Sequence[float] | Array) -> Difference:
        """Difference of means of independent runs that have this noise: one run of each is enough."""
        a, b = _finite(first), _finite(second)
        mean = float(b.mean() - a.mean())
        half = _student(self.freedom) * self.deviation * math.sqrt(1 / len(a) + 1 / len(b))
        return Difference(mean, mean - half, mean + half, "pooled")


def welch(first: Sequence[float] | Array, second: Sequence[float] | Array) -> Difference:
    """Difference of means of independent runs of unequal variance (Welch)."""
    a, b = _finite(first), _finite(second)
    if min(len(a), len(b)) < 2:
        raise ValueError("a difference of means needs two seeds or more of each, or the noise of one run")
    mean = float(b.mean() - a.mean())
    parts = [v.var(ddof=1) / len(v) for v in (a, b)]
    own = sum(parts)
    bottom = sum(part**2 / (len(v) - 1) for part, v in zip(parts, (a, b), strict=True))
    half = _student(own**2 / bottom if bottom else math.inf) * math.sqrt(own)
    return Difference(mean, mean - half, mean + half, "welch")


def paired(first: Sequence[float] | Array, second: Sequence[float] | Array) -> Difference:
    """Mean of the differences of runs that share their seeds and their order of data."""
    a, b = _finite(first), _finite(second)
    if len(a) != len(b) or len(a) < 2:
        raise ValueError("a paired difference needs the same two seeds or more of both")
    mean, spread = float((b - a).mean()), float((b - a).std(ddof=1))
    half = _student(len(a) - 1) * spread / math.sqrt(len(a))
    return Difference(mean, mean - half, mean + half, "paired")


def ablate(first: dict[int, float], second: dict[int, float]) -> tuple[Difference, Verdict]:
    """Two recipes at equal tokens, {seed: loss} each: which is better, or that no difference is seen.

    With at least three seeds in common the differences by seed are taken, since they leave out what the seeds share;
    otherwise Welch's interval. Failed seeds (NaN) are left out.
    """
    a = {seed: loss for seed, loss in first.items() if math.isfinite(loss)}
    b = {seed: loss for seed, loss in second.items() if math.isfinite(loss)}
    lost = len(first) + len(second) - len(a) - len(b)
    shared = sorted(a.keys() & b.keys())
    if len(shared) >= 3:
        difference = paired([a[seed] for seed in shared], [b[seed] for seed in shared])
    else:
        difference = welch(list(a.values()), list(b.values()))
    span = f"loss of B minus A {difference.mean:+.4f}, 95 % interval {difference.low:+.4f} to {difference.high:+.4f}"
    reasons = [f"{span} ({difference.method}, {len(a)} and {len(b)} seeds)"]
    if lost:
        reasons.append(f"{lost} runs failed and are left out")
    if difference.low <= 0 <= difference.high:
        reasons.append("the interval holds 0: more seeds, more tokens or a larger effect would be needed")
        return difference, Verdict("no difference seen", tuple(reasons))
    return difference, Verdict("A better" if difference.mean > 0 else "B better", tuple(reasons))


@dataclass(frozen=True)
class Checked:
    """One point of the realised check."""

    predicted: float
    deviation: float
    """Standard deviation of the prediction."""
    realised: tuple[float, ...]
    """Target of each seed."""


def judge(points: dict[str, Checked], noise: Noise, correlation: float, elsewhere: bool = False) -> Verdict:
    """Trust or doubt the optimum of a sweep.

    Args:
        points: Points of the check by kind: optimum, natural or reference, rival; those whose runs failed left out.
        noise: Of one run between seeds, from the repeats of the search; those of the check are added.
        correlation: Spearman correlation of predictions and measurements over the folds.
        elsewhere: The points ran with other settings than the search: predicted losses are not theirs.
    """
    doubts, reasons = [], []
    if correlation < LEAST_CORRELATION:
        doubts.append(f"the regressors rank runs that they have not seen at {correlation:.2f} only")
    if "optimum" not in points:
        return Verdict("doubt", (*doubts, "no run of the optimum finished"))
    noise = noise.pooled(*(each.realised for each in points.values()))
    for kind, each in points.items() if not elsewhere else ():
        mean = float(np.mean(each.realised))
        half = 1.96 * math.sqrt(each.deviation**2 + noise.deviation**2 / len(each.realised))
        said = f"{kind}: predicted {each.predicted:.4f} ± {half:.4f}, realised {mean:.4f}"
        inside = abs(mean - each.predicted) <= half
        # A rival is where one regressor disagrees: that it misses there is no news.
        (reasons if inside or kind == "rival" else doubts).append(said if inside else f"{said}, outside the interval")
    best = points["optimum"]
    for kind, each in points.items():
        if kind == "optimum":
            continue
        gain = noise.difference(best.realised, each.realised)
        said = f"{kind} minus optimum {gain.mean:+.4f}, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}"
        if gain.high < 0:
            doubts.append(f"{said}: it is better than the optimum")
        elif gain.low <= 0 and kind != "rival":
            doubts.append(f"{said}: the optimum is no better beyond the noise")
        else:
            reasons.append(said)
    return Verdict("doubt" if doubts else "trust", (*doubts, *reasons))


def _finite(values: Sequence[float] | Array) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if not len(array) or not np.isfinite(array).all():
        raise ValueError("a difference of means needs finite losses of both: leave failed runs out")
    return array


def _student(freedom: float) -> float:
    from scipy.stats import norm, t

    quantile = (1 + LEVEL) / 2
    return float(norm.ppf(quantile) if math.isinf(freedom) else t.ppf(quantile, freedom))
