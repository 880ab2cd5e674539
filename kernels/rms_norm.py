"""Root mean square layer normalisation (Zhang and Sennrich, 2019).

    y = x / sqrt(mean(x^2) + eps) * weight
    dx = rstd * (g - xhat * mean(g * xhat)),   g = dy * weight,  xhat = x * rstd,  rstd = 1 / sqrt(mean(x^2) + eps)
    dweight = sum over rows of dy * xhat

Both versions compute in float32 and cast on store. Shapes: x [..., D], weight [D].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from kernels.op import HAS_TRITON, Case, Op, jit

if TYPE_CHECKING or HAS_TRITON:
    import triton
    import triton.language as tl

# reference


def rms_norm_reference(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """RMS normalisation over the last dim in plain PyTorch."""
    x_float = x.float()
    normalised = x_float * torch.rsqrt(x_float.square().mean(-1, keepdim=True) + eps)
    return (normalised * weight.float()).to(x.dtype)


# kernels


@jit
def _forward_kernel(x, weight, y, rstd, num_columns, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < num_columns
    values = tl.load(x + row * num_columns + columns, mask=inside, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(values * values, axis=0) / num_columns + eps)
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(rstd + row, scale)
    tl.store(y + row * num_columns + columns, (values * scale * gain).to(y.dtype.element_ty), mask=inside)


@jit
def _backward_kernel(x, weight, dy, rstd, dx, dweight, num_rows, num_columns, BLOCK: tl.constexpr):
    # Each program walks every num_programs-th row, so the weight gradient needs one partial sum a program.
    program = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < num_columns
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    dgain = tl.zeros((BLOCK,), dtype=tl.float32)
    wide_zero = tl.zeros((BLOCK,), dtype=tl.int64)  # offsets pass 2^31 in large batches
    for row in range(program, num_rows, tl.num_programs(0)):
        offset = (wide_zero + row) * num_columns + columns
        scale = tl.load(rstd + row)
        xhat = tl.load(x + offset, mask=inside, other=0.0).to(tl.float32) * scale
        grad = tl.load(dy + offset, mask=inside, other=0.0).to(tl.float32)
        dgain += grad * xhat
        grad = grad * gain
        mean = tl.sum(grad * xhat, axis=0) / num_columns
        tl.store(dx + offset, (scale * (grad - xhat * mean)).to(dx.dtype.element_ty), mask=inside)
    tl.store(dweight + program.to(tl.int64) * num_columns + columns, dgain, mask=inside)


# op


class _RMSNorm(torch.autograd.Function):
    """The kernels as one differentiable function."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        y = torch.empty_like(rows)
        rstd = torch.empty(rows.shape[0], dtype=torch.float32, device=x.device)
        if rows.numel():
            _forward_kernel[(rows.shape[0],)](
                rows, weight, y, rstd, rows.shape[1], eps, BLOCK=triton.next_power_of_2(rows.shape[1])
            )
        ctx.save_for_backward(rows, weight, rstd)
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        rows, weight, rstd = ctx.saved_tensors
        dy = grad_outputs[0]
        num_rows, num_columns = rows.shape
        programs = max(1, min(num_rows, _num_programs(rows.device)))
        dx = torch.empty_like(rows)
        partial = torch.zeros(programs, num_columns, dtype=torch.float32, device=rows.device)
        if rows.numel():
            _backward_kernel[(programs,)](
                rows,
                weight,
                dy.reshape(rows.shape).contiguous(),
                rstd,
                dx,
                partial,
                num_rows,
                num_columns,
                BLOCK=triton.next_power_of_2(num_columns),
            )
        return dx.view(dy.shape), partial.sum(0).to(weight.dtype), None


def _num_programs(device: torch.device) -> int:
    """Programs of the backward pass: a few a multiprocessor keep the memory busy without many partial sums."""
    return 4 * torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 4


def rms_norm_triton(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """RMS normalisation over the last dim by the Triton kernels."""
    return _RMSNorm.apply(x, weight, eps)  # pyright: ignore[reportReturnType]


# cases


def _case(rows: int, columns: int, small: bool = False) -> Case:
    def make(device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, float]:
        generator = torch.Generator(device="cpu").manual_seed(rows + columns)
        x = torch.randn(rows, columns, generator=generator).to(device, dtype)
        weight = (1 + 0.1 * torch.randn(columns, generator=generator)).to(device, dtype)
        return x.requires_grad_(), weight.requires_grad_(), 1e-6

    def moved_bytes(dtype: torch.dtype) -> int:
        return (2 * rows + 1) * columns * dtype.itemsize + 4 * rows

    return Case(f"{rows}x{columns}", make, moved_bytes, small)


rms_norm = Op(
    name="rms_norm",
    reference=rms_norm_reference,
    triton=rms_norm_triton,
    cases=(
        _case(5, 48, small=True),  # neither size a power of two
        _case(7, 128, small=True),
        _case(1, 512, small=True),
        _case(16384, 512),  # the latent norm of a 16k-token batch
        _case(16384, 1280),
        _case(16384, 2048),
        _case(8192, 7168),
    ),
)
