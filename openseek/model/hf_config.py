"""config.json of the Hugging Face layout <-> ModelConfig, for every transformers class that computes one of our models.

FAMILIES is the one table for both directions. A ModelConfig that no class computes (sqrtsoftplus routing, qk_layernorm
switched off under latent attention, experts under grouped-query attention, ...) is written with model_type "openseek":
this code reads it back, transformers does not, and `export` refuses it by `obstacles`.

No torch here: converters plan with this module.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openseek.model.config import ModelConfig, Yarn

OWN_TYPE = "openseek"
"""model_type of a model that no transformers class computes."""
OWN_SECTION = "openseek"
"""Entry of config.json with the fields of ModelConfig that no HF entry says: kept apart, so that no reader errs."""
TRAINING_FIELDS = ("bias_update_rate", "router_z_loss_alpha", "mtp_loss_weight", "scaled_init")
"""Fields that every config.json says in that section; others only where they are not as without it."""
UNSAID: dict[str, Any] = {"num_nextn_predict_layers": 0, "n_shared_experts": 0, "first_k_dense_replace": 0}
"""Fields that are not as ModelConfig's default where config.json says nothing of them."""

COMMON = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "rms_norm_eps")
COMMON += ("max_position_embeddings", "initializer_range", "tie_word_embeddings")
LATENT = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "attention_bias")
GROUPED = ("num_key_value_heads", "head_dim")
EXPERTS = ("moe_intermediate_size", "n_routed_experts", "num_experts_per_tok", "n_shared_experts", "n_group")
EXPERTS += ("topk_group", "first_k_dense_replace", "routed_scaling_factor", "aux_loss_alpha")

ABSENT: dict[str, Any] = {
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "aux_loss_alpha": 1e-4,
    "num_nextn_predict_layers": 0,
    "rope_interleave": True,
}
"""What an absent entry means in every class; an entry that says the model's size must be there."""
NULL: dict[str, Any] = {
    "q_lora_rank": None,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 0,
    "n_routed_experts": 0,
    "num_nextn_predict_layers": 0,
    "num_key_value_heads": 0,
    "head_dim": 0,
}
"""What a null entry means."""
ROPE_THETA = 10000.0
"""Base of the rotary frequencies where none is given."""


@dataclass(frozen=True)
class Family:
    """One transformers class: which fields its config.json has, and what it always computes."""

    architecture: str
    """Name of the class."""
    fields: tuple[str, ...]
    """Fields of ModelConfig that config.json has under the same name."""
    entries: dict[str, Any]
    """Entries of config.json that have one value only; those that ModelConfig has, too, must have it there."""
    implied: dict[str, Any]
    """Fields of ModelConfig that have one value only and no entry."""
    absent: dict[str, Any]
    """What an absent entry means, beyond ABSENT."""


_ALWAYS = {"hidden_act": "silu", "attention_dropout": 0.0}
_LATENT_ENTRIES = {**_ALWAYS, "moe_layer_freq": 1, "seq_aux": True}
_DENSE_GROUPED = {"attention": "gqa", "rope_interleave": False, "n_routed_experts": 0, "residual": "add"}

