"""Each trap is found in a setup that has it, and in none of the published ones beside those that are known to."""

from dataclasses import replace
from typing import Any

import pytest

from openseek.data.published_mixtures import PUBLISHED
from openseek.model.config import Yarn
from openseek.model.presets import PRESETS
from openseek.recipes.claims import published_setup
from openseek.recipes.config_checks import copied_rows, findings, mixture_messages, padded, stage_flops
from openseek.recipes.published_setups import SETUPS
from openseek.recipes.training_setup import Layout, TrainingSetup
from openseek.train.schedule import Schedule

BASELINE = SETUPS["OpenSeek-Small-v1-Baseline"]
SIXTEEN = SETUPS["OpenSeek-16B-tuned"]


def traps(setup: TrainingSetup) -> dict[str, str]:
    return {finding.check: finding.message for finding in findings(setup)}


def shaped(**fields: Any) -> TrainingSetup:
    return TrainingSetup("mine", "a test", replace(PRESETS["openseek_small_v1_baseline"], **fields))


def trained(setup: TrainingSetup = BASELINE, schedule: Schedule | None = None, **fields: Any) -> TrainingSetup:
    """The setup with fields of its training changed."""
    assert setup.training is not None
    fit = replace(setup.training.fit, schedule=schedule or setup.training.fit.schedule)
    return replace(setup, training=replace(setup.training, fit=fit, **fields))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("OpenSeek-Small-v1-Baseline", set()),
        ("OpenSeek-Small-v1", {"stages", "mixture"}),
        ("OpenSeek-16B-default", {"router", "tail", "batch", "stages", "mixture"}),
        ("OpenSeek-16B-tuned", {"tail", "batch", "stages", "mixture"}),
        ("Aquila-3B", {"tail", "batch", "mixture"}),
        ("CCI4.0-ablation", {"batch"}),
        *((name, set()) for name in ("deepseek_v2_lite", "deepseek_v3", "moonlight_16b_a3b", "openseek_16b")),
    ],
)
def test_the_published_setups_are_in_the_traps_that_are_known(name: str, known: set[str]) -> None:
    assert traps(published_setup(name)).keys() == known


def test_a_vocabulary_that_is_not_padded() -> None:
    assert "pad it to 151872" in traps(shaped(vocab_size=151_851))["vocabulary"]
    wide = replace(shaped(), layout=Layout(world_size=2, tensor=2))
    assert "64 x 2 tensor-parallel ranks" in traps(wide)["vocabulary"]
    assert "vocabulary" not in traps(replace(shaped(vocab_size=padded(151_851, 2)), layout=Layout(2, tensor=2)))


def test_a_tokenizer_of_another_model() -> None:
    v2_lite = replace(published_setup("deepseek_v2_lite"), tokenizer_size=151_851)
    assert "49,472 rows would be copies" in traps(v2_lite)["tokenizer"]
    assert copied_rows(102_400, 151_851) == 151_872 - 102_400
    assert copied_rows(151_872, 151_851) == 0
    assert "52,000 rows are never trained" in traps(replace(shaped(), tokenizer_size=99_872))["tokenizer"]
    assert "tokenizer" not in traps(replace(shaped(), tokenizer_size=151_851))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scoring_func": "softmax"}, "added to softmax affinities"),
        ({"aux_loss_alpha": 0.02}, "aux_loss_alpha=0.02 is a large weight"),
        ({"norm_topk_prob": False}, "set norm_topk_prob=true"),
        ({"bias_update_rate": 0.0}, "never moves"),
    ],
)
def test_routers_that_balance_badly(fields: dict[str, Any], words: str) -> None:
    assert words in traps(shaped(**fields))["router"]
    assert "router" not in traps(shaped())


def test_yarn_that_does_not_reach_the_longest_sequence() -> None:
    assert "40 times to 163,840" in traps(shaped(rope_scaling=Yarn()))["positions"]
    assert "positions" not in traps(shaped(rope_scaling=Yarn(), max_position_embeddings=163_840))


