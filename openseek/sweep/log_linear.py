"""Ridge regression on shares and their logarithms; recipe fields enter with their squares."""

from collections.abc import Callable

import numpy as np

Array = np.ndarray

PENALTIES = np.logspace(-3, 3, 25)
LEAST_SHARE = 1e-3


def fit_log_linear(x: Array, y: Array, domains: int) -> Callable[[Array], Array]:
    """The linear model whose penalty has the least leave-one-out error, in closed form.

    Args:
        x: Runs by features, of which the first `domains` are shares, the others fields in [0, 1].
        y: Loss of each run.
        domains: Number of shares.
    """
    raw = _features(x, domains)
    centre, spread = raw.mean(0), raw.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    design, level = (raw - centre) / spread, float(y.mean())
    left, sizes, right = np.linalg.svd(design, full_matrices=False)
    rotated, best = left.T @ (y - level), (np.inf, 0.0)
    for penalty in PENALTIES:
        kept = sizes**2 / (sizes**2 + penalty)
        leverage = (left**2) @ kept + 1 / len(y)
        errors = (y - level - left @ (kept * rotated)) / np.maximum(1 - leverage, 1e-6)
        best = min(best, (float((errors**2).mean()), float(penalty)))
    slopes = right.T @ (sizes / (sizes**2 + best[1]) * rotated)
    return lambda x: level + ((_features(x, domains) - centre) / spread) @ slopes


def _features(x: Array, domains: int) -> Array:
    shares, fields = x[:, :domains], x[:, domains:]
    return np.hstack([shares, np.log(np.maximum(shares, 0.0) + LEAST_SHARE), fields, fields**2])
