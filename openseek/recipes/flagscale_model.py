"""The model of a FlagScale task file: Megatron's words to fields of ModelConfig and back."""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Mapping
from typing import Any

from openseek.model.config import ModelConfig, Yarn
from openseek.recipes.flagscale_keys import ALIASES, EXPERTS, LATENT, MODEL, NEEDED, ONLY, PREDICTION, Only, Same

MOST_LAYERS = 10_000
Fields = dict[str, Any]
"""Values of fields below `pretrain` by dotted name."""


class Keys:
    """The leaf keys of a task file; it keeps account of what each became, and of all that cannot be followed."""

    def __init__(self, values: Mapping[str, tuple[str, Any]]) -> None:
        self._values = dict(values)
        self.used: dict[str, str] = {}
        self.problems: list[str] = []

    def __contains__(self, name: str) -> bool:
        """Whether the file gives the key a value; null is none, and so is the text None, which users write for it."""
        return self._values.get(name, ("", None))[1] not in (None, "None")

    def path(self, name: str) -> str:
        """Where the key stands, for messages."""
        return self._values[name][0] if name in self._values else name

    def take(self, name: str, default: Any = None) -> Any:
        """The key's value, or `default` without it (NEEDED: that is a problem, and None)."""
        if name in self:
            return self._values[name][1]
        if default is NEEDED:
            self.problems.append(f"{name} is missing")
            return None
        return default

    def note(self, name: str, became: str) -> None:
        """Record what a key became, where the file gives it."""
        if name in self._values:
            self.used[self.path(name)] = became

    def refuse(self, name: str, why: str) -> None:
        """Record that a key's value cannot be followed."""
        self.problems.append(f"{self.path(name)}={self.take(name)!r}: {why}")

    def same(self, table: Mapping[str, Same], fields: Fields) -> None:
        """Take the keys of a table into `fields`."""
        for name, same in table.items():
            value = self.take(name, same.default)
            if value is not None or same.default is None:
                fields[same.field] = value
            self.note(name, f"pretrain.{same.field}={value}")

    def only(self, name: str, only: Only) -> None:
        """Check a key of which one value can be followed."""
        value = self.take(name, only.default)
        self.note(name, f"as it is here: {only.why}")
        if value != only.value:
            given = f"{self.path(name)}={value!r}" if name in self else f"{name} is missing, which means {value!r}"
            self.problems.append(f"{given}: {only.why}; {name}: {_yaml(only.value)} can be followed")

    def without_effect(self, names: Any, why: str) -> None:
        """Record keys that do nothing in this file."""
        for name in names:
            self.note(name, f"without effect: {why}")


def _yaml(value: Any) -> str:
    return (
        {True: "true", False: "false", None: "null"}.get(value, str(value))
        if not isinstance(value, float)
        else str(value)
    )


def leaves(tree: Any, path: str) -> dict[str, tuple[str, Any]]:
    """{key: (its whole path, value)} of the leaves below `path`; ValueError where two leaves have one name."""
    found: dict[str, tuple[str, Any]] = {}
    for name, value in tree.items():
        whole = f"{path}.{name}"
        name = str(name).replace("-", "_")
        inner = leaves(value, whole) if isinstance(value, dict) and name != "openseek" else {name: (whole, value)}
        inner = {ALIASES.get(key, key): each for key, each in inner.items()}
        for key in sorted(set(inner) & set(found)):
            (first, value), (second, other) = found[key], inner[key]
            if value != other:
                raise ValueError(f"{first} and {second} are one argument of Megatron: give it once")
        found |= inner
    return found


