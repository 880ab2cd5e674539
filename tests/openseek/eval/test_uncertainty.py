import math

import numpy as np
import pytest

from openseek.eval.uncertainty import compare, holm, mean_estimate, ratio_estimate, signal_to_noise


@pytest.mark.parametrize("share, n", [(0.25, 100), (0.9, 30), (0.02, 60)])
def test_intervals_of_accuracies_cover_the_truth(share: float, n: int) -> None:
    generator = np.random.default_rng(0)
    runs = [mean_estimate((generator.random(n) < share).astype(float).tolist()) for _ in range(400)]
    covered = np.mean([run.low <= share <= run.high for run in runs])
    assert 0.92 <= covered <= 0.99


def test_all_wrong_still_has_an_interval() -> None:
    estimate = mean_estimate([0.0] * 20)
    assert estimate.low == 0
    assert 0.1 < estimate.high < 0.25
    assert estimate.at_chance(0.1)
    assert not estimate.at_chance(0.25)
    assert not estimate.at_chance(None)


def test_clusters_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    passages = generator.normal(size=50).repeat(8)
    names = [str(i) for i in np.arange(50).repeat(8)]
    assert mean_estimate(passages.tolist(), names).stderr == pytest.approx(
        mean_estimate(passages[::8].tolist()).stderr, rel=1e-6
    )
    assert mean_estimate(passages.tolist()).stderr < 0.5 * mean_estimate(passages.tolist(), names).stderr


def test_a_ratio_is_of_sums_and_its_bootstrap_covers() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for run in range(100):
        lengths = generator.integers(10, 200, size=60).astype(float)
        bits = lengths * (2.0 + 0.5 * generator.normal(size=60))
        estimate = ratio_estimate(bits.tolist(), lengths.tolist(), resamples=500, seed=run)
        assert estimate.value == pytest.approx(bits.sum() / lengths.sum())
        covered += estimate.low <= 2.0 <= estimate.high
    assert covered >= 88


def test_pairing_finds_what_unpaired_intervals_hide() -> None:
    generator = np.random.default_rng(0)
    difficulty = generator.normal(size=300)
    first = {str(i): float(d) for i, d in enumerate(difficulty)}
    second = {str(i): float(d + 0.1 + 0.3 * generator.normal()) for i, d in enumerate(difficulty)}
    comparison = compare(first, second)
    assert comparison.verdict == "better"
    assert comparison.p_value < 0.001
    assert mean_estimate(list(first.values())).high > mean_estimate(list(second.values())).low
    same = compare(first, {k: v + 0.3 * generator.normal() for k, v in first.items()})
    assert same.verdict == "no significant difference"
    with pytest.raises(ValueError, match="in one run only"):
        compare(first, {**second, "another": 1.0})


def test_holm_multiplies_the_smallest_by_the_number_of_tests() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_signal_to_noise_ranks_a_steady_benchmark_above_a_jumpy_one() -> None:
    finals = [0.3, 0.4, 0.5]
    steady = signal_to_noise(finals, [[f, f + 0.001, f - 0.001] for f in finals])
    jumpy = signal_to_noise(finals, [[f, f + 0.1, f - 0.1] for f in finals])
    assert steady > 10 > jumpy


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [math.inf]])
def test_nothing_or_nan_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError):
        mean_estimate(values)
