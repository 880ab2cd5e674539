from typing import Any

import pytest

from openseek.data.mixture import Mix, entries

TOKENS = {"web": 800, "code": 150, "math": 50, "none": 0}


def weights(config: Mix, tokens: dict[str, int] = TOKENS) -> dict[str, float]:
    return {e["source"]: round(e["weight"], 6) for e in entries(tokens, config)}


def test_without_weights_shares_are_those_of_the_tokens() -> None:
    assert weights(Mix()) == {"code": 0.15, "math": 0.05, "web": 0.8}
    assert all(e["epochs"] == 1 for e in entries(TOKENS, Mix()))


def test_temperature_lifts_small_sources() -> None:
    warm = weights(Mix(temperature=2))
    assert warm["math"] > 0.05
    assert warm["web"] < 0.8
    assert warm["math"] / warm["web"] == pytest.approx((50 / 800) ** 0.5, abs=1e-4)


def test_given_weights_are_normalised_and_make_epochs() -> None:
    config = Mix({"code": 3, "math": 1, "web": 0}, train_tokens=400)
    assert weights(config) == {"code": 0.75, "math": 0.25}
    assert [e["epochs"] for e in entries(TOKENS, config)] == [2, 2]
    assert [e["source"] for e in entries(TOKENS, Mix({"web": 1, "code": 1}))] == ["code", "web"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mix({"web": -1}), "gives 'web' the weight -1"),
        (lambda: Mix({"web": float("nan")}), "gives 'web' the weight nan"),
        (lambda: Mix({"web": 0}), "are all 0"),
        (lambda: Mix({"web": 1}, temperature=2), "leave one of the two out"),
        (lambda: Mix(temperature=0), "temperature is 0"),
        (lambda: Mix(train_tokens=-1), "train_tokens is -1"),
        (lambda: entries(TOKENS, Mix({"wiki": 1})), "names wiki, but the token shards have: code, math, none, web"),
        (lambda: entries(TOKENS, Mix({"none": 1})), "'none' a weight, but it has no tokens"),
        (lambda: entries({"none": 0}, Mix()), "hold no tokens"),
        (lambda: entries(TOKENS, Mix({"math": 1}, max_epochs=4)), "repeat 'math' 20.00 times, more than max_epochs 4"),
    ],
)
def test_mistakes_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
