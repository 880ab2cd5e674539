"""Which points to run next: greedy expected improvement over candidates that the caps allow."""

import numpy as np
from scipy.stats import norm

from openseek.sweep.config import SweepConfig
from openseek.sweep.design import dirichlet_rows, sobol_rows
from openseek.sweep.space import rows_within_caps
from openseek.sweep.surrogate import Surrogate

Array = np.ndarray

CANDIDATES = 2000
GOOD = 16
"""Best candidates that are mixed with others for the next round of candidates."""


def candidates(surrogate: Surrogate, config: SweepConfig, seed: int, rounds: int = 2) -> Array:
    """Rows of features to choose among: draws of the design, then mixtures of good rows with draws, round by round."""
    random, number = np.random.default_rng(seed), len(config.domains)
    rows = np.vstack([surrogate.measured.x, _draws(config, CANDIDATES, random)])
    for _ in range(rounds):
        good = rows[np.argsort(surrogate.mean(rows), kind="stable")[:GOOD]]
        parents = good[random.integers(len(good), size=CANDIDATES)]
        part = random.random((CANDIDATES, 1)) ** 2
        children = (1 - part) * parents + part * _draws(config, CANDIDATES, random)
        children[:, number:] = parents[:, number:] + 0.3 * part * random.standard_normal(children[:, number:].shape)
        rows = np.vstack([rows, rows_within_caps(children, config)])
    return rows


def _draws(config: SweepConfig, count: int, random: np.random.Generator) -> Array:
    return dirichlet_rows(config, count, random) if config.domains else sobol_rows(config, count, random)


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Expected amount by which each normal variable falls below `best`."""
    deviation = np.maximum(deviation, 1e-12)
    z = (best - mean) / deviation
    return (best - mean) * norm.cdf(z) + deviation * norm.pdf(z)


def propose(surrogate: Surrogate, rows: Array, count: int) -> tuple[list[int], list[float]]:
    """(places in `rows`, expected improvement of each) of the next runs, chosen one after the other.

    Each choice counts on the predicted result of those before it, which widens the search without a constant to set.
    Measured points are no choices: another seed at one of them would improve nothing. Fewer than `count` rows are
    chosen when no others are left.
    """
    process, mean = surrogate.process, surrogate.mean(rows)
    best = float(surrogate.mean(surrogate.measured.x).min())
    known = {tuple(np.round(row, 4)) for row in surrogate.measured.x}
    free = np.array([tuple(np.round(row, 4)) not in known for row in rows])
    places, gains = [], []
    for _ in range(min(count, int(free.sum()))):
        gain = expected_improvement(mean, surrogate.calibration * process.predict(rows)[1], best)
        place = int(np.argmax(np.where(free, gain, -1.0)))
        places.append(place)
        gains.append(float(gain[place]))
        process, best = process.believing(rows[[place]]), min(best, float(mean[place]))
        free &= np.abs(rows - rows[place]).max(1) > 5e-5
    return places, gains
