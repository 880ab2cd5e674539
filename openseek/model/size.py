"""What a model costs, from its config alone: parameters, FLOPs, bytes of training state and of the decoding cache.

No torch here: recipes and `--help` read this module. All counts are exact for the modules of openseek.model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from openseek.model.config import ModelConfig


def attention_parameters(config: ModelConfig) -> int:
    """Weights of one attention block, its small norms and biases included."""
    c = config
    if c.attention == "gqa":
        query, key = c.num_attention_heads * c.rotary_dim, c.kv_heads * c.rotary_dim
        weights = c.hidden_size * (2 * query + 2 * key)
        return weights + (query + 2 * key if c.attention_bias else 0) + (2 * c.rotary_dim if c.qk_layernorm else 0)
    heads_qk = c.num_attention_heads * c.qk_head_dim
    latents = [c.kv_lora_rank]
    query = c.hidden_size * heads_qk
    if c.q_lora_rank is not None:
        query = c.q_lora_rank * (c.hidden_size + heads_qk)
        latents.append(c.q_lora_rank)
    latent = c.hidden_size * (c.kv_lora_rank + c.qk_rope_head_dim)
    expand = c.kv_lora_rank * c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim)
    total = query + latent + expand + c.num_attention_heads * c.v_head_dim * c.hidden_size
    if c.attention_bias:
        total += (c.q_lora_rank or 0) + c.kv_lora_rank + c.qk_rope_head_dim + c.hidden_size
    return total + (sum(latents) if c.qk_layernorm else 0)


def _feed_forward(config: ModelConfig, layer: int, active: bool) -> int:
    """Weights of a layer's feed-forward part; with `active` only the experts that a token visits."""
    c = config
    if c.is_dense(layer):
        return 3 * c.hidden_size * c.intermediate_size
    experts = (c.num_experts_per_tok if active else c.n_routed_experts) + c.n_shared_experts
    return experts * 3 * c.hidden_size * c.moe_intermediate_size + c.n_routed_experts * c.hidden_size


def num_parameters(config: ModelConfig, active: bool = False) -> int:
    """Trained weights; with `active` only those that one token passes through (top-k experts instead of all).

    The multi-token prediction blocks count in the total and not among the active ones.
    """
    c = config
    block = attention_parameters(c) + 2 * c.hidden_size
    total = c.hidden_size + c.vocab_size * c.hidden_size * (1 if c.tie_word_embeddings else 2)
    total += sum(block + _feed_forward(c, layer, active) for layer in range(c.num_hidden_layers))
    return total if active else total + mtp_parameters(c)


def mtp_parameters(config: ModelConfig) -> int:
    """Weights of all multi-token prediction blocks, without the embedding and head that they share."""
    c = config
    block = attention_parameters(c) + _feed_forward(c, c.num_hidden_layers, False)
    return c.num_nextn_predict_layers * (block + 2 * c.hidden_size**2 + 5 * c.hidden_size)


def flops_per_token(config: ModelConfig, sequence_length: int) -> float:
    """Model FLOPs a trained token, forward and backward: 6 a weight passed through, plus the causal half of attention.

    Embedding look-ups cost none; the head does, also when tied; a multi-token prediction block adds itself and a head.
    """
    c = config
    head = c.vocab_size * c.hidden_size
    passed = num_parameters(c, active=True) - head * (1 if c.tie_word_embeddings else 2) + head
    mtp = attention_parameters(c) + _feed_forward(c, c.num_hidden_layers, True) + 2 * c.hidden_size**2 + head
    passed += c.num_nextn_predict_layers * mtp
    layers = c.num_hidden_layers + c.num_nextn_predict_layers
    widths = c.qk_head_dim + c.v_head_dim if c.attention == "mla" else 2 * c.rotary_dim
    attention = 3 * sequence_length * c.num_attention_heads * widths * layers
    return 6.0 * passed + attention


def cache_elements_per_token(config: ModelConfig) -> int:
    """Numbers that decoding keeps of one past token, all layers: the latent and the rotary key, or keys and values."""
    c = config
    width = c.kv_lora_rank + c.qk_rope_head_dim if c.attention == "mla" else 2 * c.kv_heads * c.rotary_dim
    return c.num_hidden_layers * width


def expanded_cache_elements_per_token(config: ModelConfig) -> int:
    """The same if keys and values of every attention head were kept, as without latents or groups."""
    c = config
    width = c.qk_head_dim + c.v_head_dim if c.attention == "mla" else 2 * c.rotary_dim
    return c.num_hidden_layers * c.num_attention_heads * width


@dataclass(frozen=True)
class TrainingBytes:
    """Bytes of the largest rank's training state; activations depend on the batch and are not counted."""

    weights: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.gradients + self.optimizer


def training_bytes(config: ModelConfig, data_parallel: int = 1) -> TrainingBytes:
    """State of mixed-precision AdamW under ZeRO stage 1 over `data_parallel` ranks.

    bfloat16 weights (2 bytes), float32 gradient sums (4), and float32 master weights and two moments (12), of which a
    rank keeps its share.
    """
    parameters = num_parameters(config)
    return TrainingBytes(2 * parameters, 4 * parameters, 12 * math.ceil(parameters / data_parallel))


def start_loss(config: ModelConfig) -> float:
    """Cross-entropy in nats of a model that knows nothing: ln(vocab_size)."""
    return math.log(config.vocab_size)


def start_norm(config: ModelConfig) -> float:
    """Expected Euclidean norm of all initial weights, multi-token prediction included; norm gains are ones.

    Biases start at zero. With scaled_init the output and down projections have a 2 * num_hidden_layers times smaller
    variance.
    """
    c = config
    blocks = c.num_hidden_layers + c.num_nextn_predict_layers
    small = sum(map(_small_norms, [c] * blocks)) + c.hidden_size * (1 + 3 * c.num_nextn_predict_layers)
    heads = c.v_head_dim if c.attention == "mla" else c.rotary_dim
    down = blocks * c.num_attention_heads * heads * c.hidden_size
    for layer in range(blocks):
        router = 0 if c.is_dense(layer) else c.n_routed_experts * c.hidden_size
        down += (_feed_forward(c, layer, False) - router) // 3
    drawn = num_parameters(c) - small - blocks * _biases(c)
    shrunk = down * (1 - 1 / (2 * c.num_hidden_layers)) if c.scaled_init else 0.0
    return math.sqrt((drawn - shrunk) * c.initializer_range**2 + small)


def _small_norms(config: ModelConfig) -> int:
    """Gains of one block's norms."""
    c = config
    if not c.qk_layernorm:
        return 2 * c.hidden_size
    inner = c.kv_lora_rank + (c.q_lora_rank or 0) if c.attention == "mla" else 2 * c.rotary_dim
    return 2 * c.hidden_size + inner


def _biases(config: ModelConfig) -> int:
    c = config
    if not c.attention_bias:
        return 0
    if c.attention == "gqa":
        return (c.num_attention_heads + 2 * c.kv_heads) * c.rotary_dim
    return (c.q_lora_rank or 0) + c.kv_lora_rank + c.qk_rope_head_dim + c.hidden_size
