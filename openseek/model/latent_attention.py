"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values are expanded from one latent a token.

Letters: B batch, T query position, S key position, H head, D hidden, N width without position, R rotary width,
V value width, C latent width (kv_lora_rank).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openseek.model.config import ModelConfig
from openseek.model.norm import RMSNorm
from openseek.model.rope import Rotary, apply_rotary, softmax_factor

if TYPE_CHECKING:
    from openseek.model.cache import Cache

# The released models and transformers use this epsilon for the two latent norms whatever the config says.
LATENT_NORM_EPS = 1e-6


class LatentAttention(nn.Module):
    """Attention over a latent and one rotary key a token, both shared by all heads."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        hidden, heads, bias = config.hidden_size, config.num_attention_heads, config.attention_bias
        if config.q_lora_rank is None:
            self.q_proj = nn.Linear(hidden, heads * config.qk_head_dim, bias=False)
        else:
            self.q_a_proj = nn.Linear(hidden, config.q_lora_rank, bias=bias)
            if config.qk_layernorm:
                self.q_a_layernorm = RMSNorm(config.q_lora_rank, LATENT_NORM_EPS)
            self.q_b_proj = nn.Linear(config.q_lora_rank, heads * config.qk_head_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, config.kv_lora_rank + config.qk_rope_head_dim, bias=bias)
        if config.qk_layernorm:
            self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, LATENT_NORM_EPS)
        self.kv_b_proj = nn.Linear(
            config.kv_lora_rank, heads * (config.qk_nope_head_dim + config.v_head_dim), bias=False
        )
        self.o_proj = nn.Linear(heads * config.v_head_dim, hidden, bias=bias)
        self.scale = config.qk_head_dim**-0.5 * softmax_factor(config.rope_scaling)

    @staticmethod
    def kept_widths(config: ModelConfig) -> tuple[int, ...]:
        """The latent and the rotary key, side by side in one vector of C + R; no keys or values of heads."""
        return (config.kv_lora_rank + config.qk_rope_head_dim,)

    def forward(self, x_BTD: Tensor, rotary: Rotary, mask: Tensor | None, cache: Cache | None = None) -> Tensor:
        """Attend; see openseek.model.attention."""
        c = self.config
        batch, length, _ = x_BTD.shape
        q_BHTK = self._query(x_BTD).view(batch, length, c.num_attention_heads, c.qk_head_dim).transpose(1, 2)
        nope_BHTN, rope_BHTR = q_BHTK.split([c.qk_nope_head_dim, c.qk_rope_head_dim], dim=-1)
        rope_BHTR = apply_rotary(rope_BHTR, rotary, c.rope_interleave)

        latent_BTC, key_BTR = self.kv_a_proj_with_mqa(x_BTD).split([c.kv_lora_rank, c.qk_rope_head_dim], dim=-1)
        if c.qk_layernorm:
            latent_BTC = self.kv_a_layernorm(latent_BTC)
        key_BTR = apply_rotary(key_BTR[:, None], rotary, c.rope_interleave)[:, 0]
        shared_BSX = torch.cat([latent_BTC, key_BTR], dim=-1)
        if cache is not None:
            (shared_BSX,) = cache.write(self.layer, shared_BSX)

        if cache is not None and cache.absorbed and mask is not None:
            out_BHTV = self._absorbed(nope_BHTN, rope_BHTR, shared_BSX, mask)
        else:
            out_BHTV = self._naive(nope_BHTN, rope_BHTR, shared_BSX, mask)
        return self.o_proj(out_BHTV.transpose(1, 2).reshape(batch, length, -1))

    def _query(self, x_BTD: Tensor) -> Tensor:
        if self.config.q_lora_rank is None:
            return self.q_proj(x_BTD)
        latent = self.q_a_proj(x_BTD)
        return self.q_b_proj(self.q_a_layernorm(latent) if self.config.qk_layernorm else latent)

    def _naive(self, nope: Tensor, rope: Tensor, shared_BSX: Tensor, mask: Tensor | None) -> Tensor:
        """Expand the latent to keys and values of every head, then attend."""
        c = self.config
        batch, length, _ = shared_BSX.shape
        latent_BSC, key_BSR = shared_BSX.split([c.kv_lora_rank, c.qk_rope_head_dim], dim=-1)
        expanded = self.kv_b_proj(latent_BSC).view(batch, length, c.num_attention_heads, -1).transpose(1, 2)
        key_BHSN, value_BHSV = expanded.split([c.qk_nope_head_dim, c.v_head_dim], dim=-1)
        key = torch.cat([key_BHSN, key_BSR[:, None].expand(-1, c.num_attention_heads, -1, -1)], dim=-1)
        query = torch.cat([nope, rope], dim=-1)
        return F.scaled_dot_product_attention(query, key, value_BHSV, mask, is_causal=mask is None, scale=self.scale)

    def _absorbed(self, nope: Tensor, rope: Tensor, shared_BSX: Tensor, mask: Tensor) -> Tensor:
        """Fold the expansion into query and output, then attend over the latents themselves.

        All heads read the same keys, so they stand as rows of one matrix product: nothing is repeated for each head.
        """
        c = self.config
        batch, heads, length, _ = nope.shape
        weight_HXC = self.kv_b_proj.weight.view(heads, -1, c.kv_lora_rank)
        key_HNC, value_HVC = weight_HXC.split([c.qk_nope_head_dim, c.v_head_dim], dim=1)
        # einsum puts the heads first: a broadcast product would copy the weights for every row of the batch
        query = torch.cat([torch.einsum("bhtn,hnc->bhtc", nope, key_HNC), rope], dim=-1).flatten(1, 2)
        scores = (query @ shared_BSX.transpose(1, 2)).view(batch, heads, length, -1).float() * self.scale
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1).to(query.dtype)
        out_BHTC = (weights.flatten(1, 2) @ shared_BSX[..., : c.kv_lora_rank]).view(batch, heads, length, -1)
        return torch.einsum("bhtc,hvc->bhtv", out_BHTC, value_HVC)
