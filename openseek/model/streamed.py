"""The forward pass of a model that does not fit in memory: its tensors are read when they are needed, and let go.

One block is in memory at a time, without its routed experts; of these the ones that the given tokens chose are read,
one after the other. Everything is computed in float32 by the model's own modules.

Letters: B batch, T position, D hidden, V vocabulary, M = B*T tokens, K experts a token.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from openseek.model.block import Block
from openseek.model.config import ModelConfig
from openseek.model.moe import MixtureOfExperts
from openseek.model.mtp import MultiTokenPrediction
from openseek.model.norm import RMSNorm
from openseek.model.residual import RESIDUALS
from openseek.model.transformer import Output, rotary_of

Read = Callable[[str], Tensor]
"""Gives a tensor by its name in the Hugging Face layout; what it gives is not kept."""
HEAD_ROWS = 8192


@torch.no_grad()
def streamed_logits(config: ModelConfig, read: Read, ids_BT: Tensor, mtp: bool = True) -> Output:
    """What the model whose tensors `read` gives says about the tokens: causal, without documents, in evaluation mode.

    It equals `Transformer.forward` up to the order of float32 sums. The prediction blocks are read if `mtp`.
    """
    rotary = rotary_of(config, torch.arange(ids_BT.shape[1])[None].expand_as(ids_BT))
    embedded_BTD = F.embedding(ids_BT, read("model.embed_tokens.weight")).float()
    with torch.device("meta"):
        ends = RESIDUALS[config.residual].ends(config)
        norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
    _fill(ends, "model.ends.", read)
    streams = ends.widen(embedded_BTD)
    for layer in range(config.num_hidden_layers):
        streams = _block(config, read, layer)(streams, rotary, None, None, None)[0]
    _fill(norm, "model.norm.", read)
    states = [norm(ends.narrow(streams))]
    for depth in range(1, config.num_nextn_predict_layers + 1 if mtp else 1):
        states.append(_prediction(config, read, depth)(embedded_BTD, states[-1], rotary)[0])
    logits = _head(states, read("model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"))
    return Output(logits[0], tuple(logits[1:]), torch.zeros(()))


def _head(states: list[Tensor], weight_VD: Tensor) -> list[Tensor]:
    """Logits of each of the states, with HEAD_ROWS rows of the weight in float32 at a time."""
    parts = [[F.linear(each, rows.float()) for each in states] for rows in weight_VD.split(HEAD_ROWS)]
    return [torch.cat(logits, dim=-1) for logits in zip(*parts, strict=True)]


def _block(config: ModelConfig, read: Read, layer: int) -> Block:
    with torch.device("meta"):
        block = Block(config, layer)
    _fill(block, f"model.layers.{layer}.", read)
    return block.eval()


def _prediction(config: ModelConfig, read: Read, depth: int) -> MultiTokenPrediction:
    """The block of one depth, on disk the layer after the model's own and those of the depths before."""
    with torch.device("meta"):
        module = MultiTokenPrediction(config, depth)
    prefix = f"model.layers.{config.num_hidden_layers + depth - 1}."
    _fill(module.block, prefix, read)
    _fill(module.norm, f"{prefix}shared_head.norm.", read)
    for name in ("enorm", "hnorm", "eh_proj", "ends"):
        _fill(module.get_submodule(name), f"{prefix}{name}.", read)
    return module.eval()


def _fill(module: nn.Module, prefix: str, read: Read) -> None:
    """Give a module made on the meta device its tensors; experts are replaced by what reads each when it is chosen."""
    for name, child in list(module.named_modules()):
        if isinstance(child, MixtureOfExperts):
            child.register_module("experts", _ReadExperts(child.experts, f"{prefix}{name}.experts.", read))
    tensors = {name: read(prefix + name).float() for name in module.state_dict()}
    module.load_state_dict(tensors, assign=True)


class _ReadExperts(nn.Module):
    """The experts of one layer: each that was chosen is read, and run as the only one of its layer."""

    def __init__(self, experts: nn.Module, prefix: str, read: Read) -> None:
        super().__init__()
        # Not a submodule: its weights, on the meta device, are none of those that the block is filled with.
        self._experts, self._prefix, self._read = (experts,), prefix, read

    def forward(self, x_MD: Tensor, chosen_MK: Tensor, weights_MK: Tensor) -> Tensor:
        """As `Experts.forward`."""
        (experts,) = self._experts
        out_MD = torch.zeros_like(x_MD)
        for expert in chosen_MK.unique().tolist():
            tokens, places = (chosen_MK == expert).nonzero(as_tuple=True)
            first = torch.zeros(len(tokens), 1, dtype=chosen_MK.dtype)
            given = (x_MD[tokens], first, weights_MK[tokens, places][:, None])
            # No name for the weights: it would keep them while the next expert's are read.
            out_MD.index_add_(0, tokens, functional_call(experts, self._weights(expert), given))
        return out_MD

    def _weights(self, expert: int) -> dict[str, Tensor]:
        """The weights of one expert as the stack of them that the module holds."""
        names = ("gate_proj", "up_proj", "down_proj")
        gate, up, down = (self._read(f"{self._prefix}{expert}.{name}.weight").float() for name in names)
        return {"gate_up_proj": torch.cat([gate, up])[None], "down_proj": down[None]}
