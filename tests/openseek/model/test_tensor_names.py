"""The names and shapes on disk, from the config alone."""

import dataclasses
import math
import subprocess
import sys

import pytest

from openseek.model.config import ModelConfig
from openseek.model.presets import PRESETS
from openseek.model.size import num_parameters
from openseek.model.tensor_names import copies, expected_tensors


@pytest.mark.parametrize("preset", PRESETS)
def test_the_tensors_hold_as_many_numbers_as_the_model_has_parameters(preset):
    config = PRESETS[preset]
    tensors = expected_tensors(config)
    biases = sum(math.prod(shape) for name, shape in tensors.items() if name.endswith("e_score_correction_bias"))
    assert sum(math.prod(shape) for shape in tensors.values()) - biases == num_parameters(config)
    assert biases == (config.num_moe_blocks * config.n_routed_experts if config.has_router_bias else 0)
    assert not set(tensors) & set(copies(config))


def test_the_released_file_of_deepseek_v3_has_these_names():
    config = PRESETS["deepseek_v3"]
    tensors = expected_tensors(config)
    assert tensors["model.layers.0.mlp.gate_proj.weight"] == (18432, 7168)
    assert tensors["model.layers.0.self_attn.kv_a_proj_with_mqa.weight"] == (576, 7168)
    assert tensors["model.layers.0.self_attn.q_b_proj.weight"] == (128 * 192, 1536)
    assert tensors["model.layers.0.self_attn.kv_b_proj.weight"] == (128 * 256, 512)
    assert tensors["model.layers.60.mlp.experts.255.down_proj.weight"] == (7168, 2048)
    assert tensors["model.layers.3.mlp.gate.e_score_correction_bias"] == (256,)
    assert tensors["model.layers.61.eh_proj.weight"] == (7168, 14336)
    assert tensors["lm_head.weight"] == (129280, 7168)
    assert copies(config) == {
        "model.layers.61.embed_tokens.weight": "model.embed_tokens.weight",
        "model.layers.61.shared_head.head.weight": "lm_head.weight",
    }


def test_a_tied_head_repeats_the_embedding_at_every_depth():
    config = dataclasses.replace(PRESETS["debug_small"], num_nextn_predict_layers=2)
    assert copies(config) == {
        name: "model.embed_tokens.weight"
        for name in (
            "lm_head.weight",
            "model.layers.3.embed_tokens.weight",
            "model.layers.3.shared_head.head.weight",
            "model.layers.4.embed_tokens.weight",
            "model.layers.4.shared_head.head.weight",
        )
    }
    assert "model.layers.4.hnorm.weight" in expected_tensors(config)


def test_grouped_query_attention_has_biases_on_query_key_and_value_only():
    tensors = expected_tensors(PRESETS["aquila_3b"])
    layer = {
        name.removeprefix("model.layers.35."): shape
        for name, shape in tensors.items()
        if name.startswith("model.layers.35.")
    }
    assert layer == {
        "input_layernorm.weight": (2048,),
        "post_attention_layernorm.weight": (2048,),
        "self_attn.q_proj.weight": (2048, 2048),
        "self_attn.k_proj.weight": (256, 2048),
        "self_attn.v_proj.weight": (256, 2048),
        "self_attn.q_proj.bias": (2048,),
        "self_attn.k_proj.bias": (256,),
        "self_attn.v_proj.bias": (256,),
        "self_attn.o_proj.weight": (2048, 2048),
        "mlp.gate_proj.weight": (11008, 2048),
        "mlp.up_proj.weight": (11008, 2048),
        "mlp.down_proj.weight": (2048, 11008),
    }


def test_the_tokenizers_size_must_be_known():
    with pytest.raises(ValueError, match="vocab_size=0"):
        expected_tensors(ModelConfig())


def test_planning_needs_no_torch():
    code = "import sys, openseek.model.tensor_names; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
