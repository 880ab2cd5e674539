"""Sizes of the steps: each against the rule told step by step, and Megatron's own calculator."""

import dataclasses
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from openseek.parallel.dims import ParallelDims, Ranks
from openseek.train.batch_ramp import BatchRamp, BatchSizes
from openseek.train.loader import Loader
from openseek.train.pretrain import Pretrain

RAMPS = [
    (48, 16, BatchRamp(start=16, increment=8, tokens=16 * 1000)),
    (12, 7, BatchRamp(start=3, increment=1, tokens=1001)),
    # increments that come faster than steps: sizes are left out
    (64, 16, BatchRamp(start=8, increment=1, tokens=16 * 100)),
    (64, 16, BatchRamp(start=64, increment=1, tokens=16 * 100)),
    (64, 16, BatchRamp()),
]


@pytest.mark.parametrize("full, length, ramp", RAMPS)
def test_sizes_and_positions_follow_the_rule_step_by_step(full, length, ramp):
    sizes = BatchSizes(full, length, ramp)
    samples = 0
    for step in range(200):
        expected = full
        if ramp.start and samples * length < ramp.tokens:
            increments = (full - ramp.start) // ramp.increment
            expected = ramp.start + samples * length * increments // ramp.tokens * ramp.increment
        assert sizes.size(step) == expected, step
        assert sizes.samples_before(step) == samples
        assert sizes.tokens_before(step) == samples * length
        assert sizes.steps_for(samples * length) == step
        assert sizes.steps_for(samples * length + 1) == step + 1
        samples += expected


def test_deepseek_v3_grows_over_its_first_tokens():
    sizes = BatchSizes(15360, 4096, BatchRamp(start=3072, increment=64, tokens=469 * 10**9))
    assert sizes.size(0) == 3072
    assert sizes.size(sizes.steps_for(234.5e9)) == 9216
    after = sizes.steps_for(469e9)
    assert sizes.size(after - 1) < 15360 == sizes.size(after) == sizes.size(after + 10**6)
    # a growing batch takes ln(5) / 4 of the small steps for the same tokens; finite increments take a few more
    assert after == pytest.approx(469e9 / 4096 / 3072 * 0.4024, rel=0.01)


@pytest.fixture(scope="module")
def megatron() -> ModuleType:
    with warnings.catch_warnings():
        # It says which optional packages it does without.
        warnings.simplefilter("ignore")
        from megatron.core import num_microbatches_calculator
    return num_microbatches_calculator


@pytest.mark.parametrize("full, start, increment, samples", [(48, 16, 8, 1000), (256, 64, 64, 12_345), (64, 8, 4, 97)])
def test_megatrons_rampup_has_the_same_sizes(megatron, full, start, increment, samples):
    theirs = megatron.RampupBatchsizeNumMicroBatchesCalculator(full, 2, 2, False, 1, start, increment, samples)
    ours = BatchSizes(full, 32, BatchRamp(start=start, increment=increment, tokens=samples * 32))
    for step in range(200):
        theirs.update(ours.samples_before(step), consistency_check=False)
        assert ours.size(step) == theirs.get_current_global_batch_size(), step
    assert ours.size(199) == full


def loader(mixture: Path, rank: int = 0, world: int = 1, **changes: Any) -> Loader:
    arguments: dict[str, Any] = {
        "sequence_length": 16,
        "global_batch_size": 8,
        "micro_batch_size": 1,
        "num_steps": 20,
        "seed": 3,
    }
    return Loader(mixture, ranks=Ranks(rank, world, torch.device("cpu"), None), **(arguments | changes))


def test_a_ramp_cuts_the_same_samples_in_other_places_for_any_ranks(make_mixture):
    mixture = make_mixture()
    ramp = BatchRamp(start=2, increment=2, tokens=16 * 30)
    sizes = BatchSizes(8, 16, ramp)
    flat = torch.cat([batch["ids"] for step in range(20) for batch in loader(mixture)(step)])
    seen = []
    for step in range(20):
        whole = torch.cat([batch["ids"] for batch in loader(mixture, batch_ramp=ramp)(step)])
        assert len(whole) == sizes.size(step)
        halves = [b["ids"] for rank in (0, 1) for b in loader(mixture, rank, 2, batch_ramp=ramp)(step)]
        assert torch.equal(torch.cat(halves), whole)
        seen.append(whole)
    ramped = torch.cat(seen)
    assert {len(whole) for whole in seen} == {2, 4, 6, 8}
    assert torch.equal(ramped, flat[: len(ramped)])


def test_tokens_decide_steps_and_warm_up_whatever_the_ramp():
    plain = Pretrain(train_tokens=100_000, warmup_tokens=20_000, global_batch_size=16, sequence_length=64)
    ramped = dataclasses.replace(plain, batch_ramp=BatchRamp(start=8, increment=8, tokens=30_000))
    for config in (plain, ramped):
        sizes, rate, steps = config.batch_sizes(), config.learning_rate(), config.steps().num_steps
        assert sizes.tokens_before(steps - 1) < 100_000 <= sizes.tokens_before(steps)
        first = config.batch_sizes().tokens_before(1)
        assert rate(0) == pytest.approx(config.fit.schedule.peak * first / 20_000)
        top = sizes.steps_for(20_000) - 1
        rates = [rate(step) for step in range(steps)]
        assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
        assert 0.99 * config.fit.schedule.peak < rates[top] == max(rates) <= config.fit.schedule.peak
        assert rate(steps - 1) == pytest.approx(config.fit.schedule.final)
    # at the same tokens the rate is the same, though the step is another
    at = [c.batch_sizes().steps_for(61_440) for c in (plain, ramped)]
    assert at[0] != at[1]
    assert plain.learning_rate()(at[0] - 1) == pytest.approx(ramped.learning_rate()(at[1] - 1), rel=4e-2)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"start": 4}, "batch_ramp.increment=0 must be above 0"),
        ({"start": 4, "increment": 2}, "batch_ramp.tokens=0 must be above 0"),
        ({"increment": 2}, "does nothing without batch_ramp.start"),
        ({"start": -4, "increment": 2, "tokens": 9}, "batch_ramp.start=-4"),
    ],
)
def test_a_wrong_ramp_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        BatchRamp(**fields)


def test_a_ramp_that_does_not_fit_is_named():
    config = Pretrain(global_batch_size=16, micro_batch_size=2)
    with pytest.raises(ValueError, match="from 4 by 5 does not arrive at global_batch_size=16"):
        dataclasses.replace(config, batch_ramp=BatchRamp(start=4, increment=5, tokens=99))
    with pytest.raises(ValueError, match="batch_ramp.increment=3 must be a multiple of dp . micro_batch_size=2"):
        dataclasses.replace(config, batch_ramp=BatchRamp(start=4, increment=3, tokens=99))
    two = dataclasses.replace(config.fit, parallel=ParallelDims(dp=2))
    with pytest.raises(ValueError, match="batch_ramp.start=6 must be a multiple of dp . micro_batch_size=4"):
        dataclasses.replace(config, fit=two, batch_ramp=BatchRamp(start=6, increment=2, tokens=99))
