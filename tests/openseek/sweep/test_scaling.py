import math

import numpy as np
import pytest

from openseek.sweep.scaling import fit_compute_law, fit_law

COMPUTE = np.logspace(17, 21, 9)


def test_floor_and_exponent_are_recovered() -> None:
    law = fit_compute_law(COMPUTE, 1.7 + 40 * COMPUTE**-0.12)
    assert law.floor == pytest.approx(1.7, abs=0.02)
    assert law.exponents[0] == pytest.approx(0.12, abs=0.005)
    assert law(1e23) == pytest.approx(1.7 + 40 * 1e23**-0.12, abs=0.01)


def test_intervals_hold_the_truth_under_noise() -> None:
    inside = np.zeros(2)
    for seed in range(12):
        noise = np.exp(0.003 * np.random.default_rng(seed).standard_normal(9))
        law = fit_compute_law(COMPUTE, (1.7 + 40 * COMPUTE**-0.12) * noise, resamples=40)
        (low, high), span = law.exponent_intervals[0], law.interval(1e22)
        inside += [low <= 0.12 <= high, span[0] <= 1.7 + 40 * 1e22**-0.12 <= span[1]]
        assert span[0] < span[1]
    assert inside.min() >= 9


def test_parameters_and_tokens_have_exponents_of_their_own() -> None:
    sizes = np.array([(n, d) for n in np.logspace(7, 9, 4) for d in np.logspace(9, 11, 4)])
    losses = 1.69 + 406.4 * sizes[:, 0] ** -0.34 + 410.7 * sizes[:, 1] ** -0.28
    law = fit_law(sizes, losses, resamples=20)
    assert law.exponents == pytest.approx((0.34, 0.28), abs=0.02)
    assert law.floor == pytest.approx(1.69, abs=0.05)
    assert law([7e10, 1.4e12]) == pytest.approx(1.69 + 406.4 * 7e10**-0.34 + 410.7 * 1.4e12**-0.28, rel=0.02)


def test_an_outlier_and_a_failed_run_do_not_bend_the_law() -> None:
    losses = 1.7 + 40 * COMPUTE**-0.12
    losses[4] *= 1.1
    bent = fit_compute_law(np.r_[COMPUTE, 1e19], np.r_[losses, math.nan], resamples=20)
    assert bent(1e22) == pytest.approx(1.7 + 40 * 1e22**-0.12, rel=0.02)


@pytest.mark.parametrize(
    ("compute", "losses", "message"),
    [
        ([1e18, 1e19], [2.0, 1.9], "needs 3 different finished runs or more, 2 are there"),
        ([1e18, 1e19, 1e20], [2.0, 1.9, math.nan], "2 are there"),
        ([0.0, 1e19, 1e20], [2.0, 1.9, 1.8], "above 0"),
    ],
)
def test_mistakes_are_named(compute: list[float], losses: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_compute_law(compute, losses)
