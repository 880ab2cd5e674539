"""Rotary positions (Su et al., arXiv 2104.09864) and their stretching to longer contexts by YaRN (arXiv 2309.00071).

A pair of dims i of R turns by the angle position * f_i, f_i = theta^(-2i/R). YaRN leaves the pairs alone that turn
more than beta_fast times within the original context, slows those down by `factor` that turn less than beta_slow
times, and blends between. Letters: B batch, T position, R rotary width, r = R/2 pairs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from openseek.model.config import Yarn

Rotary = tuple[Tensor, Tensor]
"""Cosine and sine, each float32 [B, T, R/2]."""


def magnitude(factor: float, weight: float) -> float:
    """YaRN's growth of attention with the logarithm of the stretch: 0.1 weight ln(factor) + 1, and 1 without one."""
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def attention_factor(yarn: Yarn | None) -> float:
    """What cosine and sine are multiplied with, so that scores grow by its square; 1 where mscale = mscale_all_dim."""
    if yarn is None:
        return 1.0
    if yarn.mscale and yarn.mscale_all_dim:
        return magnitude(yarn.factor, yarn.mscale) / magnitude(yarn.factor, yarn.mscale_all_dim)
    return magnitude(yarn.factor, 1.0)


def softmax_factor(yarn: Yarn | None) -> float:
    """What latent attention multiplies its scores with, as in DeepSeek-V2 and V3: magnitude(mscale_all_dim) squared."""
    return 1.0 if yarn is None else magnitude(yarn.factor, yarn.mscale_all_dim) ** 2


def frequencies(width: int, theta: float, yarn: Yarn | None, device: torch.device | str = "cpu") -> Tensor:
    """Radians a position by which each pair of dims turns, float32 [R/2]."""
    periods_r = theta ** (torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)
    if yarn is None:
        return 1.0 / periods_r
    low, high = _blended_pairs(width, theta, yarn)
    pairs_r = torch.arange(width // 2, dtype=torch.float32, device=device)
    kept_r = 1 - ((pairs_r - low) / (high - low)).clamp(0, 1)
    # Rounded as transformers does it: at a position of 10^5 the last bit of a frequency moves the angle by 0.01.
    return 1.0 / (yarn.factor * periods_r) * (1 - kept_r) + 1.0 / periods_r * kept_r


def _blended_pairs(width: int, theta: float, yarn: Yarn) -> tuple[float, float]:
    """The pairs between which YaRN blends: the last one left alone, the first one slowed down altogether."""

    def pair(turns: float) -> float:
        """The pair, as a fraction, that turns so many times within the original context."""
        length = yarn.original_max_position_embeddings
        return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = max(math.floor(pair(yarn.beta_fast)), 0), min(math.ceil(pair(yarn.beta_slow)), width - 1)
    return low, high + 0.001 if low == high else high


def rotary_tables(positions_BT: Tensor, width: int, theta: float, yarn: Yarn | None = None) -> Rotary:
    """Cosine and sine of every position's angles, times the attention factor."""
    angles = positions_BT[..., None].float() * frequencies(width, theta, yarn, positions_BT.device)
    factor = attention_factor(yarn)
    return angles.cos() * factor, angles.sin() * factor


def apply_rotary(x_BHTR: Tensor, rotary: Rotary, interleave: bool) -> Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of the last dim if `interleave`, else (0, R/2), (1, R/2 + 1), ...

    The result holds all first, then all second members. Queries and keys are reordered alike, so their products are
    those of the interleaved layout.
    """
    x = x_BHTR.float()
    first, second = (x[..., 0::2], x[..., 1::2]) if interleave else x.chunk(2, dim=-1)
    cos, sin = (table[:, None] for table in rotary)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x_BHTR.dtype)
