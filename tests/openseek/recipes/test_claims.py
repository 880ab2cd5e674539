"""Known disagreements between OpenSeek's publications and its configs are found, and go when the config changes."""

from dataclasses import replace
from typing import Any

import pytest

from openseek.model.presets import PRESETS
from openseek.recipes.claims import CLAIMS, Claim, ClaimCheck, check_claims, published_setup
from openseek.recipes.config_numbers import numbers
from openseek.recipes.published_setups import SETUPS
from openseek.recipes.training_setup import TrainingSetup

CONVERTED = ("model.nearest_shape", "weights of DeepSeek-V2-Lite are converted for it")
KNOWN = {
    "OpenSeek-Small-v1-Baseline": {("parameters.file_bytes", "3.18 GB in bfloat16")},
    "OpenSeek-Small-v1": {
        ("parameters.total", "3b"),
        ("parameters.total", "DeepSeek 16B"),
        ("parameters.active", "2.4A Model"),
        ("training.tokens", "720B tokens"),
        ("rate.peak", "learning rate 3.0e-3 with cosine decay"),
    },
    "OpenSeek-16B-default": {
        ("training.tokens", "100B tokens each"),
        CONVERTED,
    },
    "Aquila-3B": set(),
    "CCI4.0-ablation": {("training.tokens", "100B tokens")},
    "deepseek_v2_lite": {
        ("parameters.active", "2.4B active"),
        ("model.context", "context length 32k"),
        ("model.vocabulary", "--true-vocab-size 151851"),
        ("model.initializer_range", "initializer_range 0.02"),
    },
    "deepseek_v3": {
        ("parameters.active", "36.7B, including embedding and output head"),
        ("parameters.mtp", "11.5B unique parameters"),
        ("parameters.total_with_mtp", "685B on Hugging Face"),
        ("model.initializer_range", "initializer_range 0.02"),
    },
    "moonlight_16b_a3b": {("parameters.total", "15.29B"), ("parameters.active", "2.24B activated")},
}


def by_claim(setup: TrainingSetup) -> dict[tuple[str, str], ClaimCheck]:
    return {(check.claim.key, check.claim.says): check for check in check_claims(setup)}


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_disagreements_are_found_and_no_others(name: str) -> None:
    checks = by_claim(published_setup(name))
    assert {key for key, check in checks.items() if not check.agrees} == KNOWN[name]
    assert any(check.agrees for check in checks.values()) or name == "moonlight_16b_a3b"


@pytest.mark.parametrize(
    ("name", "key", "explanation"),
    [
        ("OpenSeek-Small-v1-Baseline", ("parameters.file_bytes", "3.18 GB in bfloat16"), "true with an untied head"),
        ("OpenSeek-Small-v1", ("parameters.total", "3b"), "true with twice the layers"),
        ("OpenSeek-Small-v1", ("parameters.total", "DeepSeek 16B"), "true for the shape openseek_16b"),
        (
            "OpenSeek-Small-v1",
            ("training.tokens", "720B tokens"),
            "after 54% of the plan, at a learning rate of 0.00015",
        ),
        ("OpenSeek-16B-tuned", CONVERTED, "intermediate_size 10944 against 11264"),
        ("deepseek_v2_lite", ("model.vocabulary", "--true-vocab-size 151851"), "copy the last row 49,472 times"),
        ("deepseek_v2_lite", ("parameters.active", "2.4B active"), "true of: active, without the embedding look-up"),
        ("deepseek_v3", ("parameters.total_with_mtp", "685B on Hugging Face"), "with its copies of embedding and head"),
        ("deepseek_v3", ("parameters.mtp", "11.5B unique parameters"), "true of: multi-token prediction, without its"),
        ("moonlight_16b_a3b", ("parameters.total", "15.29B"), "true of: total, without embedding and head"),
    ],
)
def test_what_a_wrong_number_is_true_of_is_searched_for(name: str, key: tuple[str, str], explanation: str) -> None:
    assert explanation in by_claim(published_setup(name))[key].explanation


