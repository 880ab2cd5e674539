import math
import random

import pytest

from openseek.rl.heldout import paired_difference, student_quantile


@pytest.mark.parametrize("degrees, exact", [(5, 2.5706), (10, 2.2281), (30, 2.0423), (1000, 1.9623)])
def test_student_quantile(degrees: int, exact: float) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(exact, abs=0.01)


def test_the_interval_covers_the_truth_at_its_stated_rate() -> None:
    generator = random.Random(0)
    covered = 0
    for _ in range(400):
        before = [generator.gauss(0, 1) for _ in range(20)]
        after = [b + generator.gauss(0.3, 0.5) for b in before]
        difference = paired_difference(before, after)
        covered += difference.low <= 0.3 <= difference.high
    assert 0.92 <= covered / 400 <= 0.98


def test_one_item_gives_no_finite_interval_and_unequal_items_are_refused() -> None:
    assert math.isinf(paired_difference([0.0], [1.0]).low)
    with pytest.raises(ValueError, match="same items"):
        paired_difference([0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="not finite"):
        paired_difference([0.0, math.nan], [1.0, 2.0])
