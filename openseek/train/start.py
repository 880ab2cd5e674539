"""The model that pretraining starts with: random weights, or a checkpoint's, whose context may be lengthened."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.model.config import ModelConfig

if TYPE_CHECKING:
    from openseek.model.transformer import Transformer

MAY_DIFFER = (
    "rope_scaling",
    "max_position_embeddings",
    "initializer_range",
    "scaled_init",
    "bias_update_rate",
    "aux_loss_alpha",
    "router_z_loss_alpha",
    "mtp_loss_weight",
)
"""Fields of a model that another training of it may change: how far it reads, and how it is trained."""
UNREAD = {
    "mla": ("num_key_value_heads", "head_dim"),
    "gqa": ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
}
"""Fields that a kind of attention does not look at."""
UNREAD_WHEN_DENSE = (
    "moe_intermediate_size",
    "num_experts_per_tok",
    "n_shared_experts",
    "scoring_func",
    "topk_method",
    "n_group",
    "topk_group",
    "first_k_dense_replace",
    "routed_scaling_factor",
    "norm_topk_prob",
)


def initial_model(
    shape: ModelConfig, vocab_size: int, tokenizer_file: Path, checkpoint: Path | None = None
) -> Transformer:
    """A model of `shape` with random weights from torch's generator, or with those of the checkpoint artifact.

    vocab_size, tokenizer_file: of the mixture; shape.vocab_size 0 becomes that size, or the checkpoint's. The
    checkpoint may have had another context length, and fewer rows of the vocabulary's padding: further ones are zero.
    Raises ValueError for a shape with too few rows, one that lists the
    fields in which the checkpoint is another model, and for another tokenizer.
    """
    import torch.nn.functional as F

    from openseek.model.hf import load_checkpoint
    from openseek.model.hf_config import read_config
    from openseek.model.transformer import Transformer

    if 0 < shape.vocab_size < vocab_size:
        raise ValueError(
            f"model.vocab_size={shape.vocab_size} is below the tokenizer's {vocab_size}: "
            "set it to 0, or to a padded size above"
        )
    if checkpoint is None:
        return Transformer(dataclasses.replace(shape, vocab_size=shape.vocab_size or vocab_size))
    source = checkpoint / "checkpoint"
    stored = read_config(source)
    shape = dataclasses.replace(shape, vocab_size=shape.vocab_size or stored.vocab_size)
    padded = dataclasses.replace(stored, vocab_size=max(stored.vocab_size, shape.vocab_size))
    if wrong := differences(shape, padded):
        raise ValueError(f"{source} holds another model: {'; '.join(wrong)}. Change the config's model to fit")
    theirs = source / "tokenizer.json"
    if theirs.is_file() and theirs.read_bytes() != tokenizer_file.read_bytes():
        raise ValueError(
            f"{theirs} is not the mixture's tokenizer, {tokenizer_file}: tokenize with the checkpoint's, and mix again"
        )
    model = Transformer(shape)
    state = load_checkpoint(source).state_dict()
    for name in ("embed_tokens.weight", "lm_head.weight"):
        if name in state:
            state[name] = F.pad(state[name], (0, 0, 0, shape.vocab_size - stored.vocab_size))
    model.load_state_dict(state)
    return model


def differences(shape: ModelConfig, stored: ModelConfig) -> list[str]:
    """Fields, as text, in which `shape` is another model than `stored`; what its kind does not read never counts."""

    def read(config: ModelConfig) -> dict[str, Any]:
        skipped = {*MAY_DIFFER, *UNREAD[config.attention], *(() if config.n_routed_experts else UNREAD_WHEN_DENSE)}
        fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in skipped}
        resolved = {"num_key_value_heads": config.kv_heads, "head_dim": config.rotary_dim}
        return {name: resolved.get(name, value) for name, value in fields.items()}

    ours, theirs = read(shape), read(stored)
    names = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    return [f"model.{name}={ours[name]!r}, the checkpoint has {theirs[name]!r}" for name in names]
