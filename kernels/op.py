"""Op: one operation with a plain PyTorch reference and a Triton version; Case: one problem size of it.

Models call the op. It takes Triton for tensors on a GPU and the reference elsewhere, so a CPU needs no Triton at all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

HAS_TRITON = importlib.util.find_spec("triton") is not None


def jit(function: Callable[..., Any]) -> Any:
    """`triton.jit` where Triton is installed; elsewhere the plain function, which nothing then launches."""
    if not HAS_TRITON:
        return function
    import triton

    return triton.jit(function)


@dataclass(frozen=True)
class Case:
    """One problem size: `make(device, dtype)` gives the arguments; those that require grad are differentiated."""

    name: str
    make: Callable[[torch.device, torch.dtype], tuple[Any, ...]]
    moved_bytes: Callable[[torch.dtype], int]
    """Bytes that the forward pass must read and write at least once: bench divides them by the time."""
    small: bool = False
    """Small enough for Triton's interpreter, so the CPU tests run it."""


@dataclass(frozen=True)
class Op:
    """A function of tensors with two implementations of equal meaning."""

    name: str
    reference: Callable[..., torch.Tensor]
    triton: Callable[..., torch.Tensor]
    cases: tuple[Case, ...]
    tolerance: Mapping[torch.dtype, float] = field(
        default_factory=lambda: {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}
    )
    """Largest ||triton - reference|| / ||reference|| of outputs and gradients, by dtype."""

    def __call__(self, first: torch.Tensor, *arguments: Any) -> torch.Tensor:
        """Run the op where `first` lives."""
        return (self.triton if first.is_cuda else self.reference)(first, *arguments)


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """||actual - expected|| / ||expected|| in float64; 0 when both are zero."""
    difference = (actual.double() - expected.double()).norm().item()
    return difference / max(expected.double().norm().item(), 1e-30) if difference else 0.0
