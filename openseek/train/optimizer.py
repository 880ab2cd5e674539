"""The optimizer's parameter groups and the learning-rate schedule. No torch at module level: configs live here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Schedule:
    """Learning rate over optimizer steps: linear warm-up, then cosine, constant, or constant with a late decay."""

    kind: Literal["cosine", "constant", "wsd"] = "cosine"
    """cosine: to the final rate at the last step; constant; wsd: constant, then linear over the last decay_steps."""
    peak: float = 1e-3
    """Rate after the warm-up."""
    final: float = 1e-4
    """Rate at the end."""
    warmup_steps: float = 0.0
    """Steps of the linear rise."""
    decay_steps: float = 0.0
    """Steps of the fall at the end (wsd)."""

    def __post_init__(self) -> None:
        if self.kind not in ("cosine", "constant", "wsd"):
            raise ValueError(f"schedule.kind={self.kind!r}: use cosine, constant or wsd")
        for name in ("peak", "final", "warmup_steps", "decay_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"schedule.{name}={getattr(self, name)} must not be negative")

    def rate(self, step: int, num_steps: int) -> float:
        """Learning rate of optimizer step `step`, counted from 0, of `num_steps`."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / max(self.warmup_steps, 1)
        if self.kind == "constant":
            return self.peak
        start = self.warmup_steps if self.kind == "cosine" else num_steps - self.decay_steps
        share = min(max((step + 1 - start) / max(num_steps - start, 1), 0.0), 1.0)
        fall = (1 - math.cos(math.pi * share)) / 2 if self.kind == "cosine" else share
        return self.peak + (self.final - self.peak) * fall


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices with weight decay; vectors (norm gains) without."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for _, p in trained if p.dim() > 1]
    vectors = [p for _, p in trained if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay, "name": "matrices"},
        {"params": vectors, "weight_decay": 0.0, "name": "vectors"},
    ]