FAMILIES: dict[str, Family] = {
    "deepseek_v3": Family(
        "DeepseekV3ForCausalLM",
        (*COMMON, *LATENT, *EXPERTS, "norm_topk_prob", "num_nextn_predict_layers", "rope_interleave"),
        {**_LATENT_ENTRIES, "scoring_func": "sigmoid", "topk_method": "noaux_tc"},
        {"attention": "mla", "qk_layernorm": True, "residual": "add"},
        {"norm_topk_prob": True, "routed_scaling_factor": 2.5, "max_position_embeddings": 4096},
    ),
    # transformers computes no renormalisation here whatever norm_topk_prob says; the released models have it off.
    "deepseek_v2": Family(
        "DeepseekV2ForCausalLM",
        (*COMMON, *LATENT, *EXPERTS, "topk_method"),
        {**_LATENT_ENTRIES, "scoring_func": "softmax", "norm_topk_prob": False, "mlp_bias": False},
        {"attention": "mla", "qk_layernorm": True, "rope_interleave": True, "residual": "add"},
        {"topk_method": "greedy", "routed_scaling_factor": 1.0, "max_position_embeddings": 2048}
        | {"n_group": 1, "topk_group": 1},
    ),
    "qwen2": Family(
        "Qwen2ForCausalLM",
        (*COMMON, *GROUPED),
        {**_ALWAYS, "use_sliding_window": False},
        {**_DENSE_GROUPED, "attention_bias": True, "qk_layernorm": False},
        {"max_position_embeddings": 32768, "head_dim": 0},
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM",
        (*COMMON, *GROUPED),
        {**_ALWAYS, "use_sliding_window": False, "attention_bias": False},
        {**_DENSE_GROUPED, "qk_layernorm": True},
        {"max_position_embeddings": 32768, "head_dim": 128},
    ),
    "llama": Family(
        "LlamaForCausalLM",
        (*COMMON, *GROUPED),
        {**_ALWAYS, "attention_bias": False, "mlp_bias": False},
        {**_DENSE_GROUPED, "qk_layernorm": False},
        {"max_position_embeddings": 2048, "head_dim": 0, "num_key_value_heads": 0},
    ),
}
"""model_type -> its class, in the order in which `model_type` tries them."""

KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "use_cache", "pretraining_tp", "ep_size")
"""Entries without effect on the computation that `hf_config` carries over from an earlier config.json."""
HARMLESS = {
    *KEPT,
    *("model_type", "architectures", "auto_map", "torch_dtype", "dtype", "transformers_version", "rope_theta"),
    *("rope_scaling", "rope_parameters", "quantization_config", "num_key_value_heads", "head_dim", "qk_head_dim"),
    *("sliding_window", "max_window_layers", "layer_types", "output_router_logits", "output_hidden_states"),
    *("output_attentions", "return_dict", "is_encoder_decoder", "chunk_size_feed_forward", "problem_type", "id2label"),
    *("label2id", "name_or_path", "unsloth_version", "unsloth_fixed", OWN_SECTION),
}
"""Entries of config.json that change nothing, or that are looked at apart."""
OFF = {"use_mrope": False, "mlp_bias": False, "partial_rotary_factor": 1.0}
"""Entries that change nothing as long as they have this value; an unknown entry that is null changes nothing either."""


def obstacles(config: ModelConfig, model_type: str) -> list[str]:
    """Why the transformers class of `model_type` would not compute this model; empty if it does."""
    family = FAMILIES[model_type]
    fixed = family.entries | family.implied
    found = [
        f"{name}={getattr(config, name)!r} is not {value!r}"
        for name, value in fixed.items()
        if hasattr(config, name) and getattr(config, name) != value
    ]
    if model_type == "deepseek_v2" and config.hidden_size % config.num_attention_heads:
        found.append(f"num_attention_heads={config.num_attention_heads} does not divide hidden_size")
    if model_type == "deepseek_v2" and config.topk_method == "noaux_tc":
        found.append("topk_method='noaux_tc' is not 'greedy' or 'group_limited_greedy'")
    return found


def model_type(config: ModelConfig) -> str:
    """The model_type whose transformers class computes this model exactly; OWN_TYPE if there is none."""
    return next((name for name in FAMILIES if not obstacles(config, name)), OWN_TYPE)


