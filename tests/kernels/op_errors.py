"""Print, as JSON, the relative errors of every op against its reference, and those of deliberately broken kernels.

A program of its own: Triton reads TRITON_INTERPRET when it is first imported, and in the process of the tests anything
may have imported it before.
"""

import importlib
import json
import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

import triton
import triton.language as tl

from kernels import OPS
from kernels.op import Case, Op, relative_error

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def errors(op: Op, case: Case, dtype: torch.dtype) -> dict[str, float]:
    """Errors of the output and of each gradient; the reference runs on the same rounded inputs in float32."""
    arguments = case.make(DEVICE, dtype)
    leaves = [a for a in arguments if isinstance(a, torch.Tensor)]
    out = op.triton(*arguments)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(0)).to(DEVICE, dtype)
    grads = torch.autograd.grad(out, leaves, grad)
    exact = [a.detach().float().requires_grad_() if isinstance(a, torch.Tensor) else a for a in arguments]
    expected = op.reference(*exact)
    expected_grads = torch.autograd.grad(expected, [a for a in exact if isinstance(a, torch.Tensor)], grad.float())
    assert all(tensor.dtype == dtype for tensor in (out, *grads))
    names = ["output", *(f"gradient {i}" for i in range(len(grads)))]
    pairs = zip((out, *grads), (expected, *expected_grads), strict=True)
    return {name: relative_error(a, e) for name, (a, e) in zip(names, pairs, strict=True)}


@triton.jit
def forward_without_gain(x, weight, y, rstd, num_columns, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < num_columns
    values = tl.load(x + row * num_columns + columns, mask=inside, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(values * values, axis=0) / num_columns + eps)
    tl.store(rstd + row, scale)
    tl.store(y + row * num_columns + columns, (values * scale).to(y.dtype.element_ty), mask=inside)


@triton.jit
def backward_without_mean(x, weight, dy, rstd, dx, dweight, num_rows, num_columns, BLOCK: tl.constexpr):
    program = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    inside = columns < num_columns
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    dgain = tl.zeros((BLOCK,), dtype=tl.float32)
    for row in range(program, num_rows, tl.num_programs(0)):
        offset = row * num_columns + columns
        scale = tl.load(rstd + row)
        grad = tl.load(dy + offset, mask=inside, other=0.0).to(tl.float32)
        dgain += grad * tl.load(x + offset, mask=inside, other=0.0).to(tl.float32) * scale
        tl.store(dx + offset, (scale * grad * gain).to(dx.dtype.element_ty), mask=inside)
    tl.store(dweight + program * num_columns + columns, dgain, mask=inside)


def main() -> None:
    """Measure all cases (the small ones in the interpreter), then break one kernel at a time."""
    found: dict[str, dict[str, float]] = {}
    for op in OPS.values():
        for case in op.cases:
            if case.small or DEVICE.type == "cuda":
                for dtype in (torch.float32, torch.bfloat16, torch.float16):
                    found[f"{op.name} {case.name} {str(dtype)[6:]}"] = errors(op, case, dtype)
    module = importlib.import_module("kernels.rms_norm")
    for name, broken in (("_forward_kernel", forward_without_gain), ("_backward_kernel", backward_without_mean)):
        right = getattr(module, name)
        setattr(module, name, broken)
        found[f"broken {name}"] = errors(OPS["rms_norm"], OPS["rms_norm"].cases[0], torch.bfloat16)
        setattr(module, name, right)
    x, weight = torch.randn(2, 3, 16, device=DEVICE)[..., ::2], torch.rand(8, device=DEVICE)
    rms_norm = OPS["rms_norm"]
    found["strided"] = {"output": relative_error(rms_norm.triton(x, weight), rms_norm.reference(x, weight))}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
