"""Operations on tensors, each with a plain PyTorch reference and a Triton kernel. Tests and bench read OPS."""

from kernels.op import Case, Op
from kernels.rms_norm import rms_norm

OPS: dict[str, Op] = {op.name: op for op in (rms_norm,)}

__all__ = ["OPS", "Case", "Op", "rms_norm"]
