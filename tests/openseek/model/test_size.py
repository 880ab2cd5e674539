"""What the published shapes cost, and that the counts are those of the modules."""

import dataclasses
import math

import pytest
import torch

from openseek.model.config import ModelConfig
from openseek.model.presets import PRESETS
from openseek.model.size import (
    cache_elements_per_token,
    expanded_cache_elements_per_token,
    flops_per_token,
    num_parameters,
    start_loss,
    start_norm,
    training_bytes,
)
from openseek.model.transformer import Transformer

# total, active; of DeepSeek-V3 without its multi-token prediction block
PUBLISHED = {
    "openseek_small_v1_baseline": (1.395e9, 0.397e9),
    "openseek_16b": (15.91e9, 2.87e9),
    "deepseek_v2_lite": (15.71e9, 2.66e9),
    "deepseek_v3": (671.03e9, 37.55e9),
    "aquila_3b": (3.086e9, 3.086e9),
    "moonlight_16b_a3b": (15.96e9, 2.91e9),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shapes_have_their_published_size(name):
    config = dataclasses.replace(PRESETS[name], num_nextn_predict_layers=0)
    total, active = PUBLISHED[name]
    assert num_parameters(config) == pytest.approx(total, rel=2e-3)
    assert num_parameters(config, active=True) == pytest.approx(active, rel=4e-3)


def test_the_multi_token_prediction_block_of_deepseek_v3_has_11_billion_weights():
    both = num_parameters(PRESETS["deepseek_v3"])
    alone = num_parameters(dataclasses.replace(PRESETS["deepseek_v3"], num_nextn_predict_layers=0))
    assert both - alone == pytest.approx(11.6e9, rel=5e-3)


def test_flops_cache_and_state_of_openseek_small():
    config = PRESETS["openseek_small_v1_baseline"]
    assert flops_per_token(config, 4096) == pytest.approx(2.617e9, rel=1e-3)
    assert cache_elements_per_token(config) == 6 * (512 + 64)
    assert expanded_cache_elements_per_token(config) == 6 * 10 * (192 + 128)
    alone, spread = training_bytes(config), training_bytes(config, data_parallel=8)
    assert alone.total == 18 * num_parameters(config)
    assert spread.optimizer == math.ceil(12 * num_parameters(config) / 8)
    assert start_loss(config) == pytest.approx(11.931, abs=1e-3)


def test_the_start_of_openseek_small_has_the_norm_that_its_log_prints():
    # "params norm: 238.330" in the first line of the published log
    config = PRESETS["openseek_small_v1_baseline"]
    assert start_norm(config) == pytest.approx(238.33, rel=5e-4)
    assert start_norm(dataclasses.replace(config, scaled_init=False)) == pytest.approx(264.5, rel=5e-3)


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("debug_")])
def test_the_counts_are_those_of_the_modules(name):
    for config in (PRESETS[name], dataclasses.replace(PRESETS[name], num_nextn_predict_layers=2)):
        torch.manual_seed(0)
        model = Transformer(config)
        assert num_parameters(config) == sum(p.numel() for p in model.parameters())
        norm = math.sqrt(sum(p.double().square().sum().item() for p in model.parameters()))
        assert start_norm(config) == pytest.approx(norm, rel=5e-3)


def test_biases_and_norms_are_counted():
    base = dataclasses.replace(PRESETS["debug_v3"], num_nextn_predict_layers=1)
    for fields in ({"attention_bias": True}, {"qk_layernorm": False}, {"n_shared_experts": 0}, {"q_lora_rank": None}):
        config: ModelConfig = dataclasses.replace(base, **fields)
        assert num_parameters(config) == sum(p.numel() for p in Transformer(config).parameters())
