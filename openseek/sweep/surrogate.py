"""The model of a sweep: what its results say of points that were not run, each loss by itself, then combined."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openseek.sweep.choose import REGRESSORS, Chosen, choose, spearman
from openseek.sweep.config import LEAST_POINTS, Result, SweepConfig
from openseek.sweep.gaussian_process import GaussianProcess, fit_gaussian_process
from openseek.sweep.space import matrix

Array = np.ndarray

CALIBRATIONS = (0.5, 4.0)
"""Least and greatest factor on the process's deviations."""
SAME = 6
"""Decimals of features to which two points are one."""


@dataclass(frozen=True)
class Measured:
    """Usable results, identical points averaged."""

    x: Array
    """Distinct points by features."""
    losses: Array
    """Distinct points by losses."""
    weights: Array
    """Weight of each loss in the target; sums to 1."""
    names: tuple[str, ...]
    """Losses that have a weight."""
    runs: tuple[tuple[str, ...], ...]
    """Names of the runs of each point."""
    noise: float | None
    """Standard deviation of the target between runs of one point; None: no point was run twice."""
    freedom: int
    """Degrees of freedom of the noise; 1 where it is not measured."""
    excluded: tuple[tuple[str, str], ...]
    """(run, why) of the results that are left out."""

    @property
    def target(self) -> Array:
        """Weighted loss of each point."""
        return self.losses @ self.weights


@dataclass(frozen=True)
class Surrogate:
    """Predictions of the target."""

    measured: Measured
    chosen: tuple[Chosen, ...]
    """The regressor of each loss."""
    process: GaussianProcess
    """Of the target itself: it gives the uncertainty."""
    calibration: float
    """Factor on the process's deviations that makes them those of the errors over the folds."""

    def mean(self, x: Array) -> Array:
        """Predicted target at each row of features."""
        return sum((w * each(x) for w, each in zip(self.measured.weights, self.chosen, strict=True)), np.zeros(len(x)))

    def deviation(self, x: Array) -> Array:
        """Standard deviation of the predicted target."""
        return self.calibration * self.process.predict(x)[1]

    @property
    def noise(self) -> float:
        """Standard deviation of the target between runs of one point: measured, or else the process's."""
        return self.process.noise if self.measured.noise is None else self.measured.noise

    @property
    def out_of_fold(self) -> Array:
        """Predicted target of each point by regressors that were fitted without it."""
        return np.stack([each.out_of_fold for each in self.chosen], 1) @ self.measured.weights

    @property
    def rank_correlation(self) -> float:
        """Spearman correlation of the predictions over the folds with the measured targets."""
        return spearman(self.out_of_fold, self.measured.target)


def usable(results: Sequence[Result], config: SweepConfig) -> Measured:
    """The results with finite values of all losses that count; ValueError when fewer than four points are left."""
    finished = [result for result in results if result.losses]
    names = tuple(name for name, weight in config.targets.items() if weight) or tuple(
        sorted({name for result in finished for name in result.losses or {}})
    )
    kept, excluded = [], []
    for result in results:
        if reason := _flaw(result, names):
            excluded.append((result.run.name, reason))
        else:
            kept.append(result)
    rows = matrix([result.run.point for result in kept], config)
    values = np.array([[(result.losses or {})[name] for name in names] for result in kept]).reshape(len(kept), -1)
    weights = np.array([config.targets.get(name, 1.0) for name in names], dtype=np.float64)
    weights /= max(weights.sum(), 1e-300)
    groups: dict[tuple[float, ...], list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(tuple(np.round(row, SAME) + 0.0), []).append(place)
    if len(groups) < LEAST_POINTS:
        why = "; ".join(f"{name}: {reason}" for name, reason in excluded[:3]) or "none failed"
        raise ValueError(
            f"sweep: {len(groups)} different points of {len(results)} runs have losses, at least {LEAST_POINTS} are "
            f"needed ({why}): look at the failed trainings, then run them again"
        )
    members = list(groups.values())
    spreads = [(values[places] @ weights).var(ddof=1) * (len(places) - 1) for places in members if len(places) > 1]
    freedom = sum(len(places) - 1 for places in members)
    return Measured(
        x=np.stack([rows[places[0]] for places in members]),
        losses=np.stack([values[places].mean(0) for places in members]),
        weights=weights,
        names=names,
        runs=tuple(tuple(kept[place].run.name for place in places) for places in members),
        noise=math.sqrt(sum(spreads) / freedom) if freedom else None,
        freedom=max(1, freedom),
        excluded=tuple(excluded),
    )


def _flaw(result: Result, names: Sequence[str]) -> str:
    """Why a result cannot be used; empty: it can."""
    if not result.losses:
        return "the training failed"
    if missing := [name for name in names if name not in result.losses]:
        return f"no value of {', '.join(missing)}"
    wrong = [f"{name} is {result.losses[name]}" for name in names if not math.isfinite(result.losses[name])]
    return ", ".join(wrong)


def fit(measured: Measured, config: SweepConfig) -> Surrogate:
    """Weigh the regressors of each loss by cross-validation, and fit them on all points."""
    domains = len(config.domains)
    chosen = tuple(
        choose(measured.x, loss, domains, folds=config.folds, seed=config.seed) for loss in measured.losses.T
    )
    process = fit_gaussian_process(measured.x, measured.target, domains)
    surrogate = Surrogate(measured, chosen, process, 1.0)
    errors = surrogate.out_of_fold - measured.target
    calibration = float(np.sqrt(np.mean(errors**2 / process.leave_one_out_variance)))
    return Surrogate(measured, chosen, process, float(np.clip(calibration, *CALIBRATIONS)))


def refit(surrogate: Surrogate, places: Array, domains: int) -> "Surrogate":
    """The same regressors with the same weights, fitted on these points (with repetitions, for a bootstrap)."""
    measured = surrogate.measured
    x = measured.x[places]
    chosen = tuple(
        Chosen(each.weights, {name: REGRESSORS[name](x, loss, domains) for name in each.weights}, each.out_of_fold, {})
        for each, loss in zip(surrogate.chosen, measured.losses[places].T, strict=True)
    )
    return Surrogate(measured, chosen, surrogate.process, surrogate.calibration)
