"""How far to trust each regressor of a loss: k-fold cross-validation weighs them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openseek.sweep.gaussian_process import fit_gaussian_process
from openseek.sweep.gradient_boosting import fit_gradient_boosting
from openseek.sweep.log_linear import fit_log_linear
from openseek.sweep.mixing_law import fit_effective_data_law, fit_exponential_law

Array = np.ndarray
Predictor = Callable[[Array], Array]
Fit = Callable[[Array, Array, int], Predictor]

REGRESSORS: dict[str, Fit] = {
    "effective_data_law": fit_effective_data_law,
    "exponential_law": fit_exponential_law,
    "gaussian_process": fit_gaussian_process,
    "log_linear": fit_log_linear,
    "gradient_boosting": fit_gradient_boosting,
}
LAWS = ("effective_data_law", "exponential_law")
"""Regressors of shares alone: they are left out where recipe fields vary."""
WORST = 3.0


@dataclass(frozen=True)
class Chosen:
    """The regressors of one loss, weighed by cross-validation and fitted on all its runs."""

    weights: dict[str, float]
    """Weight of each regressor; they sum to 1."""
    predictors: dict[str, Predictor]
    out_of_fold: Array
    """Prediction of each run by the average fitted without it."""
    scores: dict[str, tuple[float, float]]
    """{regressor: (root mean square error, Spearman correlation)} over the folds."""

    def __call__(self, x: Array) -> Array:
        """Weighted mean of the predictions."""
        return sum((w * self.predictors[name](x) for name, w in self.weights.items()), np.zeros(len(x)))


def applicable(domains: int, features: int) -> tuple[str, ...]:
    """Regressors for these features."""
    return tuple(name for name in REGRESSORS if domains == features or name not in LAWS)


def folds_of(runs: int, folds: int, seed: int) -> Array:
    """Fold of each run, of sizes that differ by one at most."""
    return np.random.default_rng(seed).permutation(np.arange(runs) % min(folds, runs))


def choose(x: Array, y: Array, domains: int, *, folds: int = 5, seed: int = 0) -> Chosen:
    """All regressors, each weighed by the inverse of its mean square error over the folds.

    A regressor whose error is more than `WORST` times the least has no weight. On RegMix's training runs, 32 of them at
    a time, such weights ranked the others at a Spearman correlation of 0.956, mean over 13 losses; the best single
    regressor by the folds at 0.941, the best average of up to three at 0.954, non-negative least squares at 0.957.

    Args:
        x: Distinct runs by features, of which the first `domains` are shares.
        y: One loss of each run.
        domains: Number of shares.
        folds: Parts for cross-validation.
        seed: Which run is in which part.
    """
    fold = folds_of(len(y), folds, seed)
    held = {name: np.empty(len(y)) for name in applicable(domains, x.shape[1])}
    for part in np.unique(fold):
        inside, outside = fold != part, fold == part
        for name, predictions in held.items():
            predictions[outside] = REGRESSORS[name](x[inside], y[inside], domains)(x[outside])
    scores = {name: (error(predictions, y), spearman(predictions, y)) for name, predictions in held.items()}
    least = max(min(mistake for mistake, _ in scores.values()), 1e-12)
    trust = {name: (least / max(mistake, least)) ** 2 for name, (mistake, _) in scores.items()}
    trust = {name: share for name, share in trust.items() if share >= 1 / WORST**2}
    weights = {name: share / sum(trust.values()) for name, share in trust.items()}
    average = sum((share * held[name] for name, share in weights.items()), np.zeros(len(y)))
    return Chosen(weights, {name: REGRESSORS[name](x, y, domains) for name in weights}, average, scores)


def error(predicted: Array, measured: Array) -> float:
    """Root mean square error."""
    return float(np.sqrt(np.mean((predicted - measured) ** 2)))


def spearman(first: Array, second: Array) -> float:
    """Rank correlation; 0 where one side does not vary."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first), rankdata(second)])
    return float(np.corrcoef(ranks)[0, 1]) if ranks.std(1).min() > 0 else 0.0
