import math

import numpy as np
import pytest

from openseek.sweep.verdict import Checked, Noise, ablate, judge, paired, welch

BEST = Checked(2.00, 0.01, (2.003, 1.999))
NATURAL = Checked(2.20, 0.01, (2.199, 2.204))
RIVAL = Checked(2.05, 0.01, (2.04, 2.05))


def test_welch_interval_holds_the_truth_as_often_as_it_says() -> None:
    random, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        span = welch(random.normal(0, 1, 4), random.normal(0.5, 2, 6))
        inside += span.low <= 0.5 <= span.high
    assert 0.93 < inside / 1000 < 0.98


def test_an_interval_from_a_known_noise_holds_the_truth_as_often_as_it_says() -> None:
    random, inside = np.random.default_rng(1), 0
    for _ in range(1000):
        known = Noise(float(random.normal(0, 1, 4).std(ddof=1)), 3)
        a, b = random.normal(0, 1, 2), random.normal(0.5, 1, 2)
        span = known.pooled(a, b).difference(a, b)
        inside += span.low <= 0.5 <= span.high
    assert 0.93 < inside / 1000 < 0.97


def test_seeds_that_happen_to_agree_do_not_make_a_narrow_interval() -> None:
    noise = Noise(0.01, 3)
    assert noise.pooled([1.0, 1.0], [1.001, 1.001]).difference([1.0, 1.0], [1.001, 1.001]).low < 0
    assert welch([1.0, 1.0], [1.001, 1.001]).low > 0
    assert noise.difference([1.0], [1.1]).low > 0
    with pytest.raises(ValueError, match="two seeds or more"):
        welch([1.0], [1.1])


def test_pairing_leaves_out_what_the_seeds_share() -> None:
    shared = np.random.default_rng(0).normal(0, 1, 6)
    a, b = shared, shared + 0.1 + 0.01 * np.arange(6)
    assert paired(a, b).low > 0 > welch(a, b).low


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ({0: 2.1, 1: 2.2, 2: 2.3}, "A better"),
        ({0: 1.9, 1: 2.0, 2: 2.1}, "B better"),
        ({0: 2.01, 1: 2.08, 2: 2.21}, "no difference seen"),
    ],
)
def test_ablation_names_the_better_recipe(second: dict[int, float], verdict: str) -> None:
    difference, found = ablate({0: 2.0, 1: 2.1, 2: 2.2}, {k: v + 0.001 * k for k, v in second.items()})
    assert found.verdict == verdict
    assert "95 % interval" in found.reasons[0] and difference.method == "paired"


def test_ablation_without_shared_seeds_is_welch_and_tells_failed_runs() -> None:
    difference, found = ablate({0: 2.0, 1: 2.1, 7: math.nan}, {4: 2.5, 5: 2.55})
    assert difference.method == "welch" and found.reasons[1] == "1 runs failed and are left out"
    with pytest.raises(ValueError, match="finite losses"):
        ablate({0: math.nan}, {0: 1.0, 1: 2.0})


def test_a_prediction_that_comes_true_is_trusted() -> None:
    found = judge({"optimum": BEST, "natural": NATURAL, "rival": RIVAL}, Noise(0.004, 3), 0.9)
    assert found.verdict == "trust"
    assert any("natural minus optimum +0.2" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("points", "correlation", "reason"),
    [
        ({"optimum": Checked(2.0, 0.01, (2.1, 2.11)), "natural": NATURAL}, 0.9, "outside the interval"),
        ({"optimum": BEST, "natural": Checked(2.01, 0.01, (2.0, 2.004))}, 0.9, "no better beyond the noise"),
        ({"optimum": BEST, "natural": NATURAL, "rival": Checked(2.0, 0.1, (1.9, 1.91))}, 0.9, "rival.*is better than"),
        ({"optimum": BEST, "natural": NATURAL}, 0.2, "have not seen at 0.20"),
        ({"natural": NATURAL}, 0.9, "no run of the optimum finished"),
    ],
)
def test_what_is_doubted_is_said(points: dict[str, Checked], correlation: float, reason: str) -> None:
    import re

    found = judge(points, Noise(0.004, 3), correlation)
    assert found.verdict == "doubt"
    assert any(re.search(reason, each) for each in found.reasons), found.reasons
