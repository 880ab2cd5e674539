"""FP8 weights with one scale a block, as DeepSeek-V3 releases them (arXiv 2412.19437, section 3.3).

A weight [out, in] in float8_e4m3fn has the partner `<name>_scale_inv` [ceil(out / rows), ceil(in / columns)] that its
blocks are multiplied with. V3 keeps the scales in float32; ue8m0 scales are powers of two, kept as their exponents.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALE_SUFFIX = "_scale_inv"
"""What the name of a weight's scales adds to the weight's own name."""
EXPONENT_BIAS = 127


def is_float8(dtype: torch.dtype) -> bool:
    """Whether a weight of this type means nothing without its scales."""
    return dtype in (torch.float8_e4m3fn, torch.float8_e5m2)


def scale_shape(shape: torch.Size | tuple[int, ...], block: tuple[int, int]) -> tuple[int, int]:
    """[ceil(out / rows), ceil(in / columns)] for a weight [out, in]; ValueError unless it is a matrix."""
    if len(shape) != 2:
        raise ValueError(f"a weight {list(shape)} has no blocks of {list(block)}: only matrices have")
    return -(-shape[0] // block[0]), -(-shape[1] // block[1])


def dequantise(weight: Tensor, scale: Tensor, block: tuple[int, int] = (128, 128)) -> Tensor:
    """The float32 weight [out, in]: every block (rows, columns) of `weight` times its entry of `scale`.

    `scale` is float32, bfloat16, float8_e8m0fnu, or uint8 with the exponents of ue8m0 (2^(byte - 127)). Blocks at the
    lower and right edge may be partial. Raises ValueError for another shape or type, and for a scale that is not a
    positive number.
    """
    wanted = scale_shape(weight.shape, block)
    if tuple(scale.shape) != wanted:
        raise ValueError(f"scales {list(scale.shape)} do not fit {list(weight.shape)} in blocks of {list(block)}")
    factors = _factors(scale)
    if not bool(((factors > 0) & factors.isfinite()).all()):
        raise ValueError("a scale is zero, negative or not a number: the file is damaged")
    out = weight.to(torch.float32)
    for strip, row in zip(out.split(block[0]), factors, strict=True):
        strip *= row.repeat_interleave(block[1])[: out.shape[1]]
    return out


def _factors(scale: Tensor) -> Tensor:
    """The scales as float32."""
    if scale.dtype == torch.uint8:
        powers = torch.exp2(scale.to(torch.float64) - EXPONENT_BIAS).to(torch.float32)
        return powers.masked_fill(scale == 255, float("nan"))  # ue8m0 has no infinity: 255 is its NaN
    if scale.dtype in (torch.float32, torch.bfloat16, torch.float8_e8m0fnu):
        return scale.to(torch.float32)
    raise ValueError(f"scales in {scale.dtype}: float32, bfloat16, float8_e8m0fnu and uint8 are read here")
