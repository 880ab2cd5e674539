"""The curve of the learning rate: shapes, published points, Megatron's scheduler, and what is refused."""

import dataclasses
import math
import warnings
from types import SimpleNamespace

import pytest

from openseek.fields import changed
from openseek.train.batch_ramp import BatchRamp, BatchSizes
from openseek.train.loop import Fit
from openseek.train.pretrain import Pretrain
from openseek.train.schedule import PRESETS, Piece, Schedule


def test_cosine_rises_then_falls_to_the_final_rate():
    schedule = Schedule(peak=1.0, final=0.1, warmup_steps=10)
    rates = [schedule.rate(step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[59] == pytest.approx(0.55, abs=0.01)
    assert rates[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))


def test_wsd_is_flat_until_its_decay():
    schedule = Schedule(kind="wsd", peak=1.0, final=0.0, warmup_steps=2, decay_steps=5)
    rates = [schedule.rate(step, 20) for step in range(20)]
    assert set(rates[2:15]) == {1.0}
    assert rates[15:] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert Schedule(kind="constant", peak=3.0).rate(7, 9) == 3.0
    assert [Schedule(kind="linear", peak=1.0, final=0.0).rate(step, 4) for step in range(4)] == [0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize(
    "style, halfway",
    [
        ("linear", 0.505),
        ("cosine", 0.505),
        ("exponential", 1 - 0.99 * (2 - math.sqrt(2))),
        ("minus_sqrt", 1 - 0.99 * math.sqrt(0.5)),
        ("geometric", 0.1),
    ],
)
def test_styles_of_the_decay_halfway_and_at_its_ends(style, halfway):
    schedule = Schedule(kind="wsd", peak=1.0, final=0.01, decay_steps=10, decay_style=style)
    assert schedule.rate(9, 20) == 1.0
    assert schedule.rate(14, 20) == pytest.approx(halfway)
    assert schedule.rate(19, 20) == pytest.approx(0.01)


class ByTokens:
    """The rate of a pretraining at a number of trained tokens."""

    def __init__(self, config: Pretrain) -> None:
        self.sizes, self.steps = config.batch_sizes(), config.steps().num_steps
        self.rate = config.learning_rate()

    def __call__(self, tokens: float) -> float:
        return self.rate(self.sizes.steps_for(tokens) - 1)


def deepseek_v3(ramp: BatchRamp) -> ByTokens:
    return ByTokens(
        Pretrain(
            fit=Fit(schedule=PRESETS["deepseek_v3"]),
            train_tokens=14_800_000_000_000,
            warmup_tokens=0,
            sequence_length=4096,
            global_batch_size=15360,
            batch_ramp=ramp,
            model=dataclasses.replace(Pretrain().model, max_position_embeddings=4096),
        )
    )


@pytest.mark.parametrize("ramp", [BatchRamp(), BatchRamp(start=3072, increment=64, tokens=469 * 10**9)])
def test_the_schedule_of_deepseek_v3_at_its_published_points(ramp):
    at = deepseek_v3(ramp)
    assert at.rate(0) == pytest.approx(2.2e-4 / 2000, rel=0.2 if ramp.start else 1e-9)
    assert at.rate(999) == pytest.approx(1.1e-4, rel=0.15 if ramp.start else 1e-9)
    assert at.rate(1998) < 2.2e-4
    assert at.rate(1999) == 2.2e-4
    assert at(5e12) == at(9.9999e12) == 2.2e-4
    assert at(10e12 + 4.3e12 / 2) == pytest.approx((2.2e-4 + 2.2e-5) / 2, rel=1e-4)
    quarter = 2.2e-5 + (2.2e-4 - 2.2e-5) * (1 + math.cos(math.pi / 4)) / 2
    assert at(10e12 + 4.3e12 / 4) == pytest.approx(quarter, rel=1e-4)
    assert at(14.3001e12) == at(14.6329e12) == 2.2e-5
    assert at(14.6331e12) == at.rate(at.steps - 1) == 7.3e-6
    assert sum(piece.tokens for piece in PRESETS["deepseek_v3"].pieces) == 14.8e12


def test_openseeks_wsd_tail_of_one_step_comes_out_as_configured():
    """Its 16B runs: 244,141,056 samples in batches of 2048, warm-up 2,048,000 samples, a cosine tail of 2048."""
    schedule = Schedule(kind="wsd", peak=3e-3, final=3e-4, decay_style="cosine")
    config = Pretrain(
        fit=Fit(schedule=schedule),
        train_tokens=244_141_056 * 4096,
        warmup_tokens=2_048_000 * 4096,
        decay_tokens=2048 * 4096,
        sequence_length=4096,
        global_batch_size=2048,
        model=dataclasses.replace(Pretrain().model, max_position_embeddings=4096),
    )
    in_steps = dataclasses.replace(
        config,
        warmup_tokens=0,
        decay_tokens=0,
        fit=Fit(schedule=dataclasses.replace(schedule, warmup_steps=1000, decay_steps=1)),
    )
    for each in (config, in_steps):
        steps, rate = each.steps().num_steps, each.learning_rate()
        assert steps == 119_210  # 119,209.5 full batches
        assert rate(0) == pytest.approx(3e-6)
        assert rate(999) == rate(steps - 2) == 3e-3
        assert rate(steps - 1) == pytest.approx(3e-4)


def test_pieces_may_be_counted_in_steps_and_the_last_rate_stays():
    pieces = (
        Piece("linear", to=1.0, steps=4),
        Piece("geometric", to=0.01, steps=2),
        Piece("constant", to=0.5, steps=1),
    )
    schedule = Schedule(kind="pieces", peak=0.0, pieces=pieces)
    rates = [schedule.rate(step, 9) for step in range(9)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.1, 0.01, 0.5, 0.5, 0.5])
    # steps that have grown are as many tokens as they train on
    sizes = BatchSizes(4, 10, BatchRamp(start=1, increment=1, tokens=60))
    curve = schedule.curve(9, sizes)
    ends = [sizes.tokens_before(step) for step in (4, 6, 7)]
    assert [curve(end) for end in ends] == pytest.approx([1.0, 0.01, 0.5])
    assert curve(ends[0] / 2) == pytest.approx(0.5)


def test_pieces_are_read_from_plain_values():
    values = {"kind": "pieces", "pieces": [{"kind": "cosine", "to": "1e-5", "tokens": 1e9}]}
    assert changed(Schedule(), values).pieces == (Piece("cosine", to=1e-5, tokens=1e9),)
    assert changed(Schedule(), {"preset": "deepseek_v3"}) == PRESETS["deepseek_v3"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "square"}, "kind='square'"),
        ({"peak": -1.0}, "peak=-1.0"),
        ({"kind": "pieces"}, "kind=pieces needs them"),
        ({"pieces": (Piece("constant", to=1.0, steps=1),)}, "kind=pieces needs them"),
        ({"kind": "pieces", "pieces": (Piece("cosine", to=1.0),)}, "pieces.0 has tokens=0.0 and steps=0"),
        ({"kind": "pieces", "pieces": (Piece("cosine", to=1.0, steps=1, tokens=1),)}, "length by one of them"),
        ({"kind": "wsd", "decay_style": "geometric", "final": 0.0}, "needs rates above 0"),
        ({"decay_style": "steep"}, "decay_style='steep'"),
    ],
)
def test_a_wrong_schedule_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "wsd", "to": 1.0, "steps": 1}, "piece.kind='wsd'"),
        ({"kind": "cosine", "to": -1.0}, "piece.to=-1.0"),
        ({"kind": "geometric", "to": 0.0, "steps": 1}, "never reached"),
    ],
)
def test_a_wrong_piece_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Piece(**fields)