def corrected(name: str, **fields: Any) -> TrainingSetup:
    """A published setup with fields of its model changed, in its training, too."""
    setup = SETUPS[name]
    model = replace(setup.model, **fields)
    assert setup.training is not None
    return replace(setup, model=model, training=replace(setup.training, model=model))


def test_a_config_that_fits_the_claim_is_not_complained_about() -> None:
    untied = by_claim(corrected("OpenSeek-Small-v1-Baseline", tie_word_embeddings=False))
    assert untied["parameters.file_bytes", "3.18 GB in bfloat16"].agrees
    twelve = by_claim(corrected("OpenSeek-Small-v1", num_hidden_layers=12))
    assert twelve["parameters.total", "3b"].agrees
    assert not twelve["parameters.total", "1.4B"].agrees
    small = SETUPS["OpenSeek-Small-v1"]
    assert small.training is not None
    schedule = replace(small.training.fit.schedule, peak=3e-3, final=3e-4)
    faster = replace(small.training, fit=replace(small.training.fit, schedule=schedule), train_tokens=720 * 10**9)
    checks = by_claim(replace(small, training=faster))
    assert checks["rate.peak", "learning rate 3.0e-3 with cosine decay"].agrees
    assert checks["training.tokens", "720B tokens"].agrees
    assert not checks["training.tokens", "1330B"].agrees


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"initializer_range": 0.02}, "start.params_norm"),
        ({"scaled_init": False}, "start.params_norm"),
        ({"vocab_size": 102_400}, "start.loss"),
        ({"num_hidden_layers": 12}, "cost.flops_per_token"),
    ],
)
def test_the_log_of_the_first_step_holds_for_the_published_config_only(fields: dict[str, Any], broken: str) -> None:
    checks = {check.claim.key: check for check in check_claims(corrected("OpenSeek-Small-v1-Baseline", **fields))}
    assert not checks[broken].agrees
    published = {check.claim.key: check for check in check_claims(SETUPS["OpenSeek-Small-v1-Baseline"])}
    assert published[broken].agrees


def test_a_config_file_of_a_released_shape_is_held_against_its_claims_whatever_its_name() -> None:
    released = TrainingSetup("some-folder", "config.json", replace(PRESETS["deepseek_v3"], initializer_range=0.02))
    assert by_claim(released)["model.initializer_range", "initializer_range 0.02"].agrees
    assert not check_claims(replace(released, model=replace(PRESETS["deepseek_v3"], num_hidden_layers=60)))


def test_a_claim_about_what_a_config_does_not_say_does_not_hold() -> None:
    bare = TrainingSetup("OpenSeek-Small-v1", "somewhere", PRESETS["openseek_small_v1"])
    checks = by_claim(bare)
    assert not checks["training.tokens", "1330B"].agrees
    assert checks["training.tokens", "1330B"].explanation == "the config does not say it"
    assert checks["parameters.total", "1.4B"].agrees


def test_every_claim_is_about_a_number_of_a_setup_that_exists() -> None:
    for claim in CLAIMS:
        for name in claim.subjects:
            assert claim.key in numbers(published_setup(name)), (name, claim)


def test_the_last_printed_digit_is_the_tolerance() -> None:
    setup = SETUPS["OpenSeek-Small-v1-Baseline"]
    claim = Claim((setup.name,), "parameters.total", 1.39e9, 0.01e9, "1.39B", "a test")
    assert check_claims(setup, (claim,))[0].agrees
    assert not check_claims(setup, (replace(claim, stated=1.38e9),))[0].agrees


def test_a_name_that_is_not_published_is_refused_with_the_names() -> None:
    with pytest.raises(
        ValueError, match="'OpenSeek-Large' is no published setup: use one of OpenSeek-Small-v1-Baseline"
    ):
        published_setup("OpenSeek-Large")
