"""Exponential moving average of the weights: float32, in host memory, beside the optimizer's shards.

After update t the average a of weights w is a_t = a_(t-1) + s_t (w_t - a_(t-1)), with s_t = (1 - d) / (1 - d^t): the
weights of all steps, each d times less than the next, summing to one. So the random initial weights have no part in it.
DeepSeek-V3 (arXiv:2412.19437, section 3.2) keeps its average in host memory, too, and works on it beside the next step.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from openseek.model.transformer import Transformer

EMA = "ema"
"""Name of the average among the optimizer's moments, which DeepSpeed gathers and scatters by name."""


class WeightAverage:
    """The average over this rank's shard of the weights, and over the router biases."""

    def __init__(self, engine: Any, model: Transformer, decay: float) -> None:
        self._engine, self._model, self._decay = engine, model, decay
        self.updates = 0
        """Optimizer steps that are in the average."""
        self.buffers: dict[str, Tensor] = {}
        """Averages of the router biases by name, the same on every rank."""
        self._staging: list[Tensor] = []
        self._thread = ThreadPoolExecutor(1, "ema")
        self._pending: Future[None] | None = None

    def update(self) -> None:
        """Take in the weights as an optimizer step has left them.

        On a GPU this starts copies to the host and returns; a thread averages them while the next step computes.
        """
        self.wait()
        self.updates += 1
        share = (1 - self._decay) / (1 - self._decay**self.updates)
        flats, averages = [], []
        for group in self._engine.optimizer.optimizer.param_groups:
            for flat in group["params"]:
                state = self._engine.optimizer.optimizer.state[flat]
                if EMA not in state:
                    state[EMA] = torch.zeros(flat.shape, dtype=torch.float32)
                flats.append(flat.detach())
                averages.append(state[EMA])
        for name, buffer in biases(self._model).items():
            flats.append(buffer)
            averages.append(self.buffers.setdefault(name, torch.zeros(buffer.shape, dtype=torch.float32)))
        copied = None
        if flats[0].is_cuda:
            if not self._staging:
                self._staging = [torch.empty(each.shape, pin_memory=True) for each in averages]
            for staging, flat in zip(self._staging, flats, strict=True):
                staging.copy_(flat, non_blocking=True)
            flats, copied = self._staging, torch.cuda.Event()
            copied.record()
        self._pending = self._thread.submit(_average, flats, averages, share, copied)
        if copied is None:
            self.wait()  # the weights themselves are read, which the next step changes

    def wait(self) -> None:
        """Return once the last update has been taken in."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def full(self) -> dict[str, Tensor]:
        """The average of every weight and router bias of the whole model, by name. Every rank must call it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        from openseek.train.checkpoint import link_moments

        self.wait()
        link_moments(self._engine)
        averages = dict(self.buffers)
        for name, parameter in self._model.named_parameters():
            average = safe_get_full_optimizer_state(parameter, EMA)
            assert average is not None, name
            averages[name] = average.cpu()
        return averages


def _average(flats: list[Tensor], averages: list[Tensor], share: float, copied: torch.cuda.Event | None) -> None:
    if copied is not None:
        copied.synchronize()
    for flat, average in zip(flats, averages, strict=True):
        average.lerp_(flat.float(), share)


def biases(model: Transformer) -> dict[str, Tensor]:
    """What is saved with the weights and not trained by the optimizer, by name: the router biases."""
    trained = dict(model.named_parameters())
    return {name: tensor for name, tensor in model.state_dict().items() if name not in trained}
