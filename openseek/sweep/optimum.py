"""The best point that the model predicts: mean of the best candidates, its interval, its boundaries, its slopes."""

from dataclasses import dataclass

import numpy as np

from openseek.sweep.acquire import candidates
from openseek.sweep.choose import REGRESSORS, applicable
from openseek.sweep.config import SweepConfig
from openseek.sweep.space import LEAST_SHARE, matrix, point
from openseek.sweep.surrogate import Surrogate, refit

Array = np.ndarray

BEST = 32
"""Candidates whose mean is the optimum, as RegMix averages its best simulated mixtures: one alone is luck."""
LEVEL = 0.9
"""Of the intervals of weights."""
STEP = 0.02
"""Share that a slope moves to a domain, or step of a scaled field."""
EDGE = 0.01
AGREEMENT = 0.02
"""Sum of absolute differences below which two points are one opinion."""


@dataclass(frozen=True)
class Optimum:
    """A predicted best point."""

    point: dict[str, float]
    predicted: float
    deviation: float
    low: dict[str, float]
    high: dict[str, float]
    """Bootstrap interval of each weight and value."""
    boundary: dict[str, str]
    """{domain or field: why the optimum may lie farther out}."""
    slopes: dict[str, float]
    """Change of the predicted target for one hundredth more of a domain, taken from all others in proportion."""


def find_optimum(surrogate: Surrogate, config: SweepConfig, pool: Array | None = None) -> Optimum:
    """The optimum over the simplex under the caps, or over the rows of a pool."""
    rows = candidates(surrogate, config, config.seed + 1, rounds=3) if pool is None else pool
    size = BEST if pool is None else 1
    place = best_row(surrogate.mean(rows), rows, size)
    random, found = np.random.default_rng(config.seed), []
    for _ in range(config.bootstraps):
        places = random.integers(len(surrogate.measured.x), size=len(surrogate.measured.x))
        again = refit(surrogate, places, len(config.domains))
        found.append(point(best_row(again.mean(rows), rows, size), config))
    best = point(place, config)
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    spans = {name: np.quantile([each[name] for each in found], tails) for name in best}
    here = matrix([best], config)
    return Optimum(
        point=best,
        predicted=float(surrogate.mean(here)[0]),
        deviation=float(surrogate.deviation(here)[0]),
        low={name: min(best[name], float(span[0])) for name, span in spans.items()},
        high={name: max(best[name], float(span[1])) for name, span in spans.items()},
        boundary=boundary_of(best, config),
        slopes=slopes_at(surrogate, here[0], config),
    )


def best_row(predicted: Array, rows: Array, size: int) -> Array:
    """Mean of the `size` rows with the least predictions; it keeps to the caps, since these make a convex set."""
    return rows[np.argsort(predicted, kind="stable")[:size]].mean(0)


def boundary_of(best: dict[str, float], config: SweepConfig) -> dict[str, str]:
    """What stops each weight and value of a point that lies on the boundary."""
    found = {}
    for name, cap in config.caps.items():
        if best[name] < max(LEAST_SHARE, EDGE * cap):
            found[name] = "no share: the domain does not help the target, or the law cannot see that it does"
        elif cap < 1 and best[name] > (1 - EDGE) * cap:
            found[name] = f"at its cap {cap:.4f} of max_epochs {config.max_epochs:g}: more tokens of it would help"
    for name, place in zip(config.fields, matrix([best], config)[0][len(config.domains) :], strict=True):
        if not EDGE < place < 1 - EDGE:
            end = "low" if place < 0.5 else "high"
            found[name] = f"at the {end} end of its range: widen the range and sweep again"
    return found


def slopes_at(surrogate: Surrogate, row: Array, config: SweepConfig) -> dict[str, float]:
    """Sensitivity of the target to each domain (per 0.01 of share) and field (per 0.01 of its range)."""
    number, slopes = len(config.domains), {}
    for place, name in enumerate([*config.domains, *config.fields]):
        toward = row.copy()
        if place < number:
            toward[:number] = (1 - STEP) * row[:number]
            toward[place] += STEP
        else:
            toward[place] += STEP if row[place] < 0.5 else -STEP
        change = float(np.diff(surrogate.mean(np.stack([row, toward])))[0])
        slopes[name] = change / STEP * 0.01 * (1 if toward[place] >= row[place] else -1)
    return slopes


def find_rival(
    surrogate: Surrogate, best: dict[str, float], config: SweepConfig, pool: Array | None = None
) -> tuple[str, dict[str, float]]:
    """(who proposes it, point): the optimum of the single regressor that disagrees most with `best`.

    Where all agree, the best measured point that is another one.
    """
    rows = candidates(surrogate, config, config.seed + 1, rounds=3) if pool is None else pool
    measured, number, size = surrogate.measured, len(config.domains), BEST if pool is None else 1
    here, found = matrix([best], config)[0], []
    for name in applicable(number, rows.shape[1]):
        fitted = [REGRESSORS[name](measured.x, loss, number) for loss in measured.losses.T]
        predicted = np.stack([predict(rows) for predict in fitted], 1) @ measured.weights
        place = matrix([point(best_row(predicted, rows, size), config)], config)[0]
        found.append((float(np.abs(place - here).sum()), name, place))
    distance, name, place = max(found, key=lambda each: each[0])
    if distance < AGREEMENT:
        others = np.abs(measured.x - here).sum(1) >= AGREEMENT
        name, place = "best measured", measured.x[np.argmin(np.where(others, measured.target, np.inf))]
    return name, point(place, config)
