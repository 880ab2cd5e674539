"""config.json of the published models, of transformers, and of our own, read and written."""

import dataclasses
import json
import subprocess
import sys

import pytest

from openseek.model.config import ModelConfig, Yarn
from openseek.model.hf_config import OWN_TYPE, config_from_hf, fp8_block, hf_config, model_type, obstacles, read_config
from openseek.model.presets import PRESETS

# As in the released files, with the entries of every kind that they hold.
RELEASED_V3 = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"},
    "bos_token_id": 0,
    "eos_token_id": 1,
    "ep_size": 1,
    "first_k_dense_replace": 3,
    "hidden_act": "silu",
    "hidden_size": 7168,
    "initializer_range": 0.02,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048,
    "moe_layer_freq": 1,
    "n_group": 8,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "quantization_config": {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
    },
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "tie_word_embeddings": False,
    "topk_group": 4,
    "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16",
    "transformers_version": "4.33.1",
    "use_cache": True,
    "v_head_dim": 128,
    "vocab_size": 129280,
}
RELEASED_V2_LITE = {
    "attention_bias": False,
    "aux_loss_alpha": 0.001,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 10944,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v2",
    "moe_intermediate_size": 1408,
    "moe_layer_freq": 1,
    "n_group": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "norm_topk_prob": False,
    "num_attention_heads": 16,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 27,
    "num_key_value_heads": 16,
    "pretraining_tp": 1,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "rms_norm_eps": 1e-06,
    "rope_scaling": {
        "beta_fast": 32,
        "beta_slow": 1,
        "factor": 40,
        "mscale": 0.707,
        "mscale_all_dim": 0.707,
        "original_max_position_embeddings": 4096,
        "type": "yarn",
    },
    "rope_theta": 10000,
    "routed_scaling_factor": 1.0,
    "scoring_func": "softmax",
    "seq_aux": True,
    "tie_word_embeddings": False,
    "topk_group": 1,
    "topk_method": "greedy",
    "v_head_dim": 128,
    "vocab_size": 102400,
}
QWEN2 = {
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 11008,
    "max_position_embeddings": 4096,
    "max_window_layers": 36,
    "model_type": "qwen2",
    "num_attention_heads": 16,
    "num_hidden_layers": 36,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_mrope": False,
    "use_sliding_window": False,
    "vocab_size": 151872,
}


def test_the_released_files_give_the_presets():
    assert config_from_hf(RELEASED_V3) == dataclasses.replace(PRESETS["deepseek_v3"], initializer_range=0.02)
    lite = dataclasses.replace(PRESETS["deepseek_v2_lite"], initializer_range=0.02)
    assert config_from_hf(RELEASED_V2_LITE) == lite
    # transformers takes hidden_size / num_attention_heads; how weights were drawn is not in the file
    aquila = dataclasses.replace(PRESETS["aquila_3b"], head_dim=0, scaled_init=False)
    assert config_from_hf(QWEN2) == aquila


def variants() -> dict[str, ModelConfig]:
    """Presets, and what no class computes."""
    v3, aquila = PRESETS["debug_v3"], PRESETS["debug_aquila"]
    return PRESETS | {
        "three depths": dataclasses.replace(v3, num_nextn_predict_layers=3, mtp_loss_weight=0.1),
        "z-loss, scaled": dataclasses.replace(v3, router_z_loss_alpha=1e-3, scaled_init=True, bias_update_rate=0.0),
        "yarn without mscale": dataclasses.replace(v3, rope_scaling=Yarn(mscale=0.0, mscale_all_dim=0.0)),
        "yarn with one mscale": dataclasses.replace(v3, rope_scaling=Yarn(mscale=0.0, mscale_all_dim=0.5)),
        "aquila with a prediction block": dataclasses.replace(aquila, num_nextn_predict_layers=1),
        "v2 with a prediction block": dataclasses.replace(PRESETS["debug_v2_lite"], num_nextn_predict_layers=2),
        "other default sizes": dataclasses.replace(aquila, kv_lora_rank=7, n_shared_experts=3),
        "sqrtsoftplus": dataclasses.replace(v3, scoring_func="sqrtsoftplus"),
        "no latent norms": dataclasses.replace(v3, qk_layernorm=False),
        "sigmoid without bias": dataclasses.replace(v3, topk_method="group_limited_greedy"),
        "softmax with bias": dataclasses.replace(v3, scoring_func="softmax"),
        "softmax, renormalised": dataclasses.replace(PRESETS["debug_v2_lite"], norm_topk_prob=True),
        "experts with gqa": dataclasses.replace(aquila, n_routed_experts=8, num_nextn_predict_layers=1),
    }


