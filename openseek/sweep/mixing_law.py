"""Two laws of loss on the shares of the domains, each for one loss (Ye et al., arXiv:2403.16952; RegMix's runs).

Exponential: L = c + exp(t.r), the data mixing law with its factor k inside t, since shares sum to 1.
Effective data: L = c + k (e.r)^-a with e > 0: a power law in the sum of the domains' useful shares, which falls steeply
where a domain goes from nothing to little, as losses on a domain do when it enters the mixture.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import least_squares

Array = np.ndarray
Predictor = Callable[[Array], Array]

EXPONENTIAL_RIDGE = 1e-5
EFFECTIVE_RIDGE = 1e-4
TYPICAL_USE = -3.0
"""Log of a useful share that the effective-data law takes where the runs say nothing."""
STEPS = 150


def fit_exponential_law(x: Array, y: Array, domains: int) -> Predictor:
    """L = c + exp(t.r), by least squares from three starts; t is drawn weakly to its mean.

    Args:
        x: Runs by features, of which the first `domains` are shares.
        y: Loss of each run.
        domains: Number of shares.
    """
    shares, scale = x[:, :domains], _scale(y)
    ridge = np.sqrt(EXPONENTIAL_RIDGE * len(y)) * (np.eye(domains) - 1 / domains)

    def residuals(p: Array) -> Array:
        return np.concatenate([(p[0] + np.exp(_exponent(shares @ p[1:])) - y) / scale, ridge @ p[1:]])

    def jacobian(p: Array) -> Array:
        falls = np.exp(_exponent(shares @ p[1:]))
        top = np.column_stack([np.ones(len(y)), falls[:, None] * shares]) / scale
        return np.vstack([top, np.column_stack([np.zeros(domains), ridge])])

    starts = []
    for part in (0.3, 0.6, 0.9):
        floor = y.min() - (1 - part) * max(abs(y.min()), scale)
        normal = shares.T @ shares + 1e-2 * np.eye(domains)
        starts.append(np.r_[floor, np.linalg.solve(normal, shares.T @ np.log(np.maximum(y - floor, 1e-3 * scale)))])
    p = _best(residuals, jacobian, starts)
    return lambda x: p[0] + np.exp(_exponent(x[:, :domains] @ p[1:]))


def fit_effective_data_law(x: Array, y: Array, domains: int) -> Predictor:
    """L = c + k (e.r)^-a with e, k, a > 0, by least squares from two starts; log e is drawn weakly to a small value."""
    shares, scale = x[:, :domains], _scale(y)
    ridge = np.sqrt(EFFECTIVE_RIDGE * len(y))

    def parts(p: Array, shares: Array) -> tuple[Array, Array, Array, float]:
        useful = np.exp(np.clip(p[3:], -14.0, 8.0))
        amount = shares @ useful + 1e-9
        power = float(np.exp(np.clip(p[2], -5.0, 1.5)))
        return useful, amount, np.exp(_exponent(p[1] - power * np.log(amount))), power

    def residuals(p: Array) -> Array:
        return np.concatenate(
            [(p[0] + parts(p, shares)[2] - y) / scale, ridge * (p[3:] - TYPICAL_USE), [0.1 * (p[2] + 1)]]
        )

    def jacobian(p: Array) -> Array:
        useful, amount, falls, power = parts(p, shares)
        by_use = -power * (falls / amount)[:, None] * shares * useful
        by_power = -falls * np.log(amount) * power
        top = np.column_stack([np.ones(len(y)), falls, by_power, by_use]) / scale
        below = np.zeros((domains + 1, domains + 3))
        below[:domains, 3:], below[domains, 2] = ridge * np.eye(domains), 0.1
        return np.vstack([top, below])

    starts = []
    for power in (-1.5, -0.5):
        height = np.log(max(0.4 * abs(float(y.min())), scale))
        starts.append(np.r_[y.min() - np.exp(height), height, power, np.full(domains, TYPICAL_USE + 1)])
    p = _best(residuals, jacobian, starts)
    return lambda x: p[0] + parts(p, x[:, :domains])[2]


def _scale(y: Array) -> float:
    """Spread of the losses, 1 where they are all equal."""
    return float(y.std()) or 1.0


def _exponent(z: Array) -> Array:
    return np.clip(z, -30.0, 12.0)


def _best(residuals: Callable[[Array], Array], jacobian: Any, starts: list[Array]) -> Array:
    fits = [least_squares(residuals, start, jacobian, max_nfev=STEPS, x_scale="jac") for start in starts]
    return min(fits, key=lambda fit: fit.cost).x
