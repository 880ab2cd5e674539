"""ModelConfig: the shape of a DeepSeek-V3 model, in the field names of the Hugging Face config; parameters and FLOPs.

No torch here: recipes and `--help` read this module.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """A DeepSeek-V3 model: latent attention, leading dense layers, sigmoid-routed experts, multi-token prediction."""

    vocab_size: int = 0
    """Rows of the embedding; 0 takes the tokenizer's size."""
    hidden_size: int = 128
    """Width of the residual stream."""
    num_hidden_layers: int = 4
    """Decoder layers, without the multi-token prediction block."""
    num_attention_heads: int = 4
    """Attention heads."""
    q_lora_rank: int | None = None
    """Rank of the query projection; None projects from the hidden state directly."""
    kv_lora_rank: int = 64
    """Width of the latent that keys and values are expanded from, and that the decoding cache holds."""
    qk_nope_head_dim: int = 32
    """Width a head of the query and key part without position."""
    qk_rope_head_dim: int = 16
    """Width of the rotary part, shared by all heads on the key side; even."""
    v_head_dim: int = 32
    """Width a head of the values."""
    intermediate_size: int = 384
    """Inner width of the dense feed-forward layers."""
    moe_intermediate_size: int = 96
    """Inner width of one routed expert."""
    n_routed_experts: int = 8
    """Routed experts a layer."""
    num_experts_per_tok: int = 2
    """Routed experts that each token visits."""
    n_shared_experts: int = 1
    """Experts that every token visits, fused into one of n_shared_experts times the width."""
    n_group: int = 1
    """Groups that the routed experts are divided into."""
    topk_group: int = 1
    """Groups that a token may choose from."""
    first_k_dense_replace: int = 1
    """Leading layers with a dense feed-forward instead of experts."""
    routed_scaling_factor: float = 2.5
    """Factor on the routed experts' output."""
    norm_topk_prob: bool = True
    """Divide the chosen experts' affinities by their sum."""
    num_nextn_predict_layers: int = 1
    """Depth of multi-token prediction: 0 or 1."""
    rope_theta: float = 10000.0
    """Base of the rotary frequencies."""
    rms_norm_eps: float = 1e-6
    """Epsilon of the RMS norms."""
    max_position_embeddings: int = 4096
    """Longest sequence the model is meant for."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights; short runs of narrow models learn faster near hidden_size^-0.5."""
    tie_word_embeddings: bool = True
    """Use the embedding as the output head."""
    bias_update_rate: float = 0.001
    """Step by which the router bias of an expert moves towards an even load after each optimizer step."""
    aux_loss_alpha: float = 1e-4
    """Weight of the sequence-wise balance loss."""
    mtp_loss_weight: float = 0.3
    """Weight of the multi-token prediction loss."""

    def __post_init__(self) -> None:
        for name in POSITIVE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if self.q_lora_rank is not None and self.q_lora_rank < 1:
            raise ValueError(f"q_lora_rank={self.q_lora_rank} must be at least 1, or None for a direct projection")
        if self.qk_rope_head_dim % 2:
            raise ValueError(f"qk_rope_head_dim={self.qk_rope_head_dim} must be even: rotary dims turn in pairs")
        if self.first_k_dense_replace > self.num_hidden_layers:
            raise ValueError(
                f"first_k_dense_replace={self.first_k_dense_replace} exceeds num_hidden_layers={self.num_hidden_layers}"
            )
        if self.num_nextn_predict_layers > 1:
            raise ValueError(f"num_nextn_predict_layers={self.num_nextn_predict_layers} must be 0 or 1")
        self._check_groups()

    def _check_groups(self) -> None:
        """Every token must find num_experts_per_tok experts inside the groups it may choose from."""
        size, rest = divmod(self.n_routed_experts, self.n_group)
        if rest or size < 2:
            raise ValueError(
                f"n_group={self.n_group} must divide n_routed_experts={self.n_routed_experts} into groups of at least "
                "2: a group's score is the sum of its best two experts"
            )
        if self.topk_group > self.n_group:
            raise ValueError(f"topk_group={self.topk_group} exceeds n_group={self.n_group}")
        if self.num_experts_per_tok > size * self.topk_group:
            raise ValueError(
                f"num_experts_per_tok={self.num_experts_per_tok} exceeds the {size * self.topk_group} experts of "
                f"topk_group={self.topk_group} groups of {size}"
            )

    @property
    def qk_head_dim(self) -> int:
        """Width a head of queries and keys: the part without position and the rotary part."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def num_moe_blocks(self) -> int:
        """Blocks with routed experts, the multi-token prediction block included."""
        return self.num_hidden_layers - self.first_k_dense_replace + self.num_nextn_predict_layers


POSITIVE = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "intermediate_size",
    "moe_intermediate_size",
    "n_routed_experts",
    "num_experts_per_tok",
    "n_shared_experts",
    "n_group",
    "topk_group",
    "max_position_embeddings",
)
NOT_NEGATIVE = (
    "vocab_size",
    "first_k_dense_replace",
    "num_nextn_predict_layers",
    "rope_theta",
    "rms_norm_eps",
    "initializer_range",
    "bias_update_rate",
    "aux_loss_alpha",
    "mtp_loss_weight",
)


def attention_parameters(config: ModelConfig) -> int:
    """Weights of one attention block, its two small norms included."""
    c = config
    heads_qk = c.num_attention_heads * c.qk_head_dim
    query = c.hidden_size * heads_qk
    if c.q_lora_rank is not None:
        query = c.q_lora_rank * (c.hidden_size + heads_qk + 1)
    latent = c.hidden_size * (c.kv_lora_rank + c.qk_rope_head_dim) + c.kv_lora_rank
    expand = c.kv_lora_rank * c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim)
    return query + latent + expand + c.num_attention_heads * c.v_head_dim * c.hidden_size


def num_parameters(config: ModelConfig, active: bool = False) -> int:
    """Trained weights; with `active` only those that one token passes through (top-k experts instead of all).

    The multi-token prediction block counts in the total and not among the active ones.
    """
    c = config
    expert = 3 * c.hidden_size * c.moe_intermediate_size
    experts = c.num_experts_per_tok if active else c.n_routed_experts
    moe = (experts + c.n_shared_experts) * expert + c.n_routed_experts * c.hidden_size
    block = attention_parameters(c) + 2 * c.hidden_size
    dense_layers = c.first_k_dense_replace
    total = c.num_hidden_layers * block + (c.num_hidden_layers - dense_layers) * moe
    total += dense_layers * 3 * c.hidden_size * c.intermediate_size + c.hidden_size
    total += c.vocab_size * c.hidden_size * (1 if c.tie_word_embeddings else 2)
    if not active:
        total += c.num_nextn_predict_layers * (block + moe + 2 * c.hidden_size**2 + 3 * c.hidden_size)
    return total


def flops_per_token(config: ModelConfig, sequence_length: int) -> float:
    """Model FLOPs a trained token, forward and backward: 6 a weight passed through, plus the causal half of attention.

    Embedding look-ups cost none; the head does, also when tied; a multi-token prediction block adds itself and a head.
    """
    c = config
    head = c.vocab_size * c.hidden_size
    passed = num_parameters(c, active=True) - head * (1 if c.tie_word_embeddings else 2) + head
    moe = (c.num_experts_per_tok + c.n_shared_experts) * 3 * c.hidden_size * c.moe_intermediate_size
    mtp = attention_parameters(c) + moe + c.n_routed_experts * c.hidden_size + 2 * c.hidden_size**2 + head
    passed += c.num_nextn_predict_layers * mtp
    layers = c.num_hidden_layers + c.num_nextn_predict_layers
    attention = 3 * sequence_length * c.num_attention_heads * (c.qk_head_dim + c.v_head_dim) * layers
    return 6.0 * passed + attention
