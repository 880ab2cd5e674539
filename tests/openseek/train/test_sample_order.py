"""Which source a sample takes: in proportion, whatever the stretch that is asked for, over all stages."""

import numpy as np
import pytest

from openseek.train.sample_order import SampleOrder, Stage, interleave, read_stages

WEIGHTS = [0.7, 0.0, 0.2, 0.1]


def test_sources_come_in_proportion_at_every_moment():
    source, number = interleave(WEIGHTS, 0, 1000)
    assert np.bincount(source, minlength=4).tolist() == [700, 0, 200, 100]
    for index, weight in enumerate(WEIGHTS):
        assert np.abs(np.cumsum(source == index) - weight * np.arange(1, 1001)).max() < 2
        assert number[source == index].tolist() == list(range((source == index).sum()))


@pytest.mark.parametrize("weights", [WEIGHTS, [1 / 3, 1 / 3, 1 / 3], [1.0], [0.5, 0.5], [1e-4, 1 - 1e-4]])
def test_any_stretch_is_the_same_as_in_the_whole(weights):
    whole = interleave(weights, 0, 5000)
    for first, count in ((0, 1), (1, 7), (777, 3000), (4999, 1)):
        part = interleave(weights, first, count)
        assert np.array_equal(part[0], whole[0][first : first + count])
        assert np.array_equal(part[1], whole[1][first : first + count])


def test_a_far_stretch_follows_on_the_one_before_it():
    """Ten billion samples on, without an array of them: each source goes on by one."""
    far = 10_000_000_019
    before, after = interleave(WEIGHTS, far - 500, 500), interleave(WEIGHTS, far, 500)
    together = interleave(WEIGHTS, far - 500, 1000)
    assert np.array_equal(np.concatenate([before[1], after[1]]), together[1])
    for index in (0, 2, 3):
        numbers = together[1][together[0] == index]
        assert (np.diff(numbers) == 1).all()
        assert abs(numbers[0] - WEIGHTS[index] * far) < 500


def stages() -> list[Stage]:
    return [
        Stage("start", 0.5, (0.9, 0.1, 0.0)),
        Stage("middle", 0.3, (0.5, 0.4, 0.1)),
        Stage("end", 0.2, (0.0, 0.2, 0.8)),
    ]


def test_stages_have_their_share_and_a_source_goes_on_from_one_to_the_next():
    order = SampleOrder(stages(), 10_000)
    source, number = order(0, 10_000)
    counts = [np.bincount(source[a:b], minlength=3).tolist() for a, b in ((0, 5000), (5000, 8000), (8000, 10_000))]
    assert counts == [[4500, 500, 0], [1500, 1200, 300], [0, 400, 1600]]
    assert order.totals.tolist() == np.sum(counts, axis=0).tolist()
    for index in range(3):
        assert number[source == index].tolist() == list(range(order.totals[index]))
    again = SampleOrder(stages(), 10_000)
    for first, count in ((4090, 20), (4999, 2), (7990, 2000)):
        part = again(first, count)
        assert np.array_equal(part[0], source[first : first + count])
        assert np.array_equal(part[1], number[first : first + count])


def test_a_stage_that_forgets_what_was_read_would_be_noticed():
    """A deliberate bug: numbers that start anew in each stage repeat samples."""
    order = SampleOrder(stages(), 10_000)
    order._had = [np.zeros(3, np.int64)] * 3
    source, number = order(0, 10_000)
    assert number[source == 0].tolist() != list(range(6000))


def test_a_mixture_without_stages_has_one_and_wrong_ones_are_named():
    entries = [{"weight": 0.75}, {"weight": 0.25}]
    assert read_stages({"entries": entries}) == (Stage("all", 1.0, (0.75, 0.25)),)
    given = [{"name": "one", "share": 0.6, "weights": [1, 0]}, {"name": "two", "share": 0.4, "weights": [0.5, 0.5]}]
    assert read_stages({"entries": entries, "stages": given})[1] == Stage("two", 0.4, (0.5, 0.5))
    wrong = [
        ([given[0]], "do not sum to one"),
        ([{**given[0], "weights": [1]}, given[1]], "'one' of the mixture has 1 weights for 2 entries"),
        ([{**given[0], "weights": [0.5, 0.4]}, given[1]], "'one' .* weights not negative and sum to one"),
        ([{**given[0], "weights": [1.5, -0.5]}, given[1]], "weights not negative"),
        ([{**given[0], "share": 0.0}, given[1]], "a share must be positive"),
    ]
    for value, match in wrong:
        with pytest.raises(ValueError, match=match):
            read_stages({"entries": entries, "stages": value})
    with pytest.raises(ValueError, match="positive sum"):
        read_stages({"entries": [{"weight": 0.0}]})
