"""Numbers of a setup: parameters against a formula of its own, the published first step, learning rates, mixtures."""

from dataclasses import replace

import pytest

from openseek.data.published_mixtures import PUBLISHED
from openseek.model.presets import PRESETS
from openseek.recipes.claims import published_setup
from openseek.recipes.config_numbers import kind_of, mixture_numbers, nearest_shape, numbers, rate_at
from openseek.recipes.published_setups import SETUPS
from openseek.train.pretrain import Pretrain


def values(name: str) -> dict[str, float | str]:
    return {key: number.value for key, number in numbers(published_setup(name)).items()}


def trained(name: str) -> Pretrain:
    training = SETUPS[name].training
    assert training is not None
    return training


def test_parameters_of_openseek_small_by_a_sum_over_its_matrices() -> None:
    """Every matrix written out, layer by layer, from the numbers in the training file."""
    hidden, heads, vocabulary = 1280, 10, 151_872
    attention = hidden * heads * (128 + 64)  # query
    attention += hidden * 512 + hidden * 64  # latent, rotary key
    attention += 512 * heads * 128 + 512 * heads * 128  # keys and values from the latent
    attention += heads * 128 * hidden  # output
    norms = 512 + 2 * hidden  # of the latent, before attention, before the feed-forward
    dense = 2 * hidden * 7168 + 7168 * hidden
    expert = 2 * hidden * 896 + 896 * hidden
    router, shared = 64 * hidden, 2 * expert
    layers = 6 * (attention + norms) + dense + 5 * (router + shared)
    rest = vocabulary * hidden + hidden
    found = values("OpenSeek-Small-v1-Baseline")
    assert found["parameters.total"] == rest + layers + 5 * 64 * expert == 1_394_625_792
    assert found["parameters.active"] == rest + layers + 5 * 6 * expert == 396_840_192
    assert found["parameters.other_head"] == rest + layers + 5 * 64 * expert + vocabulary * hidden == 1_589_021_952
    assert found["parameters.without_embeddings"] == hidden + layers + 5 * 64 * expert
    block = attention + norms + 64 * expert + shared + router
    # two norms of its inputs and one before the head
    assert values("OpenSeek-Small-v1")["parameters.mtp"] == block + 2 * hidden * hidden + 3 * hidden


def test_learning_rates_of_the_published_trainings() -> None:
    baseline, sixteen = values("OpenSeek-Small-v1-Baseline"), values("OpenSeek-16B-tuned")
    assert (baseline["training.steps"], baseline["training.warmup_steps"]) == (24_000, 2000)
    assert baseline["rate.first"] == pytest.approx(1.5e-6)
    assert baseline["rate.warm"] == pytest.approx(3e-3)
    assert baseline["rate.last"] == pytest.approx(3e-4)
    # WSD with a decay of one step: constant up to the last one
    assert sixteen["training.decay_steps"] == 1
    assert sixteen["rate.middle"] == sixteen["rate.before_last"] == sixteen["rate.peak"] == 3e-3
    assert sixteen["rate.last"] == pytest.approx(3e-4)
    small = trained("OpenSeek-Small-v1")
    assert rate_at(small, 0) == pytest.approx(3e-7)
    assert rate_at(small, 1e15) == pytest.approx(3e-5)


def test_mixtures_sum_and_kinds_as_printed() -> None:
    sums = {}
    for name, mixture in PUBLISHED.items():
        weights = tuple((entry.name, weight) for entry in mixture.entries for weight in entry.weights)
        found = {number.key: number.value for number in mixture_numbers(weights)}
        assert found["mixture.published"] == name
        sums[name] = (found["mixture.sum"], found["mixture.entries"])
    assert sums == {"pt_1t": (99.99, 26), "small_v1": (99.96, 38), "baseline_100b": (100.0001, 84)}
    small, baseline = values("OpenSeek-Small-v1"), values("OpenSeek-Small-v1-Baseline")
    assert small["mixture.kind.CoT synthetic"] == pytest.approx(18.77)
    assert baseline["mixture.kind.CoT synthetic"] == pytest.approx(64.5, abs=0.05)


def test_shares_of_weights_that_are_no_percent_are_made_so() -> None:
    found = {n.key: n.value for n in mixture_numbers((("zh_cc", 1.0), ("code-mid", 2.0), ("my_own", 1.0)))}
    assert found["mixture.kind.Chinese web"] == pytest.approx(25)
    assert found["mixture.kind.code"] == pytest.approx(50)
    assert found["mixture.kind.other sources"] == pytest.approx(25)
    assert found["mixture.published"] == "no published mixture"
    assert kind_of("code-mid") == kind_of("code") == "code"


def test_the_16b_runs_have_the_shape_of_moonlight_and_not_of_v2_lite() -> None:
    released = ("deepseek_v2_lite", "moonlight_16b_a3b", "deepseek_v3")
    shape, differing = nearest_shape(PRESETS["openseek_16b"], released)
    assert shape == "moonlight_16b_a3b"
    assert set(differing) == {"vocab_size", "rope_theta", "rms_norm_eps", "max_position_embeddings"}
    made_so = replace(PRESETS["deepseek_v2_lite"], vocab_size=151_872)
    assert nearest_shape(made_so, released) == ("deepseek_v2_lite", ("vocab_size",))


def test_state_of_a_rank_and_cache() -> None:
    found = values("OpenSeek-Small-v1-Baseline")
    assert found["cost.state_bytes"] == 18 * 1_394_625_792
    assert found["cost.cache_bytes"] == 2 * 6 * (512 + 64)
    assert found["cost.expanded_cache_bytes"] == 2 * 6 * 10 * (192 + 128)
    small = values("OpenSeek-Small-v1")
    with_mtp = small["parameters.total_with_mtp"]
    assert isinstance(with_mtp, int)
    assert small["cost.state_bytes"] == pytest.approx(with_mtp * (6 + 12 / 64), rel=1e-6)
