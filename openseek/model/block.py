"""A decoder block: attention and feed-forward, each behind a norm and beside a residual connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from openseek.model.attention import ATTENTIONS
from openseek.model.config import ModelConfig
from openseek.model.moe import FeedForward, MixtureOfExperts
from openseek.model.norm import RMSNorm
from openseek.model.residual import RESIDUALS
from openseek.model.rope import Rotary

if TYPE_CHECKING:
    from openseek.model.cache import Cache


class Block(nn.Module):
    """One layer. Its attention, its residual and whether it has experts are the config's choice."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        connection = RESIDUALS[config.residual].connection
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = ATTENTIONS[config.attention](config, layer)
        self.attention_residual = connection(config, layer, "attention")
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        dense = config.is_dense(layer)
        self.mlp = FeedForward(config.hidden_size, config.intermediate_size) if dense else MixtureOfExperts(config)
        self.mlp_residual = connection(config, layer, "mlp")

    def forward(
        self, streams: Tensor, rotary: Rotary, mask: Tensor | None, cache: Cache | None, real_BT: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(streams, auxiliary loss of the router, zero for a dense block). `real_BT` is False at padding."""
        normed_BTD = self.input_layernorm(self.attention_residual.read(streams))
        streams = self.attention_residual.write(streams, self.self_attn(normed_BTD, rotary, mask, cache))
        normed_BTD = self.post_attention_layernorm(self.mlp_residual.read(streams))
        if isinstance(self.mlp, MixtureOfExperts):
            out_BTD, aux_loss = self.mlp(normed_BTD, real_BT)
        else:
            out_BTD, aux_loss = self.mlp(normed_BTD), torch.zeros((), dtype=torch.float32, device=normed_BTD.device)
        return self.mlp_residual.write(streams, out_BTD), aux_loss
