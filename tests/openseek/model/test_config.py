"""What a wrong field says, and how configs are made from presets."""

import dataclasses

import pytest

from openseek.fields import changed
from openseek.model.config import ModelConfig, Yarn
from openseek.model.presets import PRESETS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"aux_loss_alpha": -1.0}, "aux_loss_alpha=-1.0"),
        ({"q_lora_rank": 0}, "q_lora_rank=0"),
        ({"qk_rope_head_dim": 15}, "must be even"),
        ({"first_k_dense_replace": 9}, "exceeds num_hidden_layers=4"),
        ({"num_nextn_predict_layers": -1}, "must not be negative"),
        ({"scoring_func": "relu"}, "use one of sigmoid, softmax, sqrtsoftplus"),
        ({"attention": "nsa"}, "use one of mla, gqa"),
        ({"topk_method": "greedy", "n_group": 4, "topk_group": 2}, "use group_limited_greedy"),
        ({"attention": "gqa", "num_key_value_heads": 3}, "num_key_value_heads=3 must divide"),
        ({"attention": "gqa", "num_attention_heads": 3}, "set head_dim"),
        ({"attention": "gqa", "head_dim": 15}, "head_dim=15 must be even"),
        ({"n_group": 3}, "must divide"),
        ({"n_group": 8}, "at least 2"),
        ({"topk_group": 2}, "exceeds n_group=1"),
        ({"n_group": 4, "num_experts_per_tok": 3}, "num_experts_per_tok=3"),
    ],
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"factor": 0.5}, "factor=0.5 must be at least 1"),
        ({"beta_slow": 40.0}, "beta_slow=40.0"),
        ({"mscale": -1.0}, "mscale=-1.0"),
        ({"original_max_position_embeddings": 0}, "must be at least 1"),
    ],
)
def test_a_wrong_stretch_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Yarn(**fields)


def test_a_preset_starts_a_config_and_fields_change_it():
    made = changed(ModelConfig(), {"preset": "deepseek_v3", "num_hidden_layers": 4, "rope_scaling": {"factor": 10}})
    assert made == dataclasses.replace(PRESETS["deepseek_v3"], num_hidden_layers=4, rope_scaling=Yarn(factor=10))
    assert changed(made, {"rope_scaling": None}).rope_scaling is None
    assert changed(ModelConfig(), {"rope_scaling.factor": 4}).rope_scaling == Yarn(factor=4)
    with pytest.raises(ValueError, match="use one of openseek_small_v1"):
        changed(ModelConfig(), {"preset": "gpt"})


def test_which_layers_are_dense():
    config = ModelConfig(num_hidden_layers=4, first_k_dense_replace=2, num_nextn_predict_layers=1)
    assert [config.is_dense(layer) for layer in range(5)] == [True, True, False, False, False]
    assert config.num_moe_blocks == 3
    assert all(PRESETS["aquila_3b"].is_dense(layer) for layer in range(36))