def hf_config(
    config: ModelConfig, dtype: str, eod: int | None = None, keep: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The content of config.json.

    dtype: name of the weights' type ("bfloat16"). eod: id of the end-of-document token, if known. keep: an earlier
    config.json, whose token ids and other harmless entries are carried over.
    """
    kind = model_type(config)
    fields = dataclasses.asdict(config)
    written = {name: value for name, value in (keep or {}).items() if name in KEPT}
    written = {"bos_token_id": None, "eos_token_id": None} | written
    if eod is not None:
        written["eos_token_id"] = eod
    if kind == OWN_TYPE:
        body, apart = fields, ()
    else:
        family = FAMILIES[kind]
        body = {name: fields[name] for name in family.fields} | family.entries
        said = (*family.fields, *family.entries, *family.implied, "rope_theta", "rope_scaling")
        apart = [field for field in dataclasses.fields(config) if field.name not in said]
        body["num_key_value_heads"] = config.kv_heads if config.attention == "gqa" else config.num_attention_heads
        if config.attention == "gqa":
            body["head_dim"] = config.rotary_dim
        elif not config.n_routed_experts:
            body["first_k_dense_replace"] = config.num_hidden_layers
    return {
        "architectures": [FAMILIES[kind].architecture if kind in FAMILIES else "OpenSeekForCausalLM"],
        "model_type": kind,
        **body,
        "rope_theta": config.rope_theta,
        "rope_scaling": _rope_scaling(config.rope_scaling),
        **written,
        "torch_dtype": dtype,
        OWN_SECTION: {
            field.name: fields[field.name]
            for field in apart
            if field.name in TRAINING_FIELDS or fields[field.name] != UNSAID.get(field.name, field.default)
        },
    }


def _rope_scaling(yarn: Yarn | None) -> dict[str, Any] | None:
    """The entry as the released files have it, which every version of transformers reads."""
    if yarn is None:
        return None
    scaling = {"type": "yarn", **dataclasses.asdict(yarn)}
    if not yarn.mscale and not yarn.mscale_all_dim:
        del scaling["mscale"], scaling["mscale_all_dim"]
    return scaling


def read_config(directory: Path) -> ModelConfig:
    """The ModelConfig of a checkpoint folder. Raises ValueError for a model that this code would compute wrongly."""
    raw = read_json(directory)
    try:
        return config_from_hf(raw)
    except ValueError as error:
        raise ValueError(f"{directory / 'config.json'}: {error}") from error


def read_json(directory: Path) -> dict[str, Any]:
    """The content of a folder's config.json; ValueError if there is none."""
    path = directory / "config.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the folder of a checkpoint in the Hugging Face layout")
    return json.loads(path.read_text(encoding="utf-8"))


