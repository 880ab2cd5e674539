"""How the blocks of a model are joined: what runs past them, what each part of a block reads of it and writes back.

A kind of residual is two modules. The `Connection` stands beside every part of a block (its attention and its
feed-forward each have one): the part computes write(streams, part(norm(read(streams)))). The `Ends` stand around a
stack of blocks (the model's layers, and each multi-token prediction block): `widen` makes the streams of the embedding,
`narrow` the states that the final norm reads. With n streams they are [B, T, n, D], a shape that nothing outside these
two modules looks at; a subclass that mixes them by weights of its own computes them from `streams`, which `read` and
`write` are both given.

Letters: B batch, T position, D hidden.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn

from openseek.model.config import ModelConfig

Part = Literal["attention", "mlp"]


class Connection(nn.Module):
    """The plain residual connection: one stream, to which every part adds its output. It has no weights.

    Other kinds are subclasses that override `read` and `write`; `layer` and `part` tell them where they stand.
    """

    def __init__(self, config: ModelConfig, layer: int, part: Part) -> None:
        super().__init__()
        self.config, self.layer, self.part = config, layer, part

    def read(self, streams: Tensor) -> Tensor:
        """The input [B, T, D] of the part, before its norm."""
        return streams

    def write(self, streams: Tensor, output_BTD: Tensor) -> Tensor:
        """The streams after the part, from those before it and its output."""
        return streams + output_BTD


class Ends(nn.Module):
    """The ends of the plain residual: the stream is the embedding, and the last states are the stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def widen(self, x_BTD: Tensor) -> Tensor:
        """The streams that enter the first block."""
        return x_BTD

    def narrow(self, streams: Tensor) -> Tensor:
        """The states [B, T, D] behind the last block, before the final norm."""
        return streams


class Residual(NamedTuple):
    """One kind of residual."""

    connection: type[Connection]
    ends: type[Ends]


RESIDUALS = {"add": Residual(Connection, Ends)}
"""ModelConfig.residual -> the kind."""
