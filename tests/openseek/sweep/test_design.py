import dataclasses

import numpy as np
import pytest

from openseek.sweep.config import FieldRange, SweepConfig
from openseek.sweep.design import dirichlet_rows, initial_points, sobol_rows
from openseek.sweep.space import matrix, natural, point, uniform, value_of, within_caps

CONFIG = SweepConfig(
    domains={"web": 8000, "code": 1500, "math": 400, "wiki": 100},
    fields={"lr": FieldRange(1e-4, 1e-2, "log"), "layers": FieldRange(2, 6, integer=True)},
    train_tokens=5000,
    max_epochs=5,
)
CAPS = np.array(list(CONFIG.caps.values()))


@pytest.mark.parametrize("rows", [dirichlet_rows(CONFIG, 500, np.random.default_rng(0)), sobol_rows(CONFIG, 500, 0)])
def test_points_keep_to_the_simplex_the_caps_and_the_ranges(rows: np.ndarray) -> None:
    assert rows.shape == (500, 6)
    assert rows[:, :4].sum(1) == pytest.approx(1)
    assert (rows[:, :4] <= CAPS + 1e-9).all() and (rows >= 0).all() and (rows[:, 4:] <= 1).all()
    assert rows[:, 0].std() > 0.1 and rows[:, 4].std() > 0.2


def test_dirichlet_draws_go_around_the_tempered_natural_mixture() -> None:
    free = dataclasses.replace(CONFIG, train_tokens=0, fields={})
    mean = dirichlet_rows(free, 20_000, np.random.default_rng(1)).mean(0)
    prior = np.sqrt([8000, 1500, 400, 100])
    assert mean == pytest.approx(prior / prior.sum(), abs=0.01)
    flat = dataclasses.replace(free, temperature=1e-6)
    assert dirichlet_rows(flat, 20_000, np.random.default_rng(1)).mean(0) == pytest.approx(0.25, abs=0.01)


def test_sobol_points_are_even_over_the_simplex() -> None:
    free = dataclasses.replace(CONFIG, train_tokens=0, fields={}, design="sobol")
    rows = sobol_rows(free, 1024, 0)
    assert rows.mean(0) == pytest.approx(0.25, abs=0.005)
    assert (rows[:, 0] < 1 - 0.5 ** (1 / 3)).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("design", ["dirichlet", "sobol"])
def test_first_points_are_distinct_but_for_the_repeats(design) -> None:
    config = dataclasses.replace(CONFIG, design=design, initial_runs=14)
    points = initial_points(config)
    assert [kind for kind, _ in points[:4]] == ["natural", "repeat", "repeat", "uniform"]
    assert len(points) == 14 and len({tuple(p.values()) for _, p in points}) == 12
    assert points == initial_points(config)
    assert points[0][1]["layers"] == 4 and points[0][1]["lr"] == pytest.approx(1e-3)


def test_equal_domains_have_one_reference() -> None:
    config = SweepConfig(domains={"a": 5, "b": 5})
    assert "uniform" not in {kind for kind, _ in initial_points(config)}


def test_uniform_under_caps_fills_small_domains_and_shares_the_rest() -> None:
    assert CAPS.tolist() == [1.0, 1.0, 0.4, 0.1]
    assert uniform(CONFIG)[:4].tolist() == pytest.approx([0.3, 0.3, 0.3, 0.1])
    assert natural(CONFIG)[:4].tolist() == pytest.approx([0.8, 0.15, 0.04, 0.01])


def test_shares_above_a_cap_go_to_the_others() -> None:
    caps = np.array([0.4, 0.5, 0.2, 0.1])
    assert within_caps(np.array([1.0, 0, 0, 0]), caps) == pytest.approx([0.4, 0.375, 0.15, 0.075])
    assert within_caps(np.array([0.6, 0.3, 0.1, 0]), caps).sum() == pytest.approx(1)
    assert within_caps(np.full(4, 0.25), np.full(4, 0.25)) == pytest.approx(np.full(4, 0.25))


def test_points_and_features_are_two_views_of_the_same() -> None:
    row = np.array([0.7, 0.19999, 0.1, 0.00001, 0.25, 0.5])
    there = point(row, CONFIG)
    assert there["wiki"] == 0 and sum(there[name] for name in CONFIG.domains) == pytest.approx(1, abs=1e-12)
    assert there["layers"] == 4
    back = matrix([there], CONFIG)[0]
    assert back == pytest.approx(row, abs=1e-4)
    assert value_of(1.0, CONFIG.fields["lr"]) == 0.01
