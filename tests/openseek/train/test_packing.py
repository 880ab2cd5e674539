import random

import pytest

from openseek.train.packing import best_fit


@pytest.mark.parametrize("seed", range(3))
def test_every_row_is_packed_once_and_skewed_lengths_leave_little_room(seed: int) -> None:
    generator = random.Random(seed)
    lengths = [min(512, int(generator.paretovariate(1.1) * 12)) for _ in range(3000)]
    bins = best_fit(lengths, 512)
    assert sorted(i for row in bins for i in row) == list(range(3000))
    assert all(sum(lengths[i] for i in row) <= 512 for row in bins)
    assert sum(lengths) / (512 * len(bins)) >= 0.99
    assert bins == best_fit(lengths, 512)


def test_a_row_that_cannot_fit_is_named() -> None:
    with pytest.raises(ValueError, match="row 1 has 9 tokens"):
        best_fit([3, 9], 8)
    assert best_fit([], 8) == []
