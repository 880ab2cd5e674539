import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.spatial.distance import cdist

from openseek.sweep import gaussian_process
from openseek.sweep.choose import error
from openseek.sweep.gaussian_process import fit_gaussian_process

RANDOM = np.random.default_rng(1)
SHARES = RANDOM.dirichlet(np.full(4, 0.7), size=160)
LOSSES = 2 - np.sqrt(SHARES[:, 0]) * 0.8 + 0.3 * SHARES[:, 1] ** 2


def test_gradient_of_the_likelihood_is_that_of_finite_differences() -> None:
    distances, z = cdist(SHARES[:15], SHARES[:15]), RANDOM.standard_normal(15)
    objective = gaussian_process._objective
    at = np.array([-0.5, 0.3, -2.0])
    assert check_grad(lambda p: objective(p, distances, z)[0], lambda p: objective(p, distances, z)[1], at) < 1e-4


def test_unseen_mixtures_are_predicted_within_the_stated_deviation() -> None:
    noisy = LOSSES + 0.01 * RANDOM.standard_normal(len(LOSSES))
    process = fit_gaussian_process(SHARES[:40], noisy[:40], 4)
    mean, deviation = process.predict(SHARES[40:])
    assert error(mean, LOSSES[40:]) < 0.3 * LOSSES.std()
    inside = np.abs(mean - LOSSES[40:]) < 1.96 * deviation
    assert 0.8 < inside.mean() <= 1
    assert process.noise == pytest.approx(0.01, abs=0.01)
    assert (process(SHARES[40:]) == mean).all()


def test_deviation_is_small_at_a_run_and_large_far_from_all() -> None:
    process = fit_gaussian_process(SHARES[:30], LOSSES[:30], 4)
    lone = np.array([[0.0, 0.0, 0.0, 1.0]])
    assert process.predict(SHARES[:1])[1][0] < 0.5 * process.predict(lone)[1][0]


def test_a_believed_run_shrinks_the_deviation_and_keeps_the_mean() -> None:
    process = fit_gaussian_process(SHARES[:30], LOSSES[:30], 4)
    lone = np.array([[0.0, 0.0, 0.0, 1.0]])
    sure = process.believing(lone)
    assert sure.predict(lone)[1][0] < 0.5 * process.predict(lone)[1][0]
    assert sure(SHARES[40:]) == pytest.approx(process(SHARES[40:]), abs=1e-6)


def test_leave_one_out_variance_is_that_of_processes_without_the_run() -> None:
    process = fit_gaussian_process(SHARES[:12], LOSSES[:12], 4)
    covariance = process.factor @ process.factor.T
    kept = np.arange(12) != 5
    alone = covariance[5, 5] - covariance[5, kept] @ np.linalg.solve(covariance[kept][:, kept], covariance[kept, 5])
    assert process.leave_one_out_variance[5] == pytest.approx(process.scale**2 * alone)


def test_constant_losses_and_equal_points_do_not_break_a_fit() -> None:
    assert fit_gaussian_process(SHARES[:10], np.full(10, 3.0), 4)(SHARES[10:12]) == pytest.approx(3.0)
    same = fit_gaussian_process(np.repeat(SHARES[:3], 4, axis=0), np.repeat(LOSSES[:3], 4), 4)
    assert np.isfinite(same(SHARES)).all()