def config_from_hf(raw: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig of the content of a config.json.

    Raises ValueError that names every entry which asks for something else than its class computes here, is missing, or
    is unknown: an unknown one may change the computation. Remove it if it does not.
    """
    kind = raw.get("model_type")
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    own = dict(raw.get(OWN_SECTION) or {})
    if kind == OWN_TYPE:
        _refuse_unknown(raw, names)
        values = {name: raw[name] for name in names if name in raw}
    elif kind in FAMILIES:
        family = FAMILIES[kind]
        _refuse_unknown(raw, {*family.fields, *family.entries})
        said = {*family.fields, *family.entries, *family.implied, "rope_theta", "rope_scaling"} - {"aux_loss_alpha"}
        if wrong := [name for name in own if name in said or name not in names]:
            raise ValueError(f"{_named(own, wrong)} in the section {OWN_SECTION!r} contradicts model_type {kind!r}")
        values = _values(raw, family)
    else:
        raise ValueError(f"model_type {kind!r} is read nowhere here; known: {', '.join(FAMILIES)}, {OWN_TYPE}")
    values["rope_theta"], values["rope_scaling"] = _rope(raw)
    config = ModelConfig(**UNSAID | values | own)
    if kind in FAMILIES and (wrong := obstacles(config, kind)):
        raise ValueError(f"{'; '.join(wrong)}: {FAMILIES[kind].architecture} does not compute that")
    return config


def _refuse_unknown(raw: Mapping[str, Any], known: set[str]) -> None:
    """Raise ValueError for entries that may change the computation in a way that this code knows nothing of."""
    unknown = [
        name
        for name, value in raw.items()
        if name not in known | HARMLESS and not name.startswith("_") and value not in (None, OFF.get(name))
    ]
    if unknown:
        raise ValueError(
            f"{_named(raw, unknown)} may change what {raw['model_type']} computes and is not known here; remove it if "
            "it changes nothing"
        )


def _named(raw: Mapping[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}={raw[name]!r}" for name in names)


def _values(raw: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Fields of ModelConfig from the entries of one family's config.json."""
    wrong = [name for name, value in family.entries.items() if raw.get(name, value) not in (value, None)]
    if "kv_lora_rank" in family.fields:
        rotary = raw.get("qk_rope_head_dim") or 0
        heads, width = raw.get("num_attention_heads"), rotary + (raw.get("qk_nope_head_dim") or 0)
        known = {"num_key_value_heads": (heads, None), "qk_head_dim": (width,), "head_dim": (rotary, width, None)}
        wrong += [name for name, allowed in known.items() if raw.get(name, allowed[0]) not in allowed]
    wrong += ["layer_types"] if set(raw.get("layer_types") or ()) - {"full_attention"} else []
    if wrong:
        fixed = ", ".join(f"{name}={value!r}" for name, value in family.entries.items())
        raise ValueError(f"not supported: {_named(raw, wrong)}; {family.architecture} is computed here with {fixed}")
    given = ABSENT | family.absent | {name: raw[name] for name in family.fields if name in raw}
    given = {name: NULL.get(name) if value is None else value for name, value in given.items()}
    dense = given.get("n_routed_experts") == 0
    missing = [
        name
        for name in family.fields
        if given.get(name) is None and name != "q_lora_rank" and not (dense and name in EXPERTS)
    ]
    missing += ["q_lora_rank (null without one)"] if {"q_lora_rank"} & set(family.fields) - set(given) else []
    if missing:
        raise ValueError(f"{', '.join(missing)} missing: without it the model's shape is not known")
    values = {name: given[name] for name in family.fields if given.get(name) is not None}
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    return family.implied | values | {name: value for name, value in family.entries.items() if name in fields}


def _rope(raw: Mapping[str, Any]) -> tuple[float, Yarn | None]:
    """(rope_theta, rope_scaling) from `rope_scaling` or, as transformers 5 writes it, `rope_parameters`."""
    forms = [dict(raw[name]) for name in ("rope_scaling", "rope_parameters") if raw.get(name)]
    if len(forms) == 2:
        raise ValueError("rope_scaling and rope_parameters are both given: keep one of them")
    rope = forms[0] if forms else {}
    theta = float(rope.pop("rope_theta", None) or raw.get("rope_theta") or ROPE_THETA)
    old = rope.pop("type", None)
    kind = rope.pop("rope_type", None) or old or "default"
    if kind not in ("default", "yarn"):
        raise ValueError(f"rope_scaling of type {kind!r} is not supported; supported: yarn, default")
    fixed = {"attention_factor": None, "truncate": True, "partial_rotary_factor": 1.0}
    wrong = [name for name, value in fixed.items() if rope.get(name) not in (value, None)]
    allowed = {field.name for field in dataclasses.fields(Yarn)} if kind == "yarn" else set()
    wrong += [name for name in rope if name not in allowed and name not in fixed]
    if wrong:
        raise ValueError(f"rope_scaling of type {kind!r} with {_named(rope, wrong)} is not supported")
    if kind == "default":
        return theta, None
    given: dict[str, Any] = {name: value for name, value in rope.items() if name in allowed and value is not None}
    longest = raw.get("max_position_embeddings") or 0
    original = given.setdefault("original_max_position_embeddings", longest)
    given.setdefault("factor", longest / max(original, 1))
    return theta, Yarn(**{"mscale": 0.0, "mscale_all_dim": 0.0, **given})


def fp8_block(raw: Mapping[str, Any]) -> tuple[int, int] | None:
    """(rows, columns) that one scale of an FP8 weight covers, from `quantization_config`; None for plain weights.

    Raises ValueError for any other quantisation.
    """
    quantization = raw.get("quantization_config")
    if not quantization:
        return None
    block = quantization.get("weight_block_size") or ()
    allowed = {"quant_method": ("fp8",), "fmt": ("e4m3", None), "activation_scheme": ("dynamic", None)}
    allowed["scale_fmt"] = ("ue8m0", "float", None)
    wrong = [name for name, values in allowed.items() if quantization.get(name) not in values]
    if wrong or len(block) != 2 or min(block) < 1:
        raise ValueError(
            f"quantization_config {quantization} is not supported: FP8 (e4m3) with weight_block_size [rows, columns] is"
        )
    return block[0], block[1]
