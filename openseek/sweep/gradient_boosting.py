"""LightGBM with the settings of RegMix (Liu et al., arXiv:2407.01492), stopped early on runs of its own only.

RegMix's notebook takes the test runs to stop at; here a fifth of the runs given is held out for it.
"""

from collections.abc import Callable

import numpy as np

Array = np.ndarray

ROUNDS = 1000
PATIENCE = 3
HELD_OUT = 0.2
LEAF = 20
"""Least runs in a leaf: LightGBM's default, which RegMix keeps. Below 40 runs it allows no split at all."""

LEAST = 5
"""Fewer runs leave nothing to hold out: their mean is all that trees could tell."""


def fit_gradient_boosting(x: Array, y: Array, domains: int, leaf: int = 0) -> Callable[[Array], Array]:
    """Boosted trees on the features as they are.

    Args:
        x: Runs by features.
        y: Loss of each run.
        domains: Number of shares: trees need no other coordinates.
        leaf: Least runs in a leaf; 0: LightGBM's default, or an eighth of the runs where these are few.
    """
    if len(y) < LEAST:
        return lambda x: np.full(len(x), float(np.mean(y)))
    import lightgbm

    order = np.random.default_rng(42).permutation(len(y))
    held = order[: max(2, round(HELD_OUT * len(y)))]
    kept = order[len(held) :]
    settings = {
        "objective": "regression",
        "learning_rate": 1e-2,
        "seed": 42,
        "min_data_in_leaf": leaf or max(1, min(LEAF, len(y) // 8)),
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    training = lightgbm.Dataset(x[kept], y[kept], free_raw_data=False)
    booster = lightgbm.train(
        settings,
        training,
        ROUNDS,
        valid_sets=[lightgbm.Dataset(x[held], y[held], reference=training)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    return lambda x: np.asarray(booster.predict(x, num_threads=1))
