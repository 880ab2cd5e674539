"""The DeepSeek-V3 decoder: embedding, blocks, head, and the multi-token prediction block beside them.

Letters: B batch, T position, D hidden, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openseek.model.attention import LatentAttention, LatentCache, RMSNorm, rotary_tables
from openseek.model.config import ModelConfig
from openseek.model.moe import Experts, FeedForward, MixtureOfExperts, Router
from openseek.model.mtp import MultiTokenPrediction


@dataclass
class Output:
    """What one forward pass gives."""

    logits_BTV: Tensor
    """float32; position t scores token t+1."""
    mtp_logits_BTV: Tensor | None
    """float32, one position shorter than the input: position t scores token t+2."""
    aux_loss: Tensor
    """Balance loss of all routers, already times aux_loss_alpha; zero outside training mode."""


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and with a residual connection."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = LatentAttention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        dense = layer < config.first_k_dense_replace
        self.mlp = FeedForward(config.hidden_size, config.intermediate_size) if dense else MixtureOfExperts(config)

    def forward(
        self,
        x_BTD: Tensor,
        rotary: tuple[Tensor, Tensor],
        mask: Tensor | None,
        cache: LatentCache | None,
        real_BT: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """(states, balance loss, zero for a dense block)."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary, mask, cache)
        normed = self.post_attention_layernorm(x_BTD)
        if isinstance(self.mlp, MixtureOfExperts):
            out, balance = self.mlp(normed, real_BT)
            return x_BTD + out, balance
        return x_BTD + self.mlp(normed), torch.zeros((), dtype=torch.float32, device=x_BTD.device)


class Transformer(nn.Module):
    """A DeepSeek-V3 language model. Weights are drawn from torch's global generator: seed it first."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ValueError("vocab_size=0 stands for the tokenizer's size: set it before building the model")
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([Block(config, layer) for layer in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.mtp = None
        if config.num_nextn_predict_layers:
            self.mtp = MultiTokenPrediction(config, Block(config, config.num_hidden_layers))
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        """Normal weights of initializer_range; norms stay at one."""
        if isinstance(module, nn.Linear | nn.Embedding | Router):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, Experts):
            nn.init.normal_(module.gate_up_proj, std=self.config.initializer_range)
            nn.init.normal_(module.down_proj, std=self.config.initializer_range)

    def head(self, states: Tensor) -> Tensor:
        """Logits in float32 of normed states [..., D]."""
        weight = self.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight
        return F.linear(states, weight).float()

    def forward(
        self,
        ids_BT: Tensor,
        *,
        documents_BT: Tensor | None = None,
        cache: LatentCache | None = None,
        positions_BT: Tensor | None = None,
        mtp: bool | None = None,
    ) -> Output:
        """Score the next token at every position.

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
        rotary = rotary_tables(positions_BT, self.config.qk_rope_head_dim, self.config.rope_theta)

        states = self.embed_tokens(ids_BT)
        balance = torch.zeros((), dtype=torch.float32, device=ids_BT.device)
        for layer in self.layers:
            states, layer_balance = layer(states, rotary, mask, cache, real_BT)
            balance = balance + layer_balance
        states = self.norm(states)
        if cache is not None:
            cache.length += length

        mtp_logits = None
        if self.mtp is not None and cache is None and (self.training if mtp is None else mtp):
            mtp_states, mtp_balance = self.mtp(
                self.embed_tokens(ids_BT[:, 1:]),
                states[:, :-1],
                (rotary[0][:, :-1], rotary[1][:, :-1]),
                None if mask is None else mask[:, :, :-1, :-1],
                None if real_BT is None else real_BT[:, :-1],
            )
            mtp_logits, balance = self.head(mtp_states), balance + mtp_balance
        return Output(self.head(states), mtp_logits, self.config.aux_loss_alpha * balance)


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
