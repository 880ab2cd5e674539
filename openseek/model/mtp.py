"""Multi-token prediction (DeepSeek-V3, section 2.2): one more block that predicts the token after the next one.

h'_t = M [norm(embedding of token t+1); norm(hidden state of t)]     embedding first, as in the released weights
logits for token t+2 = head(norm(block(h'_t)))                        embedding and head are the main model's
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from openseek.model.attention import RMSNorm
from openseek.model.config import ModelConfig


class MultiTokenPrediction(nn.Module):
    """The prediction block of depth 1. `block` is a decoder block with experts, given by the transformer."""

    def __init__(self, config: ModelConfig, block: nn.Module) -> None:
        super().__init__()
        self.enorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.hnorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.block = block
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        embedded_BTD: Tensor,
        hidden_BTD: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask: Tensor | None,
        real_BT: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """(states for the head, balance loss) from the NEXT token's embedding and this token's final hidden state."""
        joined = self.eh_proj(torch.cat([self.enorm(embedded_BTD), self.hnorm(hidden_BTD)], dim=-1))
        states, balance = self.block(joined, rotary, mask, None, real_BT)
        return self.norm(states), balance
