from pathlib import Path

import numpy as np
import pytest

from benchmarks.mixtures_plots import plot_ranking, plot_regret, plot_scatter
from benchmarks.mixtures_regmix import load, mean_interval, recommended
from openseek.sweep.config import Result, Run, SweepConfig


def write(folder: Path) -> None:
    for name in ("train_mixture_1m", "test_mixture_1m", "test_mixture_60m"):
        (folder / f"{name}.csv").write_text("index,train_the_pile_a,train_the_pile_b\n1,0.5,0.499\n2,1,0\n")
    for name in ("train_pile_loss_1m", "test_pile_loss_1m", "test_pile_loss_60m"):
        (folder / f"{name}.csv").write_text("index,metric/the_pile_a_val_loss\n1,5.5\n2,4.5\n")


def test_tables_are_read_without_their_row_numbers_and_shares_sum_to_one(tmp_path: Path) -> None:
    write(tmp_path)
    domains, losses, train, test, small = load(tmp_path)
    assert (domains, losses) == (["a", "b"], ["a"])
    assert train.mixtures.sum(1) == pytest.approx(1) and train.mixtures[1].tolist() == [1, 0]
    assert test.losses.tolist() == small.losses.tolist() == [[5.5], [4.5]]


def test_absent_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs RegMix's released runs"):
        load(tmp_path / "none")


def test_interval_of_a_mean_is_students() -> None:
    low, high = mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)))


def test_a_measured_mixture_is_recommended_by_its_measurement() -> None:
    """A regressor may smooth over the best run; what was measured there stands."""
    shares = np.random.default_rng(0).dirichlet([1, 1], size=12)
    config = SweepConfig(domains={"a": 1, "b": 1})
    points = [dict(zip("ab", map(float, row), strict=True)) for row in shares]
    losses = [2.0 if place == 7 else 3.0 + 0.01 * place for place in range(12)]
    results = [Result(Run(str(n), "x", p, 0), {"pile_cc": losses[n]}) for n, p in enumerate(points)]
    assert recommended(config, results, shares) == 7


def test_pictures_are_the_same_bytes_for_the_same_numbers(tmp_path: Path) -> None:
    values = {"ours": {32: [0.9, 0.95], 128: [0.97, 0.99]}, "log_linear": {32: [0.8, 0.85], 128: [0.9, 0.91]}}
    regrets = {
        "sequential, best run": {8: [0.2, 0.3], 16: [0.0, 0.1]},
        "random, recommended": {8: [0.3, 0.3], 16: [0.2, 0.2]},
    }
    for folder in (tmp_path / "1", tmp_path / "2"):
        plot_ranking(values, folder / "a.svg")
        plot_scatter(np.arange(5.0), np.arange(5.0) ** 2, folder / "b.svg")
        plot_regret(regrets, folder / "c.svg")
    for name in "abc":
        first, second = ((tmp_path / n / f"{name}.svg").read_bytes() for n in "12")
        assert first == second and first.startswith(b"<?xml")
