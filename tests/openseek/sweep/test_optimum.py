import dataclasses
import math

import numpy as np
import pytest

from openseek.sweep.acquire import candidates, expected_improvement, propose
from openseek.sweep.config import Result, Run, SweepConfig
from openseek.sweep.design import dirichlet_rows
from openseek.sweep.optimum import boundary_of, find_optimum, find_rival, slopes_at
from openseek.sweep.space import point
from openseek.sweep.surrogate import Surrogate, fit, usable

CONFIG = SweepConfig(domains={"a": 60, "b": 30, "c": 10}, train_tokens=100, max_epochs=3, bootstraps=4)


def truth(shares: dict[str, float]) -> float:
    """Least at b = 0.5, as much of c as there may be."""
    return 2 + (shares["b"] - 0.5) ** 2 - 0.5 * shares["c"]


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    points = [point(row, CONFIG) for row in dirichlet_rows(CONFIG, 20, np.random.default_rng(0))]
    results = [Result(Run(str(n), "design", each, 0), {"loss": truth(each)}) for n, each in enumerate(points)]
    return fit(usable(results, CONFIG), CONFIG)


def test_expected_improvement_is_that_of_draws() -> None:
    draws = 1.0 + 0.5 * np.random.default_rng(0).standard_normal(400_000)
    drawn = np.maximum(0.8 - draws, 0).mean()
    assert expected_improvement(np.array([1.0]), np.array([0.5]), 0.8)[0] == pytest.approx(drawn, abs=2e-3)
    assert expected_improvement(np.array([1.0, 0.5]), np.zeros(2), 0.8) == pytest.approx([0, 0.3])


def test_candidates_keep_to_the_caps_and_gather_where_the_model_is_low(surrogate: Surrogate) -> None:
    rows = candidates(surrogate, CONFIG, seed=0)
    assert (rows <= np.array([1, 0.9, 0.3]) + 1e-9).all() and rows.sum(1) == pytest.approx(1)
    assert np.median(surrogate.mean(rows[-2000:])) < np.median(surrogate.mean(rows[:2000]))


def test_a_batch_spreads_and_takes_no_point_twice(surrogate: Surrogate) -> None:
    rows = candidates(surrogate, CONFIG, seed=0)
    places, gains = propose(surrogate, rows, 6)
    assert len({tuple(rows[place].round(4)) for place in places}) == 6
    known = {tuple(row.round(4)) for row in surrogate.measured.x}
    assert not known & {tuple(rows[place].round(4)) for place in places}
    assert gains[0] == max(gains) and min(gains) >= 0
    assert propose(surrogate, surrogate.measured.x, 3) == ([], [])


def test_optimum_is_found_and_its_boundary_said(surrogate: Surrogate) -> None:
    best = find_optimum(surrogate, CONFIG)
    assert truth(best.point) < truth({"a": 0.2, "b": 0.5, "c": 0.3}) + 0.02
    assert best.point["c"] > 0.28
    assert all(best.low[name] <= best.point[name] <= best.high[name] for name in best.point)
    assert best.slopes["c"] < 0
    assert find_optimum(surrogate, CONFIG) == best


def test_a_pool_gives_its_best_row(surrogate: Surrogate) -> None:
    pool = np.array([[0.9, 0.05, 0.05], [0.25, 0.5, 0.25], [0.2, 0.7, 0.1]])
    assert find_optimum(surrogate, CONFIG, pool).point == {"a": 0.25, "b": 0.5, "c": 0.25}


def test_boundaries_are_caps_and_absent_domains() -> None:
    found = boundary_of({"a": 0.7, "b": 0.0, "c": 0.3}, CONFIG)
    assert set(found) == {"b", "c"}
    assert "no share" in found["b"] and "at its cap 0.3000" in found["c"]
    assert boundary_of({"a": 0.4, "b": 0.4, "c": 0.2}, CONFIG) == {}


def test_rival_is_another_point(surrogate: Surrogate) -> None:
    best = find_optimum(surrogate, CONFIG).point
    who, rival = find_rival(surrogate, best, CONFIG)
    assert who in (*surrogate.chosen[0].scores, "best measured")
    assert sum(abs(rival[name] - best[name]) for name in best) > 0.01
    assert math.isclose(sum(rival.values()), 1)


def test_slopes_have_the_sign_and_size_of_the_truth(surrogate: Surrogate) -> None:
    slopes = slopes_at(surrogate, np.array([0.5, 0.3, 0.2]), CONFIG)
    # Moving 0.01 to c takes 0.00375 from b: -0.5 * 0.008 and (0.3 - 0.5) * 2 * -0.003
    assert slopes["c"] == pytest.approx(-0.5 * 0.008 + 0.4 * 0.003, abs=2.5e-3)
    assert slopes["c"] < slopes["a"]


def test_identical_mixtures_are_averaged_and_give_the_noise() -> None:
    points = [point(row, CONFIG) for row in dirichlet_rows(CONFIG, 6, np.random.default_rng(0))]
    results = [Result(Run(f"{n}-{k}", "x", p, k), {"loss": n + 0.1 * k}) for n, p in enumerate(points) for k in (0, 1)]
    measured = usable(results, CONFIG)
    assert measured.target == pytest.approx(np.arange(6) + 0.05)
    assert measured.noise == pytest.approx(0.1 / math.sqrt(2))
    assert usable(results[::2], CONFIG).noise is None


def test_targets_weigh_losses_and_others_do_not_count() -> None:
    config = dataclasses.replace(CONFIG, targets={"x": 3.0, "y": 1.0, "z": 0.0})
    points = [{"a": 0.9 - 0.1 * n, "b": 0.1, "c": 0.1 * n} for n in range(5)]
    results = [Result(Run(str(n), "x", p, 0), {"x": 1.0, "y": float(n), "z": math.nan}) for n, p in enumerate(points)]
    measured = usable(results, config)
    assert measured.names == ("x", "y")
    assert measured.target == pytest.approx(0.75 + 0.25 * np.arange(5))
