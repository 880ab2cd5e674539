"""Published model shapes by name: `--set model.preset=deepseek_v3`, or `model: {preset: deepseek_v3, ...}` in a recipe.

Sources: the OpenSeek configs of FlagAI-Open/OpenSeek at 50212ea, DeepSeek's released config.json files, Moonlight's.
Each family has a size for tests, `debug_*`, with the same parts switched on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openseek.model.config import ModelConfig, Yarn

DEEPSEEK_HEADS: dict[str, Any] = {
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}

OPENSEEK_SMALL_V1 = ModelConfig(
    vocab_size=151872,
    hidden_size=1280,
    num_hidden_layers=6,
    num_attention_heads=10,
    **DEEPSEEK_HEADS,
    intermediate_size=7168,
    moe_intermediate_size=896,
    n_routed_experts=64,
    num_experts_per_tok=6,
    n_shared_experts=2,
    routed_scaling_factor=2.446,
    num_nextn_predict_layers=1,
    rope_theta=1e6,
    initializer_range=0.006,
    scaled_init=True,
    bias_update_rate=0.001,
    aux_loss_alpha=1e-4,
)
OPENSEEK_16B = replace(
    OPENSEEK_SMALL_V1,
    hidden_size=2048,
    num_hidden_layers=27,
    num_attention_heads=16,
    intermediate_size=11264,
    moe_intermediate_size=1408,
    num_nextn_predict_layers=0,
    tie_word_embeddings=False,
)
"""The shape of the runs on hyperparameters, multi-token prediction and mixtures, with their tuned initial scale."""
MOONLIGHT_16B = replace(
    OPENSEEK_16B,
    vocab_size=163840,
    rope_theta=50000.0,
    rms_norm_eps=1e-5,
    max_position_embeddings=8192,
    initializer_range=0.02,
    scaled_init=False,
)
DEEPSEEK_V2_LITE = ModelConfig(
    vocab_size=102400,
    hidden_size=2048,
    num_hidden_layers=27,
    num_attention_heads=16,
    **DEEPSEEK_HEADS,
    intermediate_size=10944,
    moe_intermediate_size=1408,
    n_routed_experts=64,
    num_experts_per_tok=6,
    n_shared_experts=2,
    scoring_func="softmax",
    topk_method="greedy",
    routed_scaling_factor=1.0,
    norm_topk_prob=False,
    num_nextn_predict_layers=0,
    rope_scaling=Yarn(mscale=0.707, mscale_all_dim=0.707),
    max_position_embeddings=163840,
    initializer_range=0.006,
    tie_word_embeddings=False,
    aux_loss_alpha=0.001,
)
DEEPSEEK_V3 = ModelConfig(
    vocab_size=129280,
    hidden_size=7168,
    num_hidden_layers=61,
    num_attention_heads=128,
    q_lora_rank=1536,
    **DEEPSEEK_HEADS,
    intermediate_size=18432,
    moe_intermediate_size=2048,
    n_routed_experts=256,
    num_experts_per_tok=8,
    n_shared_experts=1,
    n_group=8,
    topk_group=4,
    first_k_dense_replace=3,
    num_nextn_predict_layers=1,
    rope_scaling=Yarn(),
    max_position_embeddings=163840,
    initializer_range=0.006,
    tie_word_embeddings=False,
)
AQUILA_3B = ModelConfig(
    vocab_size=151872,
    hidden_size=2048,
    num_hidden_layers=36,
    num_attention_heads=16,
    attention="gqa",
    num_key_value_heads=2,
    head_dim=128,
    attention_bias=True,
    qk_layernorm=False,
    rope_interleave=False,
    intermediate_size=11008,
    n_routed_experts=0,
    n_shared_experts=0,
    first_k_dense_replace=0,
    num_nextn_predict_layers=0,
    rope_theta=1e6,
    initializer_range=0.02,
    scaled_init=True,
)

_DEBUG: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "initializer_range": 0.1,
}
_DEBUG_MLA: dict[str, Any] = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16}
_DEBUG_MOE: dict[str, Any] = {"moe_intermediate_size": 32, "n_routed_experts": 8, "num_experts_per_tok": 2}
_DEBUG_YARN: dict[str, Any] = {"original_max_position_embeddings": 64, "factor": 8.0}

PRESETS: dict[str, ModelConfig] = {
    "openseek_small_v1": OPENSEEK_SMALL_V1,
    "openseek_small_v1_baseline": replace(OPENSEEK_SMALL_V1, num_nextn_predict_layers=0),
    "openseek_16b": OPENSEEK_16B,
    "moonlight_16b_a3b": MOONLIGHT_16B,
    "deepseek_v2_lite": DEEPSEEK_V2_LITE,
    "deepseek_v3": DEEPSEEK_V3,
    "aquila_3b": AQUILA_3B,
    "debug_small": replace(OPENSEEK_SMALL_V1, **_DEBUG, **_DEBUG_MLA, **_DEBUG_MOE),
    "debug_v2_lite": replace(
        DEEPSEEK_V2_LITE,
        **_DEBUG,
        **_DEBUG_MLA,
        **_DEBUG_MOE,
        rope_scaling=Yarn(mscale=0.707, mscale_all_dim=0.707, **_DEBUG_YARN),
        max_position_embeddings=512,
    ),
    "debug_v3": replace(
        DEEPSEEK_V3,
        **_DEBUG,
        **_DEBUG_MLA,
        **_DEBUG_MOE,
        q_lora_rank=24,
        n_group=2,
        topk_group=1,
        first_k_dense_replace=1,
        rope_scaling=Yarn(**_DEBUG_YARN),
        max_position_embeddings=512,
    ),
    "debug_aquila": replace(AQUILA_3B, **_DEBUG, num_key_value_heads=2, head_dim=16),
}
"""Shape of each name."""
