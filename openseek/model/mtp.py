"""Multi-token prediction (DeepSeek-V3, arXiv 2412.19437, section 2.2): depth k predicts k tokens beyond the next one.

    h'_k(t) = M_k [norm(embedding of token t+k); norm(h_{k-1}(t))]     embedding first, as in the released weights
    h_k(t)  = final norm_k(block_k(h'_k(t)))                           h_0 are the model's own states, normed too
    logits for token t+k+1 = head(h_k(t))                              embedding and head are the main model's

The chain runs through the normed states: depth k reads what depth k-1 gave to the head, as in Megatron-core (the paper
does not say where the norm stands). The block at depth k has T-k positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from openseek.model.block import Block
from openseek.model.config import ModelConfig
from openseek.model.norm import RMSNorm
from openseek.model.residual import RESIDUALS
from openseek.model.rope import Rotary


class MultiTokenPrediction(nn.Module):
    """The prediction block of one depth, k >= 1."""

    def __init__(self, config: ModelConfig, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.enorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.hnorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.ends = RESIDUALS[config.residual].ends(config)
        self.block = Block(config, config.num_hidden_layers + depth - 1)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        embedded_BTD: Tensor,
        hidden_BTD: Tensor,
        rotary: Rotary,
        mask: Tensor | None = None,
        documents_BT: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(states for the head and for the next depth [B, T-k, D], auxiliary loss).

        embedded_BTD, rotary, mask and documents_BT are those of the whole input of T tokens; hidden_BTD are the states
        of the depth before, [B, T-k+1, D]. A position whose token t+k lies in another document or in padding has
        nothing to predict: it is computed, reaches no position that has, and counts in no router statistic.
        """
        k, length = self.depth, embedded_BTD.shape[1] - self.depth
        joined = torch.cat([self.enorm(embedded_BTD[:, k:]), self.hnorm(hidden_BTD[:, :length])], dim=-1)
        real_BT = None
        if documents_BT is not None:
            real_BT = (documents_BT[:, :length] == documents_BT[:, k:]) & (documents_BT[:, k:] >= 0)
        streams, aux_loss = self.block(
            self.ends.widen(self.eh_proj(joined)),
            (rotary[0][:, :length], rotary[1][:, :length]),
            None if mask is None else mask[:, :, :length, :length],
            None,
            real_BT,
        )
        return self.norm(self.ends.narrow(streams)), aux_loss
