import numpy as np
import pytest

from openseek.sweep import choose as chooser
from openseek.sweep.choose import applicable, choose, error, folds_of, spearman
from openseek.sweep.gradient_boosting import fit_gradient_boosting
from openseek.sweep.log_linear import LEAST_SHARE, fit_log_linear

RANDOM = np.random.default_rng(2)
SHARES = RANDOM.dirichlet(np.full(4, 0.7), size=120)
LOSSES = 1.2 + 0.8 * (SHARES @ np.array([1.0, 0.1, 0.05, 0.02])) ** -0.3


def test_log_linear_recovers_a_log_linear_loss() -> None:
    losses = 3 - 0.2 * np.log(SHARES[:, 0] + LEAST_SHARE) + 0.5 * SHARES[:, 1]
    predict = fit_log_linear(SHARES[:30], losses[:30], 4)
    assert error(predict(SHARES[30:]), losses[30:]) < 0.02


def test_log_linear_sees_the_middle_of_a_field() -> None:
    places = np.linspace(0, 1, 15)[:, None]
    predict = fit_log_linear(places, (places[:, 0] - 0.3) ** 2, 0)
    assert 0.25 < np.linspace(0, 1, 101)[predict(np.linspace(0, 1, 101)[:, None]).argmin()] < 0.35


def test_boosting_gives_the_same_trees_twice_and_learns_from_few_runs() -> None:
    first, again = (fit_gradient_boosting(SHARES[:32], LOSSES[:32], 4)(SHARES) for _ in range(2))
    assert (first == again).all()
    assert spearman(first[32:], LOSSES[32:]) > 0.5


def test_regmix_own_leaf_size_learns_nothing_from_32_runs() -> None:
    assert np.ptp(fit_gradient_boosting(SHARES[:32], LOSSES[:32], 4, leaf=20)(SHARES)) == 0
    assert spearman(np.zeros(5), np.arange(5.0)) == 0


def test_weights_follow_the_errors_over_the_folds() -> None:
    chosen = choose(SHARES[:30], LOSSES[:30], 4)
    errors = {name: rmse for name, (rmse, _) in chosen.scores.items()}
    assert sum(chosen.weights.values()) == pytest.approx(1)
    assert max(chosen.weights, key=lambda name: chosen.weights[name]) == min(errors, key=lambda name: errors[name])
    assert all(errors[name] > 2.9 * min(errors.values()) for name in set(errors) - set(chosen.weights))
    assert spearman(chosen(SHARES[30:]), LOSSES[30:]) > 0.95
    again = choose(SHARES[:30], LOSSES[:30], 4)
    assert again.weights == chosen.weights and (again(SHARES) == chosen(SHARES)).all()


def test_a_regressor_that_only_remembers_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deliberate bug: it is exact on what it was fitted on, and wrong elsewhere."""

    def remember(x: np.ndarray, y: np.ndarray, domains: int):
        known = {tuple(row): value for row, value in zip(x, y, strict=True)}
        return lambda rows: np.array([known.get(tuple(row), 0.0) for row in rows])

    monkeypatch.setitem(chooser.REGRESSORS, "memory", remember)
    chosen = choose(SHARES[:30], LOSSES[:30], 4)
    assert chosen.scores["memory"][0] > 1
    assert "memory" not in chosen.weights


def test_folds_are_even_and_the_same_for_a_seed() -> None:
    folds = folds_of(23, 5, seed=4)
    assert sorted(np.bincount(folds).tolist()) == [4, 4, 5, 5, 5]
    assert (folds == folds_of(23, 5, seed=4)).all()
    assert len(np.unique(folds_of(3, 5, seed=0))) == 3


def test_laws_of_shares_are_left_out_where_fields_vary() -> None:
    assert "exponential_law" in applicable(4, 4)
    assert applicable(4, 5) == applicable(0, 2) == ("gaussian_process", "log_linear", "gradient_boosting")
