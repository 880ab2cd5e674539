"""Histograms: every finite value in one bin that holds it, and parts that add up to the whole."""

import numpy as np
import pytest

from openseek.data.histogram import add, count, edges, is_share


@pytest.mark.parametrize(
    ("limit", "share"), [(0, True), (0.3, True), (0.001, False), (1, False), (50, False), (None, False), (-2.0, False)]
)
def test_shares_and_counts_are_told_apart_by_their_limit(limit: float | None, share: bool) -> None:
    assert is_share(limit) == share


@pytest.mark.parametrize("share", [True, False])
def test_a_value_is_in_the_bin_that_holds_it(share: bool) -> None:
    borders = edges(share)
    assert (np.diff(borders) > 0).all()
    values = np.random.default_rng(0).uniform(0, 1, 500) if share else np.arange(0, 3000)
    for value in values.tolist():
        (number,) = count(np.array([value]), share)
        assert borders[int(number)] <= value < borders[int(number) + 1]


def test_what_lies_beyond_is_in_the_last_bins_and_what_is_no_number_in_none() -> None:
    assert count(np.array([-1.0, 5.0, np.nan, np.inf]), True) == {"0": 1, "99": 1}
    assert count(np.array([1e30]), False) == {str(len(edges(False)) - 2): 1}


def test_parts_add_up_to_the_whole() -> None:
    values = np.random.default_rng(1).lognormal(5, 3, 1000)
    total = count(values[:300], False)
    add(total, count(values[300:], False))
    assert total == count(values, False)
    assert sum(total.values()) == 1000
