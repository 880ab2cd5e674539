"""Grouped-query attention (Ainslie et al., arXiv 2305.13245): groups of heads share keys and values, as in Qwen2.

Letters: B batch, T query position, S key position, H query head, G key and value head, D hidden, K width of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from openseek.model.config import ModelConfig
from openseek.model.norm import RMSNorm
from openseek.model.rope import Rotary, apply_rotary

if TYPE_CHECKING:
    from openseek.model.cache import Cache


class GroupedQueryAttention(nn.Module):
    """Attention with fewer key and value heads than query heads, rotary over the whole width of a head."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer, self.width = config, layer, config.rotary_dim
        hidden, heads, bias = config.hidden_size, config.num_attention_heads, config.attention_bias
        self.q_proj = nn.Linear(hidden, heads * self.width, bias=bias)
        self.k_proj = nn.Linear(hidden, config.kv_heads * self.width, bias=bias)
        self.v_proj = nn.Linear(hidden, config.kv_heads * self.width, bias=bias)
        self.o_proj = nn.Linear(heads * self.width, hidden, bias=False)
        if config.qk_layernorm:
            self.q_norm = RMSNorm(self.width, config.rms_norm_eps)
            self.k_norm = RMSNorm(self.width, config.rms_norm_eps)

    @staticmethod
    def kept_widths(config: ModelConfig) -> tuple[int, ...]:
        """The keys of all key heads, turned to their positions, and the values."""
        return (config.kv_heads * config.rotary_dim,) * 2

    def forward(self, x_BTD: Tensor, rotary: Rotary, mask: Tensor | None, cache: Cache | None = None) -> Tensor:
        """Attend; see openseek.model.attention."""
        c = self.config
        query_BHTK = self._heads(self.q_proj(x_BTD), c.num_attention_heads)
        key_BGTK, value_BGTK = (self._heads(part(x_BTD), c.kv_heads) for part in (self.k_proj, self.v_proj))
        if c.qk_layernorm:
            query_BHTK, key_BGTK = self.q_norm(query_BHTK), self.k_norm(key_BGTK)
        query_BHTK = apply_rotary(query_BHTK, rotary, c.rope_interleave)
        key_BGSK, value_BGSK = apply_rotary(key_BGTK, rotary, c.rope_interleave), value_BGTK
        if cache is not None:
            kept = cache.write(self.layer, *(each.transpose(1, 2).flatten(2) for each in (key_BGSK, value_BGSK)))
            key_BGSK, value_BGSK = (self._heads(each, c.kv_heads) for each in kept)
        group = c.num_attention_heads // c.kv_heads
        if x_BTD.shape[1] == 1:
            # One token: the queries of a group are the rows of one product with its keys, and no key is repeated.
            out_BGqK = _attend(query_BHTK.view(-1, c.kv_heads, group, self.width), key_BGSK, value_BGSK, mask)
            out_BHTK = out_BGqK.reshape(query_BHTK.shape)
        else:
            # Repeated, since with a mask the fused kernels of a GPU want as many key heads as query heads.
            key_BHSK, value_BHSK = (each.repeat_interleave(group, dim=1) for each in (key_BGSK, value_BGSK))
            out_BHTK = _attend(query_BHTK, key_BHSK, value_BHSK, mask)
        return self.o_proj(out_BHTK.transpose(1, 2).flatten(2))

    def _heads(self, x_BTX: Tensor, heads: int) -> Tensor:
        return x_BTX.unflatten(-1, (heads, self.width)).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None)
