"""Caps on epochs, by properties that an optimum has and by a general solver, and UniMax by its authors' loop."""

import math
import random

import pytest

from openseek.data.mixture_methods import NoRoom, by_temperature, seen, unimax, weight_caps, within_caps

TOKENS = {"web": 800, "code": 150, "math": 50, "none": 0}


def test_seen_tells_epochs_and_what_lies_beyond_the_caps() -> None:
    found = seen({"web": 0.5, "math": 0.5, "none": 0.0}, TOKENS, 400, 3)
    assert found.tokens == {"web": 200, "math": 200}
    assert found.epochs == {"web": 0.25, "math": 4}
    assert found.beyond == {"math": 50}
    assert not seen({"web": 0.5, "math": 0.5}, TOKENS, 400, {"math": 4}).beyond
    with pytest.raises(ValueError, match="gives 'none' a weight, but it has no tokens"):
        seen({"none": 1.0}, TOKENS, 400)


def test_weight_caps_are_the_weights_at_which_the_epochs_are_reached() -> None:
    caps = weight_caps(TOKENS, 1000, 2)
    assert caps == {"web": 1.0, "code": 0.3, "math": 0.1, "none": 0.0}
    for source in ("code", "math"):
        assert seen({source: caps[source]}, TOKENS, 1000).epochs[source] == pytest.approx(2)
    assert weight_caps(TOKENS, 1000, 0)["math"] == 1
    with pytest.raises(ValueError, match="are 1,000 tokens, 500 fewer than the 1,500 that training needs"):
        weight_caps(TOKENS, 1500, 1)
    with pytest.raises(ValueError, match="train_tokens is 0"):
        weight_caps(TOKENS, 0, 1)


def test_temperature_lifts_small_sources_and_passes_over_empty_ones() -> None:
    assert by_temperature(TOKENS, 1) == {"web": 0.8, "code": 0.15, "math": 0.05}
    warm = by_temperature(TOKENS, 2)
    assert warm["math"] / warm["web"] == pytest.approx((50 / 800) ** 0.5)
    assert sum(warm.values()) == pytest.approx(1)


def paper_unimax(
    tokens: dict[str, int], budget: float, max_epochs: float, largest_first: bool = False
) -> dict[str, float]:
    """The loop of the paper, in tokens: from the smallest source on, an equal part of what is left, or all it may."""
    left, given = budget, {}
    for index, name in enumerate(sorted(tokens, key=lambda name: tokens[name], reverse=largest_first)):
        even = left / (len(tokens) - index)
        given[name] = max_epochs * tokens[name] if even > max_epochs * tokens[name] else even
        left -= given[name]
    return {name: value / sum(given.values()) for name, value in given.items()}


def test_unimax_is_that_of_the_paper() -> None:
    draw = random.Random(0)
    wrong_order = 0
    for _ in range(200):
        tokens = {f"s{i}": draw.randint(1, 10**6) for i in range(draw.randint(1, 9))}
        budget = draw.uniform(0.1, 0.99) * 4 * sum(tokens.values())
        ours = unimax(tokens, budget, weight_caps(tokens, budget, 4))
        theirs = paper_unimax(tokens, budget, 4)
        assert ours == pytest.approx(theirs)
        wrong_order += ours != pytest.approx(paper_unimax(tokens, budget, 4, largest_first=True))
    # The same loop in the wrong order must differ, or the caps were never met and the test says nothing.
    assert wrong_order > 100
    assert unimax({"a": 10, "b": 1000}, 100, {"a": 0.2, "b": 1}) == pytest.approx({"a": 0.2, "b": 0.8})
    with pytest.raises(ValueError, match="50 fewer than the 100"):
        unimax({"a": 10, "b": 15}, 100, {"a": 0.2, "b": 0.3})


def test_one_stage_keeps_the_caps_and_the_proportions_of_the_rest() -> None:
    given = {"a": 0.6, "b": 0.3, "c": 0.1}
    (got,) = within_caps([given], [1.0], {"a": 0.2, "b": 1, "c": 1})
    assert got == pytest.approx({"a": 0.2, "b": 0.6, "c": 0.2})
    # What a gives away lifts b above its own cap.
    (got,) = within_caps([given], [1.0], {"a": 0.2, "b": 0.5, "c": 1})
    assert got == pytest.approx({"a": 0.2, "b": 0.5, "c": 0.3})
    (got,) = within_caps([given], [1.0], {"a": 0.2, "b": 0.5, "c": 0.3})
    assert got == pytest.approx({"a": 0.2, "b": 0.5, "c": 0.3})


