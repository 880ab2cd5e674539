"""`python -m kernels.bench [NAME ...]`: time every op's cases on a GPU, against the reference and the memory's peak."""

from __future__ import annotations

import sys

import torch

from kernels import OPS
from kernels.op import Op, relative_error


def measure(op: Op, dtype: torch.dtype) -> list[tuple[str, ...]]:
    """One row a case: name, dtype, Triton and reference microseconds, percent of peak bandwidth, error."""
    from triton.testing import do_bench

    device = torch.device("cuda")
    properties = torch.cuda.get_device_properties(device)
    # memory_clock_rate is in kHz; two transfers a clock
    peak = 2e3 * properties.memory_clock_rate * properties.memory_bus_width / 8
    rows = []
    for case in op.cases:
        arguments = case.make(device, dtype)
        with torch.no_grad():
            error = relative_error(op.triton(*arguments), op.reference(*arguments))
            times = [do_bench(lambda f=function, a=arguments: f(*a)) for function in (op.triton, op.reference)]
        seconds, reference = (1e-3 * time for time in times if isinstance(time, float))
        share = case.moved_bytes(dtype) / seconds / peak
        name = str(dtype).removeprefix("torch.")
        columns = (f"{seconds * 1e6:.1f}", f"{reference * 1e6:.1f}", f"{share:.0%}", f"{error:.1e}")
        rows.append((op.name, case.name, name, *columns))
    return rows


def main(names: list[str]) -> int:
    """Print the table; 2 for an unknown name, 1 without a GPU."""
    unknown = [name for name in names if name not in OPS]
    if unknown:
        print(f"no op is named {', '.join(unknown)}; there are: {', '.join(OPS)}", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print(
            "kernels.bench needs a GPU and found none: its numbers would mean nothing on a CPU. The results are "
            "checked on a CPU by `pytest tests/kernels`.",
            file=sys.stderr,
        )
        return 1
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, forward pass")
    row = "{:<12} {:<14} {:<9} {:>10} {:>13} {:>12} {:>8}"
    print(row.format("op", "case", "dtype", "triton us", "reference us", "% of memory", "error"))
    for name in names or list(OPS):
        for dtype in (torch.bfloat16, torch.float32):
            for line in measure(OPS[name], dtype):
                print(row.format(*line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