def nearest(name: str, known: Any) -> str:
    """A hint at the key that may have been meant."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def read_model(keys: Keys, tensor_parallel: int) -> Fields:
    """The fields of the model; what cannot be followed is left in keys.problems."""
    # Megatron draws output projections smaller, whatever the file says.
    fields: Fields = {"model.scaled_init": True}
    for name, only in ONLY.items():
        keys.only(name, only)
    keys.same(MODEL, fields)
    fields["model.intermediate_size"] = _feed_forward(keys)
    _positions(keys)
    _attention(keys, fields)
    _rotary(keys, fields)
    _experts(keys, fields)
    if keys.take("mtp_num_layers", 0):
        keys.same(PREDICTION, fields)
    else:
        fields["model.num_nextn_predict_layers"] = 0
        keys.note("mtp_num_layers", "pretrain.model.num_nextn_predict_layers=0")
        keys.without_effect(["mtp_loss_scaling_factor"], "there are no blocks of multi-token prediction")
    untied = bool(keys.take("untie_embeddings_and_output_weights", False))
    fields["model.tie_word_embeddings"] = not untied
    keys.note("untie_embeddings_and_output_weights", f"pretrain.model.tie_word_embeddings={not untied}")
    fields["model.vocab_size"] = _vocabulary(keys, tensor_parallel)
    return fields


def _feed_forward(keys: Keys) -> int | None:
    """Inner width of the dense layers; from the multiplier that FlagScale has for it where the width is not given."""
    names = ("hidden_dim_multiplier", "multiple_of")
    if keys.take("hidden_dim_multiplier") is None:
        keys.without_effect(names, "ffn_hidden_size is the width")
        width = keys.take("ffn_hidden_size", NEEDED)
    else:
        if "ffn_hidden_size" in keys:
            keys.refuse("ffn_hidden_size", "hidden_dim_multiplier says another width: leave one of them out")
        width = int(int(8 * (keys.take("hidden_size", 0) or 0) / 3) * keys.take("hidden_dim_multiplier"))
        multiple = keys.take("multiple_of", 1)
        width = math.ceil(width / multiple) * multiple
        for name in names:
            keys.note(name, f"pretrain.model.intermediate_size={width}")
    keys.note("ffn_hidden_size", f"pretrain.model.intermediate_size={width}")
    return width


def _positions(keys: Keys) -> None:
    rotary = keys.take("use_rotary_position_embeddings", False)
    kind = keys.take("position_embedding_type", "rope" if rotary else "learned_absolute")
    for name in ("use_rotary_position_embeddings", "position_embedding_type"):
        keys.note(name, "as it is here: positions are rotary")
    if kind not in ("rope", "yarn"):
        keys.problems.append(f"position_embedding_type is {kind!r}: positions are rotary here; rope can be followed")


def _attention(keys: Keys, fields: Fields) -> None:
    latent = bool(keys.take("multi_latent_attention", False))
    grouped = bool(keys.take("group_query_attention", False))
    heads = keys.take("num_attention_heads", 1)
    fields["model.attention"] = "mla" if latent else "gqa"
    keys.note("multi_latent_attention", f"pretrain.model.attention={fields['model.attention']}")
    bias = bool(keys.take("add_qkv_bias", False))
    if latent:
        keys.same(LATENT, fields)
        keys.without_effect(("group_query_attention", "num_query_groups", "kv_channels"), "attention is latent")
        keys.note("add_qkv_bias", "pretrain.model.attention_bias=False")
        if bias:
            keys.refuse("add_qkv_bias", "latent attention has no such biases")
        return
    keys.without_effect(LATENT, "attention is not latent")
    groups = keys.take("num_query_groups", 1) if grouped else heads
    fields["model.num_key_value_heads"] = groups
    fields["model.head_dim"] = keys.take("kv_channels", 0) or (keys.take("hidden_size", 0) or 0) // (heads or 1)
    fields["model.attention_bias"] = bias
    for name in ("group_query_attention", "num_query_groups"):
        keys.note(name, f"pretrain.model.num_key_value_heads={groups}")
    keys.note("kv_channels", f"pretrain.model.head_dim={fields['model.head_dim']}")
    keys.note("add_qkv_bias", f"pretrain.model.attention_bias={bias}")


YARN = {
    "rotary_scaling_factor": ("factor", 1.0),
    "original_max_position_embeddings": ("original_max_position_embeddings", 4096),
    "beta_fast": ("beta_fast", 32.0),
    "beta_slow": ("beta_slow", 1.0),
    "mscale": ("mscale", 1.0),
    "mscale_all_dim": ("mscale_all_dim", 0.0),
}
"""Keys of stretched rotary frequencies -> (field of Yarn, what Megatron takes without the key)."""


def _rotary(keys: Keys, fields: Fields) -> None:
    latent = fields["model.attention"] == "mla"
    kind = keys.take("rope_type", "yarn" if latent else "rope")
    keys.note("rope_type", f"rotary frequencies: {kind}")
    if kind not in ("rope", "yarn"):
        keys.refuse("rope_type", "use rope or yarn")
    values = {field: keys.take(name, default) for name, (field, default) in YARN.items()}
    stretched = kind == "yarn" and values["factor"] > 1
    fields["model.rope_scaling"] = Yarn(**values) if stretched else None
    for name, (field, _) in YARN.items():
        if stretched:
            keys.note(name, f"pretrain.model.rope_scaling.{field}={values[field]}")
    if not stretched:
        keys.without_effect(YARN, "rotary frequencies are not stretched")
    interleaved = bool(keys.take("rotary_interleaved", False))
    # Megatron's latent attention reorders the pairs itself, as the released DeepSeek weights need it.
    fields["model.rope_interleave"] = latent or interleaved
    keys.note("rotary_interleaved", f"pretrain.model.rope_interleave={latent or interleaved}")
    if latent and interleaved:
        keys.refuse("rotary_interleaved", "latent attention turns neighbouring pairs without it: leave the key out")


def _experts(keys: Keys, fields: Fields) -> None:
    if not keys.take("num_experts", 0):
        fields |= {"model.n_routed_experts": 0, "model.n_shared_experts": 0, "model.first_k_dense_replace": 0}
        keys.note("num_experts", "pretrain.model.n_routed_experts=0")
        keys.without_effect([*EXPERTS, *ROUTER], "there are no experts")
        return
    keys.same(EXPERTS, fields)
    fields["model.first_k_dense_replace"] = _dense_layers(keys)
    width, shared = keys.take("moe_ffn_hidden_size", 0), keys.take("moe_shared_expert_intermediate_size", 0)
    count, rest = divmod(shared, width or 1)
    if rest:
        keys.refuse("moe_shared_expert_intermediate_size", f"make it a multiple of moe_ffn_hidden_size={width}")
    fields["model.n_shared_experts"] = count
    keys.note("moe_shared_expert_intermediate_size", f"pretrain.model.n_shared_experts={count}")
    _router(keys, fields)


ROUTER = (
    *("moe_layer_freq", "moe_shared_expert_intermediate_size", "moe_router_enable_expert_bias"),
    *("moe_router_pre_softmax", "moe_router_load_balancing_type"),
)


def _router(keys: Keys, fields: Fields) -> None:
    bias = bool(keys.take("moe_router_enable_expert_bias", False))
    groups = fields["model.n_group"] > 1
    method = "noaux_tc" if bias else "group_limited_greedy" if groups else "greedy"
    fields["model.topk_method"] = method
    keys.note("moe_router_enable_expert_bias", f"pretrain.model.topk_method={method}")
    # Megatron scores a group by its best topk / group_topk experts; this model by two, or without the bias by one.
    best = fields["model.num_experts_per_tok"] // fields["model.topk_group"]
    if groups and best != (2 if bias else 1):
        why = f"a group would be scored by its best {best} experts; here it is by {2 if bias else 1}"
        keys.refuse("moe_router_group_topk", why)
    first = bool(keys.take("moe_router_pre_softmax", False))
    fields["model.norm_topk_prob"] = fields["model.scoring_func"] != "softmax" or not first
    keys.note("moe_router_pre_softmax", f"pretrain.model.norm_topk_prob={fields['model.norm_topk_prob']}")
    balance = keys.take("moe_router_load_balancing_type", "aux_loss")
    keys.note(
        "moe_router_load_balancing_type", "the sequence-wise balance loss, weighed by pretrain.model.aux_loss_alpha"
    )
    if balance == "none":
        fields["model.aux_loss_alpha"] = 0.0
    elif balance != "seq_aux_loss" and fields["model.aux_loss_alpha"]:
        keys.problems.append(
            f"moe_router_load_balancing_type is {balance!r}: the balance loss is taken for each sequence here; "
            "seq_aux_loss or none can be followed"
        )


def _dense_layers(keys: Keys) -> int:
    """Leading layers without experts, from moe_layer_freq."""
    layers, given = keys.take("num_layers", 0) or 0, keys.take("moe_layer_freq", 1)
    try:
        pattern = layer_pattern(given, layers)
    except ValueError as error:
        keys.refuse("moe_layer_freq", str(error))
        return 0
    dense = pattern.index(1) if 1 in pattern else len(pattern)
    keys.note("moe_layer_freq", f"pretrain.model.first_k_dense_replace={dense}")
    if 0 in pattern[dense:]:
        keys.refuse("moe_layer_freq", "dense layers come first here, and all others have experts")
    return dense


def layer_pattern(given: Any, num_layers: int) -> list[int]:
    """1 for a layer with experts and 0 for a dense one, from Megatron's moe_layer_freq.

    That is a number N (every N-th layer has experts), a list, or a sum of products of lists such as "[0]+[1]*5".
    ValueError says what is wrong with it.
    """
    if isinstance(given, str):
        try:
            given = _evaluated(ast.parse(given.strip(), mode="eval").body)
        except SyntaxError as error:
            raise ValueError("write it as [0]+[1]*5") from error
    if isinstance(given, int) and given > 0:
        return [int(layer % given == 0) for layer in range(num_layers)]
    if not isinstance(given, list) or any(value not in (0, 1) for value in given):
        raise ValueError("it must be a number above 0, or a list of 0 and 1 such as [0]+[1]*5")
    if len(given) != num_layers:
        raise ValueError(f"it has {len(given)} layers and num_layers is {num_layers}")
    return given


def _evaluated(node: ast.expr) -> Any:
    """A literal of lists and whole numbers, + of two lists and * of a list and a number; nothing else is run."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.List):
        return [_evaluated(each) for each in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _evaluated(node.left), _evaluated(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            return left + right
        if isinstance(left, int):
            left, right = right, left
        if isinstance(node.op, ast.Mult) and isinstance(left, list) and isinstance(right, int):
            if len(left) * right > MOST_LAYERS:
                raise ValueError(f"it has more than {MOST_LAYERS} layers")
            return left * right
    raise ValueError("only lists, whole numbers, + and * are read, such as [0]+[1]*5")


def _vocabulary(keys: Keys, tensor_parallel: int) -> int:
    """Rows of the embedding: the vocabulary made divisible as Megatron does it; 0 where the file does not say."""
    padded, size = keys.take("padded_vocab_size", 0), keys.take("vocab_size", 0)
    multiple = keys.take("make_vocab_size_divisible_by", 128) * tensor_parallel
    rows = padded or math.ceil(size / multiple) * multiple
    for name in ("padded_vocab_size", "vocab_size", "make_vocab_size_divisible_by"):
        keys.note(name, f"pretrain.model.vocab_size={rows or 'that of the tokenizer'}")
    return rows


def written_model(config: ModelConfig) -> dict[str, Any]:
    """Keys of a model, as near as Megatron's words come to it; without those of MODEL and the other tables."""
    keys: dict[str, Any] = {
        "ffn_hidden_size": config.intermediate_size,
        "multi_latent_attention": config.attention == "mla",
        "position_embedding_type": "rope",
        "untie_embeddings_and_output_weights": not config.tie_word_embeddings,
        "rope_type": "yarn" if config.rope_scaling else "rope",
    }
    if config.vocab_size:
        keys["padded_vocab_size"] = config.vocab_size
    if config.attention == "gqa":
        keys |= {"group_query_attention": True, "num_query_groups": config.kv_heads, "kv_channels": config.rotary_dim}
        keys |= {"add_qkv_bias": config.attention_bias, "rotary_interleaved": config.rope_interleave}
    if config.rope_scaling:
        keys |= {name: getattr(config.rope_scaling, field) for name, (field, _) in YARN.items()}
    if config.n_routed_experts:
        dense = config.first_k_dense_replace
        keys |= {
            "moe_layer_freq": f"[0]*{dense}+[1]*{config.num_hidden_layers - dense}",
            "moe_shared_expert_intermediate_size": config.n_shared_experts * config.moe_intermediate_size,
            "moe_router_enable_expert_bias": config.has_router_bias,
            "moe_router_pre_softmax": config.scoring_func == "softmax" and not config.norm_topk_prob,
            "moe_router_load_balancing_type": "seq_aux_loss",
        }
    return keys
