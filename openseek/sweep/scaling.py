"""Scaling laws: loss against compute, and against parameters and tokens (Hoffmann et al., arXiv:2203.15556)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

Array = np.ndarray

HUBER = 1e-3
"""Where the loss on differences of logarithms turns from square to absolute (Hoffmann et al.)."""
LEVEL = 0.95


@dataclass(frozen=True)
class ScalingLaw:
    """L = E + sum of A_i x_i^-a_i over the inputs: compute, or parameters and tokens."""

    floor: float
    """E: the loss that no compute removes."""
    factors: tuple[float, ...]
    exponents: tuple[float, ...]
    floor_interval: tuple[float, float]
    exponent_intervals: tuple[tuple[float, float], ...]
    resamples: Array
    """Parameters of each bootstrap fit: log E, then log A and a of each input."""

    def __call__(self, inputs: float | Sequence[float] | Array) -> float:
        """Loss at these inputs."""
        parts = zip(self.factors, self.exponents, np.atleast_1d(inputs), strict=True)
        return self.floor + sum(factor * float(size) ** -power for factor, power, size in parts)

    def interval(self, inputs: float | Sequence[float] | Array) -> tuple[float, float]:
        """Bootstrap interval of the law's loss at these inputs."""
        logs = np.log(np.atleast_1d(np.asarray(inputs, dtype=np.float64)))
        losses = np.exp([_log_loss(each, logs[None])[0] for each in self.resamples])
        low, high = np.quantile(losses, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        return float(low), float(high)


def fit_compute_law(compute: Sequence[float] | Array, losses: Sequence[float] | Array, **options: int) -> ScalingLaw:
    """L(C) = E + A C^-a over a ladder of runs; see `fit_law`."""
    return fit_law(np.asarray(compute, dtype=np.float64)[:, None], losses, **options)


def fit_law(inputs: Array, losses: Sequence[float] | Array, *, resamples: int = 200, seed: int = 0) -> ScalingLaw:
    """Huber fit on logarithms from several starts, with a bootstrap over the residuals.

    Args:
        inputs: Runs by inputs: compute alone, or parameters and tokens.
        losses: Loss of each run; failed runs (NaN) are left out.
        resamples: Bootstrap fits.
        seed: Seed of the bootstrap.

    Raises ValueError with fewer different inputs than parameters of the law, or values that are not above 0.
    """
    inputs, values = np.atleast_2d(np.asarray(inputs, dtype=np.float64)), np.asarray(losses, dtype=np.float64)
    kept = np.isfinite(values) & np.isfinite(inputs).all(1)
    inputs, values = inputs[kept], values[kept]
    needed = 1 + 2 * inputs.shape[1]
    if len(np.unique(inputs, axis=0)) < needed:
        raise ValueError(
            f"a law of {needed} parameters needs {needed} different finished runs or more, "
            f"{len(np.unique(inputs, axis=0))} are there: add sizes to the ladder"
        )
    if (inputs <= 0).any() or (values <= 0).any():
        raise ValueError("a scaling law needs compute, sizes and losses above 0: look at the run that has none")
    logs, targets = np.log(inputs), np.log(values)
    middle = logs.mean(0)
    best = _fit(logs - middle, targets, _starts(inputs.shape[1], targets))
    fitted = _log_loss(best, logs - middle)
    errors = (targets - fitted) * np.sqrt(len(targets) / max(1, len(targets) - needed))
    random = np.random.default_rng(seed)
    again = [_fit(logs - middle, fitted + random.choice(errors, len(errors)), [best]) for _ in range(resamples)]
    found = np.stack([_uncentred(each, middle) for each in [best, *again]])
    low, high = np.quantile(found[1:], ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return ScalingLaw(
        floor=float(np.exp(found[0, 0])),
        factors=tuple(float(v) for v in np.exp(found[0, 1::2])),
        exponents=tuple(float(v) for v in found[0, 2::2]),
        floor_interval=(float(np.exp(low[0])), float(np.exp(high[0]))),
        exponent_intervals=tuple((float(a), float(b)) for a, b in zip(low[2::2], high[2::2], strict=True)),
        resamples=found[1:],
    )


def _starts(number: int, targets: Array) -> list[Array]:
    height = float(targets.mean())
    return [
        np.r_[height + np.log(part), np.tile([height + np.log((1 - part) / number), power], number)]
        for part in (0.3, 0.6, 0.9)
        for power in (0.1, 0.3, 0.7)
    ]


def _fit(logs: Array, targets: Array, starts: list[Array]) -> Array:
    fits = [minimize(_objective, start, (logs, targets), jac=True, method="L-BFGS-B") for start in starts]
    return min(fits, key=lambda fit: fit.fun).x


def _log_loss(parameters: Array, logs: Array) -> Array:
    """Log of the law's loss at rows of logarithms of inputs."""
    return np.logaddexp.reduce(_terms(parameters, logs), axis=1)


def _terms(parameters: Array, logs: Array) -> Array:
    falls = parameters[1::2] - parameters[2::2] * logs
    return np.column_stack([np.full(len(logs), parameters[0]), falls])


def _objective(parameters: Array, logs: Array, targets: Array) -> tuple[float, Array]:
    """Mean Huber loss in units of its threshold, and its gradient."""
    terms = _terms(parameters, logs)
    total = np.logaddexp.reduce(terms, axis=1)
    error = (total - targets) / HUBER
    size = np.abs(error)
    value = np.where(size <= 1, error**2 / 2, size - 0.5).mean()
    slope = np.clip(error, -1, 1) / HUBER / len(targets)
    shares = np.exp(terms - total[:, None]) * slope[:, None]
    gradient = np.empty_like(parameters)
    gradient[0], gradient[1::2] = shares[:, 0].sum(), shares[:, 1:].sum(0)
    gradient[2::2] = -(shares[:, 1:] * logs).sum(0)
    return float(value), gradient


def _uncentred(parameters: Array, middle: Array) -> Array:
    """Parameters for inputs as they are, from those for inputs over their geometric mean."""
    moved = parameters.copy()
    moved[1::2] += parameters[2::2] * middle
    return moved