def divergence(stages: list[dict[str, float]], given: list[dict[str, float]], shares: list[float]) -> float:
    return sum(
        share * weight * math.log(weight / before[name])
        for share, after, before in zip(shares, stages, given, strict=True)
        for name, weight in after.items()
        if weight > 0
    )


def test_caps_hold_over_all_stages_and_change_the_weights_least() -> None:
    given = [{"web": 0.7, "math": 0.3}, {"web": 0.2, "math": 0.5, "code": 0.3}]
    shares, caps = [0.8, 0.2], {"web": 1.0, "math": 0.2, "code": 0.5}
    got = within_caps(given, shares, caps)
    for weights in got:
        assert sum(weights.values()) == pytest.approx(1, abs=1e-9)
    drawn = sum(share * weights["math"] for share, weights in zip(shares, got, strict=True))
    assert drawn == pytest.approx(0.2, rel=2e-6)
    assert "code" not in got[0]
    # Moving math from one stage to the other keeps the caps, and must not come closer to what was asked for.
    best = divergence(got, given, shares)
    for step in (-0.02, 0.02):
        moved = [dict(weights) for weights in got]
        moved[0]["math"] += step
        moved[0]["web"] -= step
        moved[1]["math"] -= step * 4
        total = moved[1]["web"] + moved[1]["code"]
        for name in ("web", "code"):
            moved[1][name] += step * 4 * got[1][name] / total
        assert divergence(moved, given, shares) > best + 1e-6
    # Scaling math down by one factor in both stages, the simple way out, is farther away as well.
    factor = 0.2 / (0.8 * 0.3 + 0.2 * 0.5)
    simple = []
    for weights in given:
        rest = 1 - weights["math"]
        left = (1 - weights["math"] * factor) / rest
        simple.append({n: w * (factor if n == "math" else left) for n, w in weights.items()})
    assert divergence(simple, given, shares) > best


def test_a_stage_that_only_the_capped_source_can_fill_keeps_it() -> None:
    given = [{"a": 0.5, "b": 0.5}, {"a": 1.0}]
    got = within_caps(given, [0.8, 0.2], {"a": 0.3, "b": 1.0})
    assert got[1] == pytest.approx({"a": 1})
    assert got[0]["a"] == pytest.approx(0.1 / 0.8, abs=1e-5)


def test_caps_without_room_are_told_with_the_stages() -> None:
    with pytest.raises(NoRoom) as told:
        within_caps([{"a": 0.5, "b": 0.5}, {"a": 1.0}], [0.8, 0.2], {"a": 0.1, "b": 1.0})
    assert (told.value.stages, told.value.need, told.value.room) == ((1,), 0.2, 0.1)
    with pytest.raises(NoRoom, match="leave 0.5000 of training where 1.0000 is needed"):
        within_caps([{"a": 0.5, "b": 0.5}], [1.0], {"a": 0.2, "b": 0.3})


def test_any_feasible_caps_over_stages_are_met() -> None:
    draw = random.Random(1)
    met = 0
    for _ in range(60):
        names = [f"s{i}" for i in range(draw.randint(2, 6))]
        given = []
        for _ in range(draw.randint(1, 3)):
            raw = {name: draw.random() for name in names if draw.random() < 0.8} or {names[0]: 1.0}
            given.append({name: value / sum(raw.values()) for name, value in raw.items()})
        shares = [1 / len(given)] * len(given)
        caps = {name: draw.uniform(0.05, 0.8) for name in names}
        try:
            got = within_caps(given, shares, caps)
        except NoRoom:
            continue
        met += 1
        for name in names:
            drawn = sum(share * weights.get(name, 0.0) for share, weights in zip(shares, got, strict=True))
            assert drawn <= caps[name] * (1 + 2e-6)
    assert met > 20