OWN = ("sqrtsoftplus", "no latent norms", "sigmoid without bias", "softmax with bias", "softmax, renormalised")
OWN += ("experts with gqa",)


@pytest.mark.parametrize("name", variants())
def test_what_is_written_reads_back(name):
    config = variants()[name]
    written = json.loads(json.dumps(hf_config(config, "bfloat16", eod=3)))
    assert config_from_hf(written) == config
    assert (model_type(config) == OWN_TYPE) == (name in OWN)
    assert written["model_type"] == model_type(config)


def test_every_preset_is_a_model_of_transformers_and_its_class_is_the_right_one():
    kinds = {name: model_type(config) for name, config in PRESETS.items()}
    assert kinds == {
        name: "qwen2" if "aquila" in name else "deepseek_v2" if "v2_lite" in name else "deepseek_v3" for name in kinds
    }
    assert obstacles(variants()["sqrtsoftplus"], "deepseek_v3") == ["scoring_func='sqrtsoftplus' is not 'sigmoid'"]


def test_transformers_five_writes_rope_parameters_and_null_groups():
    scaling = RELEASED_V3["rope_scaling"]
    raw = {k: v for k, v in RELEASED_V3.items() if k not in ("rope_scaling", "rope_theta", "quantization_config")}
    raw |= {
        "rope_parameters": {**scaling, "rope_type": "yarn", "rope_theta": 10000},
        "head_dim": 64,
        "qk_head_dim": 192,
    }
    assert config_from_hf(raw) == config_from_hf(RELEASED_V3)
    assert config_from_hf(RELEASED_V2_LITE | {"n_group": None, "topk_group": None}) == config_from_hf(RELEASED_V2_LITE)
    plain = raw | {"rope_parameters": {"rope_type": "default", "rope_theta": 5e4}}
    assert (config_from_hf(plain).rope_scaling, config_from_hf(plain).rope_theta) == (None, 5e4)


def test_yarn_without_its_optional_entries_is_what_transformers_makes_of_it():
    short = config_from_hf(RELEASED_V3 | {"rope_scaling": {"type": "yarn", "factor": 4}})
    assert short.rope_scaling == Yarn(4, 163840, 32, 1, 0, 0)
    ratio = {"type": "yarn", "factor": None, "original_max_position_embeddings": 4096}
    assert config_from_hf(RELEASED_V3 | {"rope_scaling": ratio}).rope_scaling == Yarn(40, 4096, 32, 1, 0, 0)