def test_warm_ups_that_are_too_long_or_meant_in_steps() -> None:
    assert "the peak is never reached" in traps(trained(warmup_tokens=BASELINE_TOKENS))["warm-up"]
    assert "takes 60% of the training" in traps(trained(warmup_tokens=BASELINE_TOKENS * 6 // 10))["warm-up"]
    # 2000 samples where 2000 steps were meant
    assert "1.95 steps (2,000 samples)" in traps(trained(warmup_tokens=2000 * 4096))["warm-up"]
    both = Schedule(peak=3e-3, final=3e-4, warmup_steps=2000)
    assert "the tokens win" in traps(trained(schedule=both))["warm-up"]
    assert "above its peak" in traps(trained(schedule=Schedule(peak=3e-4, final=3e-3)))["warm-up"]
    assert "warm-up" not in traps(trained(schedule=both, warmup_tokens=0))


BASELINE_TOKENS = 24_576_000 * 4096


def test_a_decay_of_one_step_is_told_and_one_of_a_tenth_is_not() -> None:
    assert "takes 1 of 119,210 steps" in traps(SIXTEEN)["tail"]
    assert "constant in effect at 0.003" in traps(SIXTEEN)["tail"]
    assert "tail" not in traps(trained(SIXTEEN, decay_tokens=10**11))
    assert "longer than the training" in traps(trained(SIXTEEN, decay_tokens=10**12))["tail"]


def test_batches_that_do_not_divide() -> None:
    assert "1,024 are left over" in traps(SIXTEEN)["batch"]
    uneven = replace(BASELINE, layout=Layout(world_size=48))
    assert "on 48 data-parallel ranks" in traps(uneven)["batch"]
    assert "do not divide by tp x pp x cp = 2 x 3 x 1" in traps(replace(BASELINE, layout=Layout(8, 2, 3)))["batch"]
    assert "batch" not in traps(replace(BASELINE, layout=Layout(world_size=64)))


def test_shapes_that_do_not_divide_over_the_ranks() -> None:
    assert "num_attention_heads=10" in traps(replace(shaped(), layout=Layout(4, tensor=4)))["split"]
    assert "n_routed_experts=64" in traps(replace(shaped(), layout=Layout(48, expert=48)))["split"]
    assert "do not divide the 24" in traps(replace(shaped(), layout=Layout(24, expert=16)))["split"]
    aquila = replace(published_setup("aquila_3b"), layout=Layout(4, tensor=4))
    assert "num_key_value_heads=2" in traps(aquila)["split"]
    assert "split" not in traps(replace(shaped(), layout=Layout(64, tensor=2, expert=8)))


def test_uneven_pipeline_stages() -> None:
    assert "13 layers (12 with experts) 43%, 14 layers (14 with experts) 57%" in traps(SIXTEEN)["stages"]
    even = replace(SIXTEEN, layout=Layout(pipeline=2, first_stage_layers=15))
    assert "stages" not in traps(even)
    assert "do not divide over 4" in traps(replace(SIXTEEN, layout=Layout(pipeline=4)))["stages"]
    work = stage_flops(SIXTEEN, (13, 14))
    whole = stage_flops(SIXTEEN, (27,))
    assert sum(work) == pytest.approx(whole[0])


def test_weights_that_do_not_sum_to_100() -> None:
    sums = {}
    for name, mixture in PUBLISHED.items():
        weights = tuple((entry.name, weight) for entry in mixture.entries for weight in entry.weights)
        sums[name] = list(mixture_messages(weights))
        # the same with what is missing added to the first
        first, *rest = weights
        whole = ((first[0], first[1] + 100 - mixture.total), *rest)
        assert not list(mixture_messages(whole)), name
    assert not sums["baseline_100b"]
    assert "sum to 99.96, not to 100" in sums["small_v1"][0]
    assert "sum to 99.99, not to 100" in sums["pt_1t"][0]
    assert not list(mixture_messages((("a", 0.25), ("b", 0.75))))
    assert "not to 100 or 1" in next(mixture_messages((("a", 3.0), ("b", 4.0))))
    assert [*mixture_messages((("a", 50.0), ("b", 0.0), ("a", 50.0)))] == [
        "weights that are not above 0: b",
        "given twice with the same weight: a",
    ]
