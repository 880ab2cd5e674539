"""First runs of a sweep: references, repeats for the noise, and points spread over what is allowed."""

from collections.abc import Sequence

import numpy as np

from openseek.sweep.config import SweepConfig
from openseek.sweep.space import natural, point, rows_within_caps, uniform

Array = np.ndarray

STRENGTHS = (0.1, 5.0)
"""Least and greatest sum of the Dirichlet parameters, log-uniform between (RegMix)."""


def dirichlet_rows(config: SweepConfig, count: int, random: np.random.Generator) -> Array:
    """Shares from Dirichlet draws around the tempered natural mixture, moved under the caps; fields uniform."""
    prior = np.array(list(config.domains.values()), dtype=np.float64) ** config.temperature
    prior /= prior.sum()
    strengths = np.exp(random.uniform(*np.log(STRENGTHS), size=count))
    # A gamma of a tiny shape is 0 in floating point, and so may be all of a row: in logarithms none is.
    shapes = strengths[:, None] * prior
    logs = np.log(random.standard_gamma(shapes + 1)) + np.log(random.random(shapes.shape)) / shapes
    shares = np.exp(logs - logs.max(1, keepdims=True)) if len(prior) else np.empty((count, 0))
    shares = shares / shares.sum(1, keepdims=True) if len(prior) else shares
    return rows_within_caps(np.hstack([shares, random.random((count, len(config.fields)))]), config)


def sobol_rows(config: SweepConfig, count: int, seed: int | np.random.Generator) -> Array:
    """Scrambled Sobol points: spacings of exponentials make shares uniform on the simplex; fields as they are."""
    from scipy.stats import qmc

    number = len(config.domains)
    power = max(1, int(np.ceil(np.log2(count))))
    unit = qmc.Sobol(config.unknowns, rng=seed).random_base2(power)[:count]
    parts = -np.log(np.clip(unit[:, :number], 1e-12, 1 - 1e-12))
    shares = parts / parts.sum(1, keepdims=True) if number else parts
    return rows_within_caps(np.hstack([shares, unit[:, number:]]), config)


def initial_points(config: SweepConfig) -> list[tuple[str, dict[str, float]]]:
    """[(kind, point)] of the first design: the reference with its repeats, the uniform mixture, then spread points."""
    reference = "natural" if config.domains else "reference"
    points = [(reference, point(natural(config), config))]
    points += [("repeat", points[0][1])] * (config.repeats - 1)
    if config.domains and (even := point(uniform(config), config)) != points[0][1]:
        points.append(("uniform", even))
    missing = config.design_runs - len(points)
    # Draws may coincide once they are rounded, whole numbers above all: twice as many as needed, the first distinct.
    if config.design == "sobol" or not config.domains:
        rows = sobol_rows(config, 2 * missing, config.seed)
    else:
        rows = dirichlet_rows(config, 2 * missing, np.random.default_rng(config.seed))
    seen = [taken for _, taken in points]
    for row in rows:
        candidate = point(row, config)
        if len(points) < config.design_runs and candidate not in seen:
            points.append(("design", candidate))
            seen.append(candidate)
    return points


def pool_points(config: SweepConfig, pool: Sequence[dict[str, float]]) -> list[tuple[str, dict[str, float]]]:
    """[(kind, point)] of a first design out of points that may run: without repeats, since these would be the same."""
    order = np.random.default_rng(config.seed).permutation(len(pool))
    return [("design", pool[place]) for place in order[: config.design_runs]]
