"""The norm of every part of the model, as a module."""

import torch
from torch import Tensor, nn

from kernels import rms_norm


class RMSNorm(nn.Module):
    """Root mean square normalisation with a gain."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dim of `x`."""
        return rms_norm(x, self.weight, self.eps)
