"""ModelConfig: the shape of a DeepSeek model, in the field names of the Hugging Face config.

No torch here: recipes and `--help` read this module. `openseek.model.size` counts parameters, FLOPs and bytes from it,
`openseek.model.presets` holds the published shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Yarn:
    """Rotary frequencies stretched to longer sequences (YaRN, arXiv 2309.00071), as the released models use them."""

    factor: float = 40.0
    """Longest sequence over the original one."""
    original_max_position_embeddings: int = 4096
    """Longest sequence of the training before."""
    beta_fast: float = 32.0
    """Rotations over the original length above which a frequency stays as it is."""
    beta_slow: float = 1.0
    """Rotations over the original length below which a frequency is divided by `factor`."""
    mscale: float = 1.0
    """Strength of the rotary tables' scale; 0 together with mscale_all_dim gives them 0.1 ln(factor) + 1."""
    mscale_all_dim: float = 1.0
    """Strength of the scale that leaves the rotary tables and goes to the softmax instead, squared."""

    def __post_init__(self) -> None:
        if not self.factor >= 1:
            raise ValueError(f"rope_scaling.factor={self.factor} must be at least 1: it lengthens the context")
        if self.original_max_position_embeddings < 1:
            raise ValueError(
                "rope_scaling.original_max_position_embeddings="
                f"{self.original_max_position_embeddings} must be at least 1"
            )
        if not 0 < self.beta_slow <= self.beta_fast:
            raise ValueError(
                f"rope_scaling.beta_slow={self.beta_slow} must be above 0 and not above beta_fast={self.beta_fast}"
            )
        for name in ("mscale", "mscale_all_dim"):
            if getattr(self, name) < 0:
                raise ValueError(f"rope_scaling.{name}={getattr(self, name)} must not be negative")


