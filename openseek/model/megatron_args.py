"""A ModelConfig as Megatron's command-line arguments, which its checkpoints carry, and back.

Plain values: the names are those of Megatron-LM's argument parser; no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openseek.model.config import ModelConfig, Yarn
from openseek.model.megatron_layout import Sizes, Split, layout_string

SCORES = ("sigmoid", "softmax")


def megatron_args(config: ModelConfig, sizes: Sizes, split: Split, divisible_by: int, rows: int) -> dict[str, Any]:
    """The arguments that describe the model and how it is cut; `rows`: of the padded embedding.

    Raises ValueError for what Megatron-core does not compute.
    """
    c = config
    if c.n_routed_experts and (wrong := _other_routing(c)):
        raise ValueError(f"{wrong}: the weights would fit, and the model compute something else")
    args: dict[str, Any] = {
        "num_layers": c.num_hidden_layers,
        "hidden_size": c.hidden_size,
        "ffn_hidden_size": c.intermediate_size,
        "num_attention_heads": c.num_attention_heads,
        "normalization": "RMSNorm",
        "norm_epsilon": c.rms_norm_eps,
        "swiglu": True,
        "add_bias_linear": False,
        "qk_layernorm": c.qk_layernorm,
        "position_embedding_type": "rope",
        "rotary_base": c.rope_theta,
        "rotary_percent": 1.0,
        "max_position_embeddings": c.max_position_embeddings,
        "seq_length": c.max_position_embeddings,
        "init_method_std": c.initializer_range,
        "untie_embeddings_and_output_weights": not c.tie_word_embeddings,
        "vocab_size": c.vocab_size,
        "padded_vocab_size": rows,
        "make_vocab_size_divisible_by": divisible_by,
        "mtp_num_layers": c.num_nextn_predict_layers or None,
        "mtp_loss_scaling_factor": c.mtp_loss_weight,
    }
    args |= _attention(c) | _experts(c) | _parallel(c, sizes, split)
    return args


def _other_routing(c: ModelConfig) -> str:
    """What Megatron-core's router (0.16) does otherwise than this model's; empty if nothing."""
    if c.scoring_func not in SCORES:
        return f"scoring_func={c.scoring_func!r}: Megatron-core has {' and '.join(SCORES)}"
    if c.scoring_func == "sigmoid" and not c.norm_topk_prob and c.num_experts_per_tok > 1:
        return "norm_topk_prob=False: Megatron-core always divides sigmoid affinities by their sum"
    if c.scoring_func == "softmax" and c.has_router_bias:
        return "topk_method='noaux_tc' with softmax: Megatron-core has a router bias beside sigmoid affinities only"
    best = 2 if c.has_router_bias else 1
    if c.n_group > 1 and c.topk_group < c.n_group and c.num_experts_per_tok // c.topk_group != best:
        return (
            f"topk_method={c.topk_method!r} scores a group by its best {best}, Megatron-core by its best "
            f"num_experts_per_tok // topk_group = {c.num_experts_per_tok}//{c.topk_group}"
        )
    return ""


def _attention(c: ModelConfig) -> dict[str, Any]:
    if c.attention == "gqa":
        return {
            "multi_latent_attention": False,
            "group_query_attention": c.kv_heads != c.num_attention_heads,
            "num_query_groups": c.kv_heads,
            "kv_channels": c.rotary_dim,
            "add_qkv_bias": c.attention_bias,
            "rotary_interleaved": c.rope_interleave,
        }
    found: dict[str, Any] = {
        "multi_latent_attention": True,
        "q_lora_rank": c.q_lora_rank,
        "kv_lora_rank": c.kv_lora_rank,
        "qk_head_dim": c.qk_nope_head_dim,
        "qk_pos_emb_head_dim": c.qk_rope_head_dim,
        "v_head_dim": c.v_head_dim,
        # Latent attention takes the pairs apart by itself; the flag would turn them a second time.
        "rotary_interleaved": False,
        "rope_type": "rope" if c.rope_scaling is None else "yarn",
    }
    if (yarn := c.rope_scaling) is not None:
        found |= {
            "rotary_scaling_factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_max_position_embeddings,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            # Without either, the tables have the scale that mscale=1 beside mscale_all_dim=0 gives.
            "mscale": yarn.mscale or float(not yarn.mscale_all_dim),
            "mscale_all_dim": yarn.mscale_all_dim,
        }
    return found


def _experts(c: ModelConfig) -> dict[str, Any]:
    if not c.n_routed_experts:
        return {"num_experts": None}
    return {
        "num_experts": c.n_routed_experts,
        "moe_layer_freq": [int(not c.is_dense(layer)) for layer in range(c.num_hidden_layers)],
        "moe_ffn_hidden_size": c.moe_intermediate_size,
        "moe_shared_expert_intermediate_size": c.n_shared_experts * c.moe_intermediate_size or None,
        "moe_router_topk": c.num_experts_per_tok,
        "moe_router_score_function": c.scoring_func,
        # Over all experts before the choice, so that the chosen ones keep what they have of the whole.
        "moe_router_pre_softmax": c.scoring_func == "softmax" and not c.norm_topk_prob,
        "moe_router_enable_expert_bias": c.has_router_bias,
        "moe_router_bias_update_rate": c.bias_update_rate,
        "moe_router_num_groups": c.n_group if c.n_group > 1 else None,
        "moe_router_group_topk": c.topk_group if c.n_group > 1 else None,
        "moe_router_topk_scaling_factor": c.routed_scaling_factor,
        "moe_router_load_balancing_type": "seq_aux_loss",
        "moe_aux_loss_coeff": c.aux_loss_alpha,
        "moe_z_loss_coeff": c.router_z_loss_alpha or None,
        "moe_router_dtype": "fp32",
    }


def _parallel(c: ModelConfig, sizes: Sizes, split: Split) -> dict[str, Any]:
    virtual = sizes.vpp if sizes.vpp > 1 else None
    units = split.units(c.num_hidden_layers, c.num_nextn_predict_layers, sizes)
    return {
        "tensor_model_parallel_size": sizes.tp,
        "pipeline_model_parallel_size": sizes.pp,
        "expert_model_parallel_size": sizes.ep,
        "expert_tensor_parallel_size": sizes.etp,
        "virtual_pipeline_model_parallel_size": virtual,
        "decoder_first_pipeline_num_layers": split.first or None,
        "decoder_last_pipeline_num_layers": split.last or None,
        "account_for_embedding_in_pipeline_split": split.account_for_embedding,
        "account_for_loss_in_pipeline_split": split.account_for_loss,
        # Megatron has no option for a list of numbers: its layout string says the same.
        "pipeline_model_parallel_layout": layout_string(units) if split.layout else None,
    }


def sizes_of(args: Mapping[str, Any]) -> Sizes:
    """How a checkpoint with these arguments is cut."""
    tp = _size(args, "tensor_model_parallel_size")
    return Sizes(
        tp=tp,
        pp=_size(args, "pipeline_model_parallel_size"),
        ep=_size(args, "expert_model_parallel_size"),
        etp=args.get("expert_tensor_parallel_size") or tp,
        vpp=_size(args, "virtual_pipeline_model_parallel_size"),
    )


def _size(args: Mapping[str, Any], name: str) -> int:
    return args.get(name) or 1


def split_of(args: Mapping[str, Any]) -> Split:
    """How its layers are dealt out."""
    return Split(
        layout=str(args.get("pipeline_model_parallel_layout") or ""),
        first=args.get("decoder_first_pipeline_num_layers") or 0,
        last=args.get("decoder_last_pipeline_num_layers") or 0,
        account_for_embedding=bool(args.get("account_for_embedding_in_pipeline_split")),
        account_for_loss=bool(args.get("account_for_loss_in_pipeline_split")),
    )


def config_of(args: Mapping[str, Any]) -> ModelConfig:
    """The model that the arguments describe; vocab_size is 0 where they name the padded one only.

    Raises ValueError for arguments that are missing and for models that are computed otherwise here.
    """
    needed = ("num_layers", "hidden_size", "ffn_hidden_size", "num_attention_heads")
    if missing := [name for name in needed if not args.get(name)]:
        raise ValueError(f"the checkpoint's args lack {', '.join(missing)}: put config.json into its folder hf/")
    wrong = {
        name: args[name]
        for name, value in (("normalization", "RMSNorm"), ("swiglu", True), ("add_bias_linear", False))
        if args.get(name, value) != value
    }
    if wrong:
        raise ValueError(f"the checkpoint's args {wrong}: only RMSNorm and SwiGLU without biases are computed here")
    fields: dict[str, Any] = {
        "vocab_size": args.get("vocab_size") or 0,
        "hidden_size": args["hidden_size"],
        "num_hidden_layers": args["num_layers"],
        "num_attention_heads": args["num_attention_heads"],
        "intermediate_size": args["ffn_hidden_size"],
        "qk_layernorm": bool(args.get("qk_layernorm")),
        "rope_theta": float(args.get("rotary_base", 10000)),
        "rms_norm_eps": args.get("norm_epsilon", 1e-5),
        "max_position_embeddings": args.get("max_position_embeddings") or 4096,
        "initializer_range": args.get("init_method_std", 0.02),
        "tie_word_embeddings": not args.get("untie_embeddings_and_output_weights"),
        # num_mtp_predictor and mtp_loss_coeff are what FlagScale's older forks call them.
        "num_nextn_predict_layers": args.get("mtp_num_layers") or args.get("num_mtp_predictor") or 0,
        "mtp_loss_weight": args.get("mtp_loss_scaling_factor") or args.get("mtp_loss_coeff") or 0.1,
    }
    return ModelConfig(**fields, **_attention_fields(args), **_expert_fields(args))


def _attention_fields(args: Mapping[str, Any]) -> dict[str, Any]:
    if not args.get("multi_latent_attention"):
        grouped = args.get("group_query_attention")
        return {
            "attention": "gqa",
            "num_key_value_heads": (args.get("num_query_groups") or 0) if grouped else 0,
            "head_dim": args.get("kv_channels") or 0,
            "attention_bias": bool(args.get("add_qkv_bias")),
            "rope_interleave": bool(args.get("rotary_interleaved")),
        }
    yarn = None
    if args.get("rope_type", "yarn") == "yarn":
        yarn = Yarn(
            factor=args.get("rotary_scaling_factor", 40.0),
            original_max_position_embeddings=args.get("original_max_position_embeddings", 4096),
            beta_fast=args.get("beta_fast", 32.0),
            beta_slow=args.get("beta_slow", 1.0),
            mscale=args.get("mscale", 1.0),
            mscale_all_dim=args.get("mscale_all_dim", 0.0),
        )
    return {
        "q_lora_rank": args.get("q_lora_rank"),
        "kv_lora_rank": args["kv_lora_rank"],
        "qk_nope_head_dim": args["qk_head_dim"],
        "qk_rope_head_dim": args["qk_pos_emb_head_dim"],
        "v_head_dim": args["v_head_dim"],
        "rope_scaling": yarn,
    }


def _expert_fields(args: Mapping[str, Any]) -> dict[str, Any]:
    num_experts = args.get("num_experts") or 0
    if not num_experts:
        return {"n_routed_experts": 0, "n_shared_experts": 0, "first_k_dense_replace": 0}
    layers, freq = args["num_layers"], args.get("moe_layer_freq", 1)
    pattern = freq if isinstance(freq, list) else [int(layer % freq == 0) for layer in range(layers)]
    dense = pattern.index(1) if 1 in pattern else layers
    if pattern != [0] * dense + [1] * (layers - dense):
        raise ValueError(f"moe_layer_freq={freq}: only leading dense layers are computed here")
    inner, shared = args["moe_ffn_hidden_size"], args.get("moe_shared_expert_intermediate_size") or 0
    if shared % inner:
        raise ValueError(f"moe_shared_expert_intermediate_size={shared} is no multiple of moe_ffn_hidden_size={inner}")
    groups = args.get("moe_router_num_groups") or 1
    bias, score = bool(args.get("moe_router_enable_expert_bias")), args.get("moe_router_score_function", "softmax")
    return {
        "n_routed_experts": num_experts,
        "moe_intermediate_size": inner,
        "num_experts_per_tok": args.get("moe_router_topk", 2),
        "n_shared_experts": shared // inner,
        "scoring_func": score,
        "topk_method": "noaux_tc" if bias else "group_limited_greedy" if groups > 1 else "greedy",
        "n_group": groups,
        "topk_group": args.get("moe_router_group_topk") or 1,
        "first_k_dense_replace": dense,
        "routed_scaling_factor": args.get("moe_router_topk_scaling_factor") or 1.0,
        "norm_topk_prob": score == "sigmoid" or not args.get("moe_router_pre_softmax"),
        "bias_update_rate": args.get("moe_router_bias_update_rate", 1e-3),
        "aux_loss_alpha": args.get("moe_aux_loss_coeff", 0.0),
        "router_z_loss_alpha": args.get("moe_z_loss_coeff") or 0.0,
    }
