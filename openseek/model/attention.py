"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434) with its latent cache for decoding.

Letters: B batch, T query position, S key position, H head, D hidden, N width without position, R rotary width,
V value width, C latent width (kv_lora_rank).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels import rms_norm
from openseek.model.config import ModelConfig

# The released models and transformers use this epsilon for the two latent norms whatever the config says.
LATENT_NORM_EPS = 1e-6


class RMSNorm(nn.Module):
    """Root mean square normalisation with a gain."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dim of `x`."""
        return rms_norm(x, self.weight, self.eps)


class LatentCache:
    """What decoding keeps of past tokens: the latent (C) and the rotary key (R), per layer; no keys or values.

    Rows of unequal length are padded on the LEFT: `padding_B` counts the leading slots of each row that hold padding.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_length: int,
        *,
        padding_B: Tensor | None = None,
        absorbed: bool = True,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        layers = config.num_hidden_layers
        self.latent_LBSC = torch.zeros(layers, batch_size, max_length, config.kv_lora_rank, dtype=dtype, device=device)
        self.rope_LBSR = torch.zeros(
            layers, batch_size, max_length, config.qk_rope_head_dim, dtype=dtype, device=device
        )
        self.padding_B = torch.zeros(batch_size, dtype=torch.long) if padding_B is None else padding_B
        self.padding_B = self.padding_B.to(device)
        self.absorbed = absorbed
        self.length = 0

    def reserve(self, num_tokens: int) -> None:
        """Raise ValueError unless `num_tokens` more fit."""
        if self.length + num_tokens > self.latent_LBSC.shape[2]:
            raise ValueError(
                f"the cache holds {self.latent_LBSC.shape[2]} tokens a row, {self.length} are used and {num_tokens} "
                "more do not fit: build LatentCache with a larger max_length"
            )

    def write(self, layer: int, latent_BTC: Tensor, rope_BTR: Tensor) -> tuple[Tensor, Tensor]:
        """Append one layer's tokens after `length` and return all of that layer (the model advances `length`)."""
        end = self.length + latent_BTC.shape[1]
        self.latent_LBSC[layer, :, self.length : end] = latent_BTC
        self.rope_LBSR[layer, :, self.length : end] = rope_BTR
        return self.latent_LBSC[layer, :, :end], self.rope_LBSR[layer, :, :end]

    def positions(self, num_tokens: int) -> Tensor:
        """Positions [B, T] of the next tokens: slots counted from the end of each row's padding."""
        slots = torch.arange(self.length, self.length + num_tokens, device=self.padding_B.device)
        return (slots[None] - self.padding_B[:, None]).clamp(min=0)

    def mask(self, num_tokens: int) -> Tensor:
        """Who sees whom [B, 1, T, S]: earlier slots that hold no padding; padding sees itself, to stay finite."""
        device = self.padding_B.device
        slots_S = torch.arange(self.length + num_tokens, device=device)
        slots_T = slots_S[self.length :]
        seen_TS = slots_S[None] <= slots_T[:, None]
        real_BS = slots_S[None] >= self.padding_B[:, None]
        itself_TS = slots_S[None] == slots_T[:, None]
        return ((seen_TS[None] & real_BS[:, None]) | itself_TS[None])[:, None]