@dataclass(frozen=True)
class ModelConfig:
    """A decoder: latent or grouped-query attention, leading dense layers, routed experts, multi-token prediction.

    `--set model.preset=NAME` starts from a published shape (presets.py).
    """

    presets: ClassVar[str] = "openseek.model.presets"

    vocab_size: int = 0
    """Rows of the embedding; 0 takes the tokenizer's size."""
    hidden_size: int = 128
    """Width of the residual stream."""
    num_hidden_layers: int = 4
    """Decoder layers, without the multi-token prediction blocks."""
    num_attention_heads: int = 4
    """Attention heads."""
    attention: Literal["mla", "gqa"] = "mla"
    """Multi-head latent attention, or grouped-query attention as in Qwen2."""
    residual: Literal["add"] = "add"
    """How a block's output joins the stream: by addition."""
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
    num_key_value_heads: int = 0
    """Key and value heads of grouped-query attention; 0: as many as attention heads."""
    head_dim: int = 0
    """Width a head of grouped-query attention; 0: hidden_size / num_attention_heads."""
    attention_bias: bool = False
    """Biases: with mla on the two down projections and the output, with gqa on query, key and value."""
    qk_layernorm: bool = True
    """RMS norm of the latents (mla), or of each head's query and key (gqa)."""
    intermediate_size: int = 384
    """Inner width of the dense feed-forward layers."""
    moe_intermediate_size: int = 96
    """Inner width of one routed expert."""
    n_routed_experts: int = 8
    """Routed experts a layer; 0: every layer is dense."""
    num_experts_per_tok: int = 2
    """Routed experts that each token visits."""
    n_shared_experts: int = 1
    """Experts that every token visits, fused into one of n_shared_experts times the width; 0: none."""
    scoring_func: Literal["sigmoid", "softmax", "sqrtsoftplus"] = "sigmoid"
    """Affinity of a token to an expert; sqrtsoftplus is sqrt(ln(1 + e^x))."""
    topk_method: Literal["noaux_tc", "greedy", "group_limited_greedy"] = "noaux_tc"
    """noaux_tc: by affinity plus a balancing bias, a group scores its best two; greedy: by affinity;

    group_limited_greedy: by affinity, a group scores its best one."""
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
    """Depth of multi-token prediction: blocks that predict the second, third, ... next token; 0: none."""
    rope_theta: float = 10000.0
    """Base of the rotary frequencies."""
    rope_scaling: Yarn | None = None
    """Stretched rotary frequencies for long contexts."""
    rope_interleave: bool = True
    """Turn the pairs (0, 1), (2, 3), ... as the released DeepSeek weights do; False: (0, R/2), (1, R/2 + 1), ..."""
    rms_norm_eps: float = 1e-6
    """Epsilon of the RMS norms."""
    max_position_embeddings: int = 4096
    """Longest sequence the model is meant for."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights; short runs of narrow models learn faster near hidden_size^-0.5."""
    scaled_init: bool = False
    """Start the output and down projections smaller, by sqrt(2 * num_hidden_layers), as Megatron does."""
    tie_word_embeddings: bool = True
    """Use the embedding as the output head."""
    bias_update_rate: float = 0.001
    """Step by which the router bias of an expert moves towards an even load after each optimizer step."""
    aux_loss_alpha: float = 1e-4
    """Weight of the sequence-wise balance loss."""
    router_z_loss_alpha: float = 0.0
    """Weight of the router z-loss, the mean square of the logarithm of the summed exponentials of router logits."""
    mtp_loss_weight: float = 0.3
    """Weight of the multi-token prediction loss, the mean over its depths."""

    def __post_init__(self) -> None:
        for name in POSITIVE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: use one of {', '.join(allowed)}")
        if self.q_lora_rank is not None and self.q_lora_rank < 1:
            raise ValueError(f"q_lora_rank={self.q_lora_rank} must be at least 1, or None for a direct projection")
        if self.first_k_dense_replace > self.num_hidden_layers:
            raise ValueError(
                f"first_k_dense_replace={self.first_k_dense_replace} exceeds num_hidden_layers={self.num_hidden_layers}"
            )
        self._check_heads()
        if self.n_routed_experts:
            self._check_groups()

    def _check_heads(self) -> None:
        """Heads of the chosen attention: even rotary width, and whole groups of query heads."""
        if self.attention == "mla":
            if self.qk_rope_head_dim % 2:
                raise ValueError(f"qk_rope_head_dim={self.qk_rope_head_dim} must be even: rotary dims turn in pairs")
            return
        if not self.head_dim and self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is no multiple of num_attention_heads={self.num_attention_heads}: "
                "set head_dim"
            )
        if self.rotary_dim % 2:
            raise ValueError(f"head_dim={self.rotary_dim} must be even: rotary dims turn in pairs")
        if self.num_attention_heads % self.kv_heads:
            raise ValueError(
                f"num_key_value_heads={self.num_key_value_heads} must divide "
                f"num_attention_heads={self.num_attention_heads}"
            )

    def _check_groups(self) -> None:
        """Every token must find num_experts_per_tok experts inside the groups it may choose from."""
        size, rest = divmod(self.n_routed_experts, self.n_group)
        if rest or (size < 2 and self.has_router_bias):
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
        if self.topk_method == "greedy" and self.n_group > 1 and self.topk_group < self.n_group:
            raise ValueError(
                f"topk_method='greedy' knows no groups and n_group={self.n_group}: use group_limited_greedy"
            )

    @property
    def qk_head_dim(self) -> int:
        """Width a head of queries and keys under latent attention: the part without position and the rotary part."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def rotary_dim(self) -> int:
        """Width a head that is turned by position."""
        if self.attention == "mla":
            return self.qk_rope_head_dim
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def kv_heads(self) -> int:
        """Key and value heads of grouped-query attention."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def has_router_bias(self) -> bool:
        """Whether routers choose by affinity plus a balancing bias."""
        return self.topk_method == "noaux_tc"

    def is_dense(self, layer: int) -> bool:
        """Whether layer `layer`, counted from 0 with multi-token prediction blocks at the end, has no experts."""
        return not self.n_routed_experts or layer < self.first_k_dense_replace

    @property
    def num_moe_blocks(self) -> int:
        """Blocks with routed experts, the multi-token prediction blocks included."""
        layers = self.num_hidden_layers + self.num_nextn_predict_layers
        return sum(not self.is_dense(layer) for layer in range(layers))


CHOICES = {
    "attention": ("mla", "gqa"),
    "residual": ("add",),
    "scoring_func": ("sigmoid", "softmax", "sqrtsoftplus"),
    "topk_method": ("noaux_tc", "greedy", "group_limited_greedy"),
}
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
    "num_experts_per_tok",
    "n_group",
    "topk_group",
    "max_position_embeddings",
)
NOT_NEGATIVE = (
    "vocab_size",
    "num_key_value_heads",
    "head_dim",
    "n_routed_experts",
    "n_shared_experts",
    "first_k_dense_replace",
    "num_nextn_predict_layers",
    "rope_theta",
    "rms_norm_eps",
    "initializer_range",
    "bias_update_rate",
    "aux_loss_alpha",
    "router_z_loss_alpha",
    "mtp_loss_weight",
)
