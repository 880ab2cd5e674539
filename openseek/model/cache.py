"""What decoding keeps of past tokens, for any kind of attention.

Letters: L layer, B row of the batch, T new token, S slot (past tokens, then new ones), W width that is kept a token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from openseek.model.attention import ATTENTIONS
from openseek.model.config import ModelConfig


class Cache:
    """For every layer and token, the vectors that the config's attention keeps (its `kept_widths`).

    Rows of unequal length are padded on the LEFT: `padding_B` counts the leading slots of each row that hold padding.
    `absorbed` asks latent attention for its form for decoding, which expands no past token; other kinds have one form.
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
        shape = (config.num_hidden_layers, batch_size, max_length)
        widths = ATTENTIONS[config.attention].kept_widths(config)
        self.kept_LBSW = [torch.zeros(*shape, width, dtype=dtype, device=device) for width in widths]
        self.padding_B = torch.zeros(batch_size, dtype=torch.long) if padding_B is None else padding_B
        self.padding_B = self.padding_B.to(device)
        self.absorbed, self.max_length, self.length = absorbed, max_length, 0

    def reserve(self, num_tokens: int) -> None:
        """Raise ValueError unless `num_tokens` more fit."""
        if self.length + num_tokens > self.max_length:
            raise ValueError(
                f"the cache holds {self.max_length} tokens a row, {self.length} are used and {num_tokens} "
                "more do not fit: build Cache with a larger max_length"
            )

    def write(self, layer: int, *new_BTW: Tensor) -> tuple[Tensor, ...]:
        """Append one layer's tokens after `length` and return all of that layer, [B, S, W] each.

        The model advances `length` when all layers have written.
        """
        end = self.length + new_BTW[0].shape[1]
        for kept_LBSW, each_BTW in zip(self.kept_LBSW, new_BTW, strict=True):
            kept_LBSW[layer, :, self.length : end] = each_BTW
        return tuple(kept_LBSW[layer, :, :end] for kept_LBSW in self.kept_LBSW)

    def positions(self, num_tokens: int) -> Tensor:
        """Positions [B, T] of the next tokens: slots counted from the end of each row's padding."""
        slots = torch.arange(self.length, self.length + num_tokens, device=self.padding_B.device)
        return (slots[None] - self.padding_B[:, None]).clamp(min=0)

    def mask(self, num_tokens: int) -> Tensor:
        """Who sees whom [B, 1, T, S]: earlier slots that hold no padding; padding sees itself, to stay finite."""
        slots_S = torch.arange(self.length + num_tokens, device=self.padding_B.device)
        slots_T = slots_S[self.length :]
        seen_TS = slots_S[None] <= slots_T[:, None]
        real_BS = slots_S[None] >= self.padding_B[:, None]
        itself_TS = slots_S[None] == slots_T[:, None]
        return ((seen_TS[None] & real_BS[:, None]) | itself_TS[None])[:, None]

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all other rows, in place."""
        self.kept_LBSW = [kept_LBSW[:, rows] for kept_LBSW in self.kept_LBSW]
        self.padding_B = self.padding_B[rows]

    def copy_rows(self, source: Cache, rows: Tensor) -> None:
        """Begin with what `source` holds: row b here becomes its row rows[b], padding and length included."""
        for kept_LBSW, theirs_LBSW in zip(self.kept_LBSW, source.kept_LBSW, strict=True):
            kept_LBSW[:, :, : source.length] = theirs_LBSW[:, rows, : source.length]
        self.padding_B, self.length = source.padding_B[rows], source.length
