"""The decoder: embedding, blocks, head, and the multi-token prediction blocks beside them.

Letters: B batch, T position, D hidden, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openseek.model.block import Block
from openseek.model.cache import Cache
from openseek.model.config import ModelConfig
from openseek.model.moe import Experts, Router
from openseek.model.mtp import MultiTokenPrediction
from openseek.model.norm import RMSNorm
from openseek.model.residual import RESIDUALS
from openseek.model.rope import Rotary, rotary_tables


@dataclass
class Output:
    """What one forward pass gives."""

    logits_BTV: Tensor
    """float32; position t scores token t+1."""
    mtp_logits_BTV: tuple[Tensor, ...]
    """float32, one a depth k = 1, 2, ... below T: position t of T-k scores token t+k+1. Empty where not asked for."""
    aux_loss: Tensor
    """Sum of all routers' losses, already times their weights; zero outside training mode."""


class Transformer(nn.Module):
    """A language model of the DeepSeek family. Weights are drawn from torch's global generator: seed it first."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ValueError("vocab_size=0 stands for the tokenizer's size: set it before building the model")
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.ends = RESIDUALS[config.residual].ends(config)
        self.layers = nn.ModuleList([Block(config, layer) for layer in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        depths = range(1, config.num_nextn_predict_layers + 1)
        self.mtp = nn.ModuleList([MultiTokenPrediction(config, depth) for depth in depths])
        for name, module in self.named_modules():
            self._init_weights(name, module)

    def _init_weights(self, name: str, module: nn.Module) -> None:
        """Normal weights of initializer_range (scaled_init: less where a block writes its output); biases are zero.

        Norms stay at one, and other modules as they made themselves.
        """
        std = self.config.initializer_range
        narrow = std / (2 * self.config.num_hidden_layers) ** 0.5 if self.config.scaled_init else std
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=narrow if name.endswith(("o_proj", "down_proj")) else std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding | Router):
            nn.init.normal_(module.weight, std=std)
        elif isinstance(module, Experts):
            nn.init.normal_(module.gate_up_proj, std=std)
            nn.init.normal_(module.down_proj, std=narrow)

    def head(self, states: Tensor) -> Tensor:
        """Logits in float32 of normed states [..., D]."""
        weight = self.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight
        return F.linear(states, weight).float()

    def forward(
        self,
        ids_BT: Tensor,
        *,
        documents_BT: Tensor | None = None,
        cache: Cache | None = None,
        positions_BT: Tensor | None = None,
        mtp: bool | None = None,
        last_only: bool = False,
    ) -> Output:
        """Score the next token at every position, or with `last_only` behind the last one alone, [B, 1, V].

        documents_BT: whole number of the document that each token belongs to; tokens attend within their document only
        and positions restart in each. Negative numbers mark padding: it is computed but no router statistic counts it.
        cache: past tokens, for decoding; it is extended by ids_BT. Not together with documents_BT.
        positions_BT: overrides the positions. mtp: compute the multi-token prediction; None: in training mode.
        """
        length = ids_BT.shape[1]
        mask, real_BT = None, None
        if cache is not None:
            if documents_BT is not None:
                raise ValueError("documents_BT and cache exclude each other: pad rows on the left with cache.padding_B")
            cache.reserve(length)
            positions_BT = cache.positions(length) if positions_BT is None else positions_BT
            mask = cache.mask(length)
        elif documents_BT is not None:
            mask, real_BT = document_mask(documents_BT), documents_BT >= 0
            positions_BT = document_positions(documents_BT) if positions_BT is None else positions_BT
        if positions_BT is None:
            positions_BT = torch.arange(length, device=ids_BT.device)[None].expand_as(ids_BT)
        rotary = rotary_of(self.config, positions_BT)

        embedded = self.embed_tokens(ids_BT)
        streams, aux_loss = self.ends.widen(embedded), torch.zeros((), dtype=torch.float32, device=ids_BT.device)
        for layer in self.layers:
            streams, layer_aux_loss = layer(streams, rotary, mask, cache, real_BT)
            aux_loss = aux_loss + layer_aux_loss
        states = self.norm(self.ends.narrow(streams))
        logits = self.head(states[:, -1:] if last_only else states)
        if cache is not None:
            cache.length += length

        mtp_logits = []
        if cache is None and (self.training if mtp is None else mtp):
            for module in self.mtp[: max(length - 1, 0)]:
                states, depth_aux_loss = module(embedded, states, rotary, mask, documents_BT)
                mtp_logits.append(self.head(states))
                aux_loss = aux_loss + depth_aux_loss
        return Output(logits, tuple(mtp_logits), aux_loss)


def rotary_of(config: ModelConfig, positions_BT: Tensor) -> Rotary:
    """Cosine and sine of these positions as the config wants them."""
    return rotary_tables(positions_BT, config.rotary_dim, config.rope_theta, config.rope_scaling)


def document_mask(documents_BT: Tensor) -> Tensor:
    """Causal mask [B, 1, T, T] that keeps documents apart."""
    length = documents_BT.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=documents_BT.device).tril()
    return (documents_BT[:, :, None] == documents_BT[:, None, :])[:, None] & causal


def document_positions(documents_BT: Tensor) -> Tensor:
    """Position of each token within its document, [B, T]."""
    slots_T = torch.arange(documents_BT.shape[1], device=documents_BT.device)
    first = torch.ones_like(documents_BT, dtype=torch.bool)
    first[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    starts_BT = torch.where(first, slots_T, 0).cummax(dim=1).values
    return slots_T[None] - starts_BT