def test_aux_loss_and_other_training_fields_are_read():
    assert config_from_hf(RELEASED_V2_LITE).aux_loss_alpha == 0.001
    assert config_from_hf(RELEASED_V3).aux_loss_alpha == 1e-4
    own = {"bias_update_rate": 0.5, "aux_loss_alpha": 0.25, "mtp_loss_weight": 0.125}
    config = config_from_hf(RELEASED_V3 | {"openseek": own})
    assert (config.bias_update_rate, config.aux_loss_alpha, config.mtp_loss_weight) == (0.5, 0.25, 0.125)


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (RELEASED_V3, {"rope_scaling": {"type": "linear", "factor": 2}}, "'linear'"),
        (RELEASED_V3, {"rope_scaling": {"rope_type": "llama3", "factor": 2}}, "'llama3'"),
        (RELEASED_V3, {"rope_scaling": {"type": "yarn", "factor": 2, "attention_factor": 1.5}}, "attention_factor=1.5"),
        (RELEASED_V3, {"rope_scaling": {"type": "yarn", "factor": 2, "truncate": False}}, "truncate=False"),
        (RELEASED_V3, {"rope_parameters": {"rope_type": "default"}}, "both given"),
        (RELEASED_V3, {"scoring_func": "softmax"}, "scoring_func='softmax'"),
        (RELEASED_V3, {"topk_method": "greedy"}, "topk_method='greedy'"),
        (RELEASED_V3, {"hidden_act": "gelu"}, "hidden_act='gelu'"),
        (RELEASED_V3, {"moe_layer_freq": 2}, "moe_layer_freq=2"),
        (RELEASED_V3, {"seq_aux": False}, "seq_aux=False"),
        (RELEASED_V3, {"num_key_value_heads": 8}, "num_key_value_heads=8"),
        (RELEASED_V3, {"head_dim": 100}, "head_dim=100"),
        (RELEASED_V3, {"index_topk": 2048}, "index_topk=2048"),
        (RELEASED_V3, {"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
        (RELEASED_V3, {"model_type": "deepseek_v32"}, "'deepseek_v32'"),
        (RELEASED_V3, {"openseek": {"qk_layernorm": False}}, "qk_layernorm=False"),
        (RELEASED_V3, {"openseek": {"kv_lora_rank": 3}}, "kv_lora_rank=3"),
        (RELEASED_V2_LITE, {"norm_topk_prob": True}, "norm_topk_prob=True"),
        (RELEASED_V2_LITE, {"scoring_func": "sigmoid"}, "scoring_func='sigmoid'"),
        (RELEASED_V2_LITE, {"topk_method": "noaux_tc"}, "topk_method='noaux_tc'"),
        (RELEASED_V2_LITE, {"mlp_bias": True}, "mlp_bias=True"),
        (QWEN2, {"use_sliding_window": True}, "use_sliding_window=True"),
        (QWEN2, {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types="),
        (QWEN2, {"attention_bias": False}, "attention_bias=False"),
    ],
)
def test_an_entry_that_would_change_the_computation_is_refused_by_name(base, change, message):
    config_from_hf(base)
    with pytest.raises(ValueError, match=message):
        config_from_hf(base | change)


@pytest.mark.parametrize("name", ["q_lora_rank", "kv_lora_rank", "n_routed_experts", "first_k_dense_replace"])
def test_a_size_that_is_absent_is_not_guessed(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in RELEASED_V3.items() if k != name}))
    with pytest.raises(ValueError, match=rf"config.json: {name}.* missing"):
        read_config(tmp_path)


def test_harmless_entries_of_an_earlier_file_are_carried_over_and_how_it_was_stored_is_not():
    config = config_from_hf(RELEASED_V3)
    written = hf_config(config, "bfloat16", keep=RELEASED_V3)
    assert (written["bos_token_id"], written["eos_token_id"], written["ep_size"]) == (0, 1, 1)
    assert hf_config(config, "bfloat16", eod=9, keep=RELEASED_V3)["eos_token_id"] == 9
    assert not {"quantization_config", "auto_map", "transformers_version"} & written.keys()
    same = {name for name in RELEASED_V3 if name in written and written[name] == RELEASED_V3[name]}
    assert set(RELEASED_V3) - same == {"auto_map", "quantization_config", "transformers_version"}


def test_a_dense_model_with_latent_attention_is_dense_for_transformers():
    config = dataclasses.replace(PRESETS["debug_v3"], n_routed_experts=0, n_shared_experts=0)
    written = hf_config(config, "float32")
    assert (written["model_type"], written["first_k_dense_replace"]) == ("deepseek_v3", config.num_hidden_layers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quant_method": "gptq"}, "gptq"),
        ({"fmt": "e5m2"}, "e5m2"),
        ({"activation_scheme": "static"}, "static"),
        ({"weight_block_size": None}, "weight_block_size"),
        ({"scale_fmt": "e3m4"}, "e3m4"),
    ],
)
def test_other_quantisations_are_refused(change, message):
    good = {**RELEASED_V3["quantization_config"], "scale_fmt": "ue8m0"}
    assert fp8_block({"quantization_config": good}) == (128, 128)
    assert fp8_block({}) is None
    with pytest.raises(ValueError, match=message):
        fp8_block({"quantization_config": good | change})


def test_configs_need_no_torch():
    code = "import sys, openseek.model.hf_config; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
