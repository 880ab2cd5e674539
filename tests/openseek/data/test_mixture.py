from typing import Any

import pytest

from openseek.data.mixture import Mix, Quality, Stage, normalised


def test_weights_of_a_sum_of_one_or_a_hundred_are_taken_with_published_rounding() -> None:
    for weights in ({"a": 0.4, "b": 0.6}, {"a": 40, "b": 59.99}, {"a": 0.4, "b": 0.5991}):
        assert Mix(weights).weights == weights
    with pytest.raises(ValueError, match="sum to 99.8, which is neither 1 nor 100 within 0.1%"):
        Mix({"a": 40, "b": 59.8})
    assert Mix({"a": 40, "b": 59.8}, relative=True).weights["a"] == 40


def test_normalised_weights_sum_to_one_and_leave_zeros_out() -> None:
    assert normalised({"a": 3, "b": 1, "c": 0}) == {"a": 0.75, "b": 0.25}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mix({"web": -1}), "gives 'web' the weight -1"),
        (lambda: Mix({"web": float("nan")}), "gives 'web' the weight nan"),
        (lambda: Mix({"web": float("inf")}), "gives 'web' the weight inf"),
        (lambda: Mix({"web": 0}), "are all 0"),
        (lambda: Mix({"web": 3, "code": 1}), "mix.weights sum to 4, which is neither 1 nor 100"),
        (lambda: Mix({"web": 1}, temperature=2), "leave one of them out"),
        (lambda: Mix({"web": 1}, method="unimax"), "leave one of them out"),
        (lambda: Mix(temperature=0), "temperature is 0"),
        (lambda: Mix(method="unimax", temperature=2), "means nothing to method unimax"),
        (lambda: Mix(train_tokens=-1), "train_tokens is -1"),
        (lambda: Mix(max_epochs=float("nan")), "max_epochs is nan"),
        (lambda: Mix(source_max_epochs={"web": 0}), "source_max_epochs gives 'web' 0"),
        (lambda: Mix(sources={"web": ()}), "gives 'web' no token source"),
        (lambda: Stage("", 1), "name is empty"),
        (lambda: Stage("main", 0), "share of 'main' is 0"),
        (lambda: Mix(stages=(Stage("a", 0.5), Stage("a", 0.5))), "names 'a' twice"),
        (lambda: Mix(stages=(Stage("a", 0.5), Stage("b", 0.6))), "sum to 1.1"),
        (lambda: Mix(stages=(Stage("a", 1, {"web": 2}),)), "weights of the stage 'a' sum to 2"),
        (lambda: Mix(stages=tuple(Stage(str(i), 0.05) for i in range(20))), "are 20: give at most 12"),
        (lambda: Quality(power=-1), "power is -1"),
        (lambda: Quality(leave_out_below=1), "leave_out_below is 1"),
        (lambda: Quality(ratios={"high": -1}), "gives 'high' -1"),
        (lambda: Quality(ratios={"high": 0}), "are all 0"),
        (lambda: Quality(max_epochs=-1), "max_epochs is -1"),
    ],
)
def test_mistakes_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
