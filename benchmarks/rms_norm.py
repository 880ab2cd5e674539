"""RMSNorm on a GPU: the Triton op beside torch's own, with the share of the memory's peak bandwidth."""

from typing import Any

from benchmarks.rows import Row

PEER = "torch.nn.functional.rms_norm"


def measure() -> list[Row]:
    """Microseconds of every case; ValueError without a GPU, since a CPU time would mean nothing."""
    import torch

    from kernels import OPS

    if not torch.cuda.is_available():
        raise ValueError("bench rms_norm needs a CUDA device and found none: run it on a GPU machine")
    cases = OPS["rms_norm"].cases
    return [row for case in cases for dtype in (torch.bfloat16, torch.float32) for row in _case(case, dtype)]


def _case(case: Any, dtype: Any) -> list[Row]:
    """Forward, forward + backward, share of the peak and error of one size and dtype."""
    import torch
    import triton
    from torch.nn.functional import rms_norm as torch_rms_norm
    from triton.testing import do_bench

    from kernels import OPS
    from kernels.op import relative_error

    op = OPS["rms_norm"]
    x, weight, *rest = case.make(torch.device("cuda"), dtype)
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    eps = rest[0] if rest else 1e-6
    upstream = torch.randn_like(x)

    def ours() -> torch.Tensor:
        return op.triton(x, weight, *rest)

    def peer() -> torch.Tensor:
        return torch_rms_norm(x, (x.shape[-1],), weight, eps)

    def microseconds(call: Any) -> float:
        milliseconds: Any = do_bench(call)
        return float(milliseconds) * 1e3

    with torch.no_grad():
        forward = microseconds(ours), microseconds(peer)
        error = relative_error(ours(), op.reference(x, weight, *rest))
    whole = [
        microseconds(lambda call=call: torch.autograd.grad(call(), (x, weight), upstream)) for call in (ours, peer)
    ]
    properties = torch.cuda.get_device_properties(0)
    peak = 2e3 * properties.memory_clock_rate * properties.memory_bus_width / 8  # kHz, two transfers a clock
    shared: dict[str, Any] = {
        "bench": "rms_norm",
        "case": f"{case.name}, {str(dtype).removeprefix('torch.')}",
        "device": torch.cuda.get_device_name(),
        "versions": {"torch": torch.__version__, "triton": triton.__version__},
        "command": "openseek bench rms_norm",
    }
    share = case.moved_bytes(dtype) / (forward[0] * 1e-6) / peak
    return [
        Row(**shared, metric="forward", value=forward[0], unit="us", peer=PEER, peer_value=forward[1]),
        Row(**shared, metric="forward, share of peak memory bandwidth", value=share, unit="share"),
        Row(**shared, metric="forward + backward", value=whole[0], unit="us", peer=PEER, peer_value=whole[1]),
        Row(**shared, metric="relative error against the reference", value=error, unit="ratio"),
    ]
