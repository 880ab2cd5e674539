"""One token after another for the rows of a cache; on a GPU a step is the replay of a captured CUDA graph.

A step of a small batch is hundreds of short kernels, and starting them one by one takes the host ten times as long as
running them takes the device. A graph starts them all at once, but knows one shape only: so it reads the whole cache,
behind a mask, and rows that have finished stay until half of the batch is idle.

Letters: L layer, B row of the batch, A row still active, S slot, W width that is kept a token, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from openseek.model.cache import Cache
from openseek.model.moe import Experts
from openseek.model.transformer import Transformer

WORTH_CAPTURING = 12
"""Steps from which a graph saves more than its capture takes."""


class Decoder:
    """Extends the rows of `cache` by `num_steps` tokens at most. Call it without gradients, in evaluation mode."""

    def __init__(self, model: Transformer, cache: Cache, num_steps: int) -> None:
        self._model, self._cache, self._steps_left = model, cache, num_steps
        self._graph: _Graph | None = None
        self._active_A: Tensor | None = None

    def step(self, tokens_A: Tensor) -> Tensor:
        """Next-token logits [A, V] of the active rows, having read one more token of each."""
        if self._graph is None and self._steps_left >= WORTH_CAPTURING and _capturable(self._model):
            self._graph = _Graph(self._model, self._cache)
        self._steps_left -= 1
        if self._graph is None:
            return self._model(tokens_A[:, None], cache=self._cache).logits_BTV[:, -1]
        if self._active_A is None:
            return self._graph.step(tokens_A)
        tokens_B = torch.zeros_like(self._graph.tokens_B).index_copy_(0, self._active_A, tokens_A)
        return self._graph.step(tokens_B)[self._active_A]

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with these of the active rows alone."""
        if self._graph is None:
            self._cache.keep_rows(rows)
            return
        active_A = rows if self._active_A is None else self._active_A[rows]
        if 2 * len(active_A) > len(self._graph.tokens_B):
            self._active_A = active_A
            return
        self._cache.length = self._graph.length
        self._cache.keep_rows(active_A)
        self._graph, self._active_A = None, None


def _capturable(model: Transformer) -> bool:
    """Whether a step neither waits for the device nor changes its kernels with the data."""
    weight = model.embed_tokens.weight
    experts = (module for module in model.modules() if isinstance(module, Experts))
    return weight.is_cuda and all(module.fits_grouped(weight) for module in experts)


class _FixedCache(Cache):
    """The same tensors as another cache, read whole: where the next token goes is a number on the device."""

    def __init__(self, cache: Cache) -> None:
        self.kept_LBSW, self.padding_B = cache.kept_LBSW, cache.padding_B
        self.absorbed, self.max_length, self.length = cache.absorbed, cache.max_length, cache.length
        self.slot_1 = torch.tensor([cache.length], device=cache.padding_B.device)

    def write(self, layer: int, *new_BTW: Tensor) -> tuple[Tensor, ...]:
        """Put one token a row at the slot; all slots of the layer."""
        for kept_LBSW, each_BTW in zip(self.kept_LBSW, new_BTW, strict=True):
            kept_LBSW[layer].index_copy_(1, self.slot_1, each_BTW)
        return tuple(kept_LBSW[layer] for kept_LBSW in self.kept_LBSW)

    def positions(self, num_tokens: int) -> Tensor:
        """Positions [B, 1] of the next token."""
        return self.slot_1[None] - self.padding_B[:, None]

    def mask(self, num_tokens: int) -> Tensor:
        """Who sees whom [B, 1, 1, S]: slots up to the new token that hold no padding."""
        slots_S = torch.arange(self.max_length, device=self.slot_1.device)
        return ((slots_S <= self.slot_1) & (slots_S >= self.padding_B[:, None]))[:, None, None]


class _Graph:
    """A captured step for all rows of a cache."""

    def __init__(self, model: Transformer, cache: Cache) -> None:
        self._cache, self.length = _FixedCache(cache), cache.length
        self.tokens_B = torch.zeros(len(cache.padding_B), dtype=torch.long, device=cache.padding_B.device)
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # Outside the capture once, for kernels that are compiled and libraries that allocate on first use. What it
            # writes is written again.
            self._run(model)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(self._graph):
            self._logits_BV = self._run(model)

    def _run(self, model: Transformer) -> Tensor:
        self._cache.length = self.length
        return model(self.tokens_B[:, None], cache=self._cache).logits_BTV[:, -1]

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits [B, V] behind these tokens; they are overwritten by the next step."""
        self.tokens_B.copy_(tokens_B)
        self._graph.replay()
        self._cache.slot_1 += 1
        self.length += 1
        return self._logits_BV
