import numpy as np
import pytest

from openseek.sweep.choose import error, spearman
from openseek.sweep.mixing_law import fit_effective_data_law, fit_exponential_law

RANDOM = np.random.default_rng(0)
SHARES = RANDOM.dirichlet(np.full(5, 0.5), size=120)


def test_exponential_law_is_recovered_from_few_runs() -> None:
    losses = 1.7 + np.exp(SHARES @ np.array([-3.0, -1.0, 0.2, 0.1, -0.4]))
    law = fit_exponential_law(SHARES[:20], losses[:20], 5)
    assert error(law(SHARES[20:]), losses[20:]) < 0.005
    assert error(law(SHARES[20:]), losses[20:][::-1]) > 0.05


def test_effective_data_law_is_recovered_from_few_runs() -> None:
    losses = 1.2 + 0.8 * (SHARES @ np.array([1.0, 0.1, 0.02, 0.02, 0.005])) ** -0.3
    law = fit_effective_data_law(SHARES[:24], losses[:24], 5)
    assert spearman(law(SHARES[24:]), losses[24:]) > 0.99
    assert error(law(SHARES[24:]), losses[24:]) < 0.1 * losses.std()


def test_each_law_knows_its_own_curve_best() -> None:
    """Where a loss falls steeply as its domain enters, the exponential law cannot follow."""
    losses = 1.2 + 0.8 * (SHARES @ np.array([1.0, 0.1, 0.02, 0.02, 0.005])) ** -0.3
    wrong = fit_exponential_law(SHARES[:24], losses[:24], 5)
    right = fit_effective_data_law(SHARES[:24], losses[:24], 5)
    assert error(right(SHARES[24:]), losses[24:]) < 0.5 * error(wrong(SHARES[24:]), losses[24:])


@pytest.mark.parametrize("fit", [fit_exponential_law, fit_effective_data_law])
@pytest.mark.parametrize("losses", [np.full(20, 2.0), np.r_[np.full(19, 2.0), 9.0], np.linspace(-1, 1, 20)])
def test_constant_outlying_and_negative_losses_do_not_break_a_fit(fit, losses) -> None:
    law = fit(SHARES[:20], losses, 5)
    assert np.isfinite(law(SHARES)).all()


@pytest.mark.parametrize("fit", [fit_exponential_law, fit_effective_data_law])
def test_identical_mixtures_and_absent_domains_do_not_break_a_fit(fit) -> None:
    shares = np.repeat(SHARES[:4], 3, axis=0)
    shares[:, 4] = 0
    law = fit(shares, np.arange(12.0), 5)
    assert np.isfinite(law(np.eye(5))).all()