def test_pieces_in_tokens_need_a_training_that_counts_them():
    with pytest.raises(ValueError, match="schedule.pieces.0.tokens=10000000000000.0: this training counts steps"):
        PRESETS["deepseek_v3"].rate(0, 100)


@pytest.mark.parametrize("style", ["linear", "cosine", "exponential", "minus_sqrt"])
@pytest.mark.parametrize("kind", ["wsd", "cosine", "linear", "constant"])
def test_megatrons_scheduler_gives_the_same_rates(kind, style):
    with warnings.catch_warnings():
        # It says which optional packages it does without.
        warnings.simplefilter("ignore")
        from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
    theirs = OptimizerParamScheduler(
        SimpleNamespace(param_groups=[{}]),  # pyright: ignore[reportArgumentType]
        **{"init_lr": 0.0, "max_lr": 3e-3, "min_lr": 3e-4, "lr_warmup_steps": 7, "lr_decay_steps": 40},
        lr_decay_style="WSD" if kind == "wsd" else kind,
        **{"start_wd": 0.1, "end_wd": 0.1, "wd_incr_steps": 40, "wd_incr_style": "constant"},
        wsd_decay_steps=9,
        lr_wsd_decay_style=style,
    )
    ours = Schedule(kind=kind, peak=3e-3, final=3e-4, warmup_steps=7, decay_steps=9, decay_style=style)
    for step in range(40):
        theirs.step(1)
        assert ours.rate(step, 40) == pytest.approx(theirs.get_lr({}), rel=1e-12), step
