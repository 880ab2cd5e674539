"""A Gaussian process on powers of the shares: Matern 5/2 with noise, hyperparameters by penalised marginal likelihood.

On square roots the Euclidean distance of two mixtures is Hellinger's, which sees the step from nothing to little; a
smaller power sees it more. The likelihood chooses the power.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

Array = np.ndarray

POWERS = (0.5, 0.35)
STARTS = (np.log(0.6),)
CENTRE = np.array([0.0, 0.0, -5.0])
WIDTH = np.array([1.0, 2.0, 2.0])
"""Normal prior of log length scale, log signal variance and log noise variance, for losses of variance 1."""


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process: call it for means, `predict` for means and deviations."""

    points: Array
    domains: int
    power: float
    log_parameters: Array
    factor: Array
    """Lower Cholesky factor of the covariance of the runs."""
    weights: Array
    centre: float
    scale: float

    def __call__(self, x: Array) -> Array:
        """Mean loss at each row of features."""
        return self.centre + self.scale * self._cross(x) @ self.weights

    def predict(self, x: Array) -> tuple[Array, Array]:
        """(mean, standard deviation without the noise of a run) at each row of features."""
        cross = self._cross(x)
        half = solve_triangular(self.factor, cross.T, lower=True)
        variance = np.exp(self.log_parameters[1]) - (half**2).sum(0)
        return self.centre + self.scale * cross @ self.weights, self.scale * np.sqrt(np.maximum(variance, 1e-12))

    def believing(self, x: Array) -> "GaussianProcess":
        """The process once runs at `x` gave just what it predicts: means stay, deviations near them shrink."""
        points = np.vstack([self.points, coordinates(x, self.domains, self.power)])
        covariance = _matern(cdist(points, points), self.log_parameters)[0]
        factor = _factor(covariance, self.log_parameters[2])
        z = np.r_[self.factor @ (self.factor.T @ self.weights), (self(x) - self.centre) / self.scale]
        return replace(self, points=points, factor=factor, weights=cho_solve((factor, True), z))

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of one run."""
        return self.scale * float(np.exp(self.log_parameters[2] / 2))

    @property
    def leave_one_out_variance(self) -> Array:
        """Variance of each run as predicted from all the others, its noise with it."""
        half = solve_triangular(self.factor, np.eye(len(self.points)), lower=True)
        return self.scale**2 / (half**2).sum(0)

    def _cross(self, x: Array) -> Array:
        return _matern(cdist(coordinates(x, self.domains, self.power), self.points), self.log_parameters)[0]


def coordinates(x: Array, domains: int, power: float) -> Array:
    """Features with shares raised to a power; recipe fields, already in [0, 1], stay."""
    return np.hstack([np.maximum(x[:, :domains], 0.0) ** power, x[:, domains:]])


def fit_gaussian_process(x: Array, y: Array, domains: int) -> GaussianProcess:
    """The process of the power, and of the start, with the highest penalised likelihood."""
    centre, scale = float(y.mean()), float(y.std()) or 1.0
    z, best = (y - centre) / scale, None
    for power in POWERS if domains else (1.0,):
        points = coordinates(x, domains, power)
        distances = cdist(points, points)
        for start in STARTS:
            fit = minimize(
                _objective,
                np.r_[start, 0.0, -4.0],
                (distances, z),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": 80},
            )
            if best is None or fit.fun < best[0]:
                best = (fit.fun, power, points, distances, fit.x)
    assert best is not None
    _, power, points, distances, log_parameters = best
    factor = _factor(_matern(distances, log_parameters)[0], log_parameters[2])
    return GaussianProcess(points, domains, power, log_parameters, factor, cho_solve((factor, True), z), centre, scale)


def _matern(distances: Array, log_parameters: Array) -> tuple[Array, Array]:
    """(covariances, their derivative by the log length scale)."""
    ratio = np.sqrt(5.0) * distances / np.exp(log_parameters[0])
    fall = np.exp(log_parameters[1] - ratio)
    return (1 + ratio + ratio**2 / 3) * fall, (ratio**2 + ratio**3) / 3 * fall


def _factor(covariance: Array, log_noise: float) -> Array:
    return cholesky(covariance + (np.exp(log_noise) + 1e-8) * np.eye(len(covariance)), lower=True)


def _objective(log_parameters: Array, distances: Array, z: Array) -> tuple[float, Array]:
    """Negative log of likelihood times prior, and its gradient."""
    log_parameters = np.clip(log_parameters, -9.0, 6.0)
    covariance, by_length = _matern(distances, log_parameters)
    factor = _factor(covariance, log_parameters[2])
    weights = cho_solve((factor, True), z)
    inner = cho_solve((factor, True), np.eye(len(z))) - np.outer(weights, weights)
    off = (log_parameters - CENTRE) / WIDTH
    value = 0.5 * z @ weights + np.log(np.diag(factor)).sum() + 0.5 * (off**2).sum()
    slopes = [(inner * by_length).sum(), (inner * covariance).sum(), np.trace(inner) * np.exp(log_parameters[2])]
    return float(value), 0.5 * np.array(slopes) + off / WIDTH