def rotary_tables(positions_BT: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine [B, T, R/2] in float32 of position times theta^(-2i/R)."""
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=positions_BT.device) / width
    angles = positions_BT[..., None].float() / theta**exponents
    return angles.cos(), angles.sin()


def apply_rotary(x_BHTR: Tensor, cos_BTr: Tensor, sin_BTr: Tensor) -> Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of the last dim. The result holds all first, then all second members:

    queries and keys are reordered alike, so their products are those of the interleaved layout.
    """
    even, odd = x_BHTR[..., 0::2].float(), x_BHTR[..., 1::2].float()
    cos, sin = cos_BTr[:, None], sin_BTr[:, None]
    return torch.cat([even * cos - odd * sin, odd * cos + even * sin], dim=-1).to(x_BHTR.dtype)


class LatentAttention(nn.Module):
    """Attention whose keys and values are expanded from one latent a token."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        hidden, heads = config.hidden_size, config.num_attention_heads
        if config.q_lora_rank is None:
            self.q_proj = nn.Linear(hidden, heads * config.qk_head_dim, bias=False)
        else:
            self.q_a_proj = nn.Linear(hidden, config.q_lora_rank, bias=False)
            self.q_a_layernorm = RMSNorm(config.q_lora_rank, LATENT_NORM_EPS)
            self.q_b_proj = nn.Linear(config.q_lora_rank, heads * config.qk_head_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, config.kv_lora_rank + config.qk_rope_head_dim, bias=False)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, LATENT_NORM_EPS)
        self.kv_b_proj = nn.Linear(
            config.kv_lora_rank, heads * (config.qk_nope_head_dim + config.v_head_dim), bias=False
        )
        self.o_proj = nn.Linear(heads * config.v_head_dim, hidden, bias=False)
        self.scale = config.qk_head_dim**-0.5

    def forward(
        self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor | None, cache: LatentCache | None = None
    ) -> Tensor:
        """Attend. `rotary` from `rotary_tables`; `mask` boolean [B, 1, T, S], None for plain causal."""
        c = self.config
        batch, length, _ = x_BTD.shape
        direct = c.q_lora_rank is None
        query = self.q_proj(x_BTD) if direct else self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x_BTD)))
        q_BHTK = query.view(batch, length, c.num_attention_heads, c.qk_head_dim).transpose(1, 2)
        nope_BHTN, rope_BHTR = q_BHTK.split([c.qk_nope_head_dim, c.qk_rope_head_dim], dim=-1)
        rope_BHTR = apply_rotary(rope_BHTR, *rotary)

        latent_BSC, key_BSR = self.kv_a_proj_with_mqa(x_BTD).split([c.kv_lora_rank, c.qk_rope_head_dim], dim=-1)
        latent_BSC = self.kv_a_layernorm(latent_BSC)
        key_BSR = apply_rotary(key_BSR[:, None], *rotary)[:, 0]
        if cache is not None:
            latent_BSC, key_BSR = cache.write(self.layer, latent_BSC, key_BSR)

        attend = self._absorbed if cache is not None and cache.absorbed else self._naive
        out_BHTV = attend(nope_BHTN, rope_BHTR, latent_BSC, key_BSR, mask)
        return self.o_proj(out_BHTV.transpose(1, 2).reshape(batch, length, -1))

    def _naive(self, nope: Tensor, rope: Tensor, latent_BSC: Tensor, key_BSR: Tensor, mask: Tensor | None) -> Tensor:
        """Expand the latent to keys and values of every head, then attend."""
        c = self.config
        batch, length, _ = latent_BSC.shape
        expanded = self.kv_b_proj(latent_BSC).view(batch, length, c.num_attention_heads, -1).transpose(1, 2)
        key_BHSN, value_BHSV = expanded.split([c.qk_nope_head_dim, c.v_head_dim], dim=-1)
        shared = key_BSR[:, None].expand(-1, c.num_attention_heads, -1, -1)
        key = torch.cat([key_BHSN, shared], dim=-1)
        query = torch.cat([nope, rope], dim=-1)
        return F.scaled_dot_product_attention(query, key, value_BHSV, mask, is_causal=mask is None, scale=self.scale)

    def _absorbed(self, nope: Tensor, rope: Tensor, latent_BSC: Tensor, key_BSR: Tensor, mask: Tensor | None) -> Tensor:
        """Fold the expansion into query and output, then attend over the latents themselves, one shared key head."""
        c = self.config
        weight_HXC = self.kv_b_proj.weight.view(c.num_attention_heads, -1, c.kv_lora_rank)
        key_HNC, value_HVC = weight_HXC.split([c.qk_nope_head_dim, c.v_head_dim], dim=1)
        query = torch.cat([nope @ key_HNC, rope], dim=-1)
        key = torch.cat([latent_BSC, key_BSR], dim=-1)[:, None].expand(-1, c.num_attention_heads, -1, -1)
        value = latent_BSC[:, None].expand(-1, c.num_attention_heads, -1, -1)
        out_BHTC = F.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None, scale=self.scale)
        return out_BHTC @ value_HVC.transpose(1, 2)
