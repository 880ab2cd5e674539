"""The tensors of a checkpoint in the Hugging Face layout, by name and shape, from the config alone.

No torch here: converters plan with these names before they open a file. Experts are apart on disk, one matrix each;
multi-token prediction block k is layer num_hidden_layers + k, as in the released files.
"""

from __future__ import annotations

from openseek.model.config import ModelConfig

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def expected_tensors(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """HF name of every tensor that a checkpoint must hold -> its shape; those that `copies` names are not among them.

    Matrices are [out, in]. Raises ValueError while vocab_size is 0, the tokenizer's size.
    """
    if config.vocab_size < 1:
        raise ValueError("vocab_size=0 stands for the tokenizer's size: set it to name the tensors")
    hidden = config.hidden_size
    tensors: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocab_size, hidden)}
    for layer in range(config.num_hidden_layers + config.num_nextn_predict_layers):
        block: dict[str, tuple[int, ...]] = {}
        if layer >= config.num_hidden_layers:
            block |= {"enorm.weight": (hidden,), "hnorm.weight": (hidden,), "eh_proj.weight": (hidden, 2 * hidden)}
            block["shared_head.norm.weight"] = (hidden,)
        block |= {"input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,)}
        attention = _latent_attention(config) if config.attention == "mla" else _grouped_attention(config)
        block |= {f"self_attn.{name}": shape for name, shape in attention.items()}
        block |= {f"mlp.{name}": shape for name, shape in _feed_forward(config, layer).items()}
        tensors |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    tensors["model.norm.weight"] = (hidden,)
    if not config.tie_word_embeddings:
        tensors[HEAD] = (config.vocab_size, hidden)
    return tensors


def copies(config: ModelConfig) -> dict[str, str]:
    """HF name of every tensor that may be on disk and repeats another -> the name of the other.

    The head of a tied model, and the embedding and head inside each multi-token prediction block.
    """
    head = EMBEDDING if config.tie_word_embeddings else HEAD
    repeated = {HEAD: EMBEDDING} if config.tie_word_embeddings else {}
    for depth in range(config.num_nextn_predict_layers):
        block = f"model.layers.{config.num_hidden_layers + depth}"
        repeated |= {f"{block}.embed_tokens.weight": EMBEDDING, f"{block}.shared_head.head.weight": head}
    return repeated


def _latent_attention(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    c = config
    queries, latent = c.num_attention_heads * c.qk_head_dim, c.kv_lora_rank + c.qk_rope_head_dim
    tensors: dict[str, tuple[int, ...]] = {}
    if c.q_lora_rank is None:
        tensors["q_proj.weight"] = (queries, c.hidden_size)
    else:
        tensors |= {"q_a_proj.weight": (c.q_lora_rank, c.hidden_size), "q_b_proj.weight": (queries, c.q_lora_rank)}
    tensors["kv_a_proj_with_mqa.weight"] = (latent, c.hidden_size)
    expanded = c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim)
    tensors["kv_b_proj.weight"] = (expanded, c.kv_lora_rank)
    tensors["o_proj.weight"] = (c.hidden_size, c.num_attention_heads * c.v_head_dim)
    if c.qk_layernorm:
        tensors["kv_a_layernorm.weight"] = (c.kv_lora_rank,)
    if c.qk_layernorm and c.q_lora_rank is not None:
        tensors["q_a_layernorm.weight"] = (c.q_lora_rank,)
    if c.attention_bias:
        tensors |= {"kv_a_proj_with_mqa.bias": (latent,), "o_proj.bias": (c.hidden_size,)}
    if c.attention_bias and c.q_lora_rank is not None:
        tensors["q_a_proj.bias"] = (c.q_lora_rank,)
    return tensors


def _grouped_attention(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    c = config
    rows = {
        "q_proj": c.num_attention_heads * c.rotary_dim,
        "k_proj": c.kv_heads * c.rotary_dim,
        "v_proj": c.kv_heads * c.rotary_dim,
    }
    tensors: dict[str, tuple[int, ...]] = {f"{name}.weight": (size, c.hidden_size) for name, size in rows.items()}
    if c.attention_bias:
        tensors |= {f"{name}.bias": (size,) for name, size in rows.items()}
    tensors["o_proj.weight"] = (c.hidden_size, rows["q_proj"])
    if c.qk_layernorm:
        tensors |= {"q_norm.weight": (c.rotary_dim,), "k_norm.weight": (c.rotary_dim,)}
    return tensors


def _feed_forward(config: ModelConfig, layer: int) -> dict[str, tuple[int, ...]]:
    c = config
    if c.is_dense(layer):
        return _swiglu("", c.hidden_size, c.intermediate_size)
    tensors: dict[str, tuple[int, ...]] = {"gate.weight": (c.n_routed_experts, c.hidden_size)}
    if c.has_router_bias:
        tensors["gate.e_score_correction_bias"] = (c.n_routed_experts,)
    for expert in range(c.n_routed_experts):
        tensors |= _swiglu(f"experts.{expert}.", c.hidden_size, c.moe_intermediate_size)
    if c.n_shared_experts:
        tensors |= _swiglu("shared_experts.", c.hidden_size, c.n_shared_experts * c.moe_intermediate_size)
    return tensors


def _swiglu(prefix: str, hidden: int, inner: int) -> dict[str, tuple[int, ...]]:
    """The three matrices of one feed-forward network."""
    return {
        f"{prefix}gate_proj.weight": (inner, hidden),
        f"{prefix}up_proj.weight": (inner, hidden),
        f"{prefix}down_proj.weight": (hidden, inner),
    }
