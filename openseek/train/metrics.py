"""What a run reports: JSON lines per rank, averages over ranks, throughput, a progress line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor

from openseek.artifact import rename_into_place
from openseek.parallel.dims import Ranks

# Dense bfloat16 peak in FLOP/s, by a part of the device's name.
PEAK_FLOPS = {"H100": 989.5e12, "H200": 989.5e12, "A100": 312e12}


class MetricsFile:
    """`out/metrics/rankNNNNN.jsonl`: one JSON object a step; each whole line is final once written."""

    def __init__(self, out: Path, rank: int, first_step: int) -> None:
        """Open for appending; lines of steps after `first_step` are left from a killed run and are cut off."""
        folder = out / "metrics"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"rank{rank:05d}.jsonl"
        if path.exists():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step(line) <= first_step]
            temporary = folder / f".rank{rank:05d}.jsonl.tmp"
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            rename_into_place(temporary, path)
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, values: dict[str, float]) -> None:
        """Append one step."""
        self._file.write(json.dumps(values) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def _step(line: str) -> float:
    """The step of a line; infinity for one that was cut short."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return float("inf")


def mean_over_ranks(values: dict[str, float | Tensor], ranks: Ranks) -> dict[str, float]:
    """Average every value over the ranks in one all-reduce. Every rank must give the same names."""
    names = sorted(values)
    numbers = torch.tensor([float(values[name]) for name in names], dtype=torch.float64, device=ranks.device)
    if ranks.world_size > 1:
        dist.all_reduce(numbers, group=ranks.data_group)
    return dict(zip(names, (numbers / ranks.world_size).tolist(), strict=True))


def load_imbalance(loads: Tensor) -> float:
    """Largest expert load over the mean load, the worst router's; 1 is even. `loads` [routers, E]."""
    if loads.numel() == 0 or loads.sum() == 0:
        return 1.0
    loads = loads.double()
    return (loads.max(dim=1).values / loads.mean(dim=1).clamp(min=1e-9)).max().item()


def model_flops_utilisation(flops_per_second: float, ranks: Ranks) -> float | None:
    """Share of the devices' peak; None on a CPU or a GPU whose peak is not known here."""
    if ranks.device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(ranks.device)
    peak = next((peak for part, peak in PEAK_FLOPS.items() if part in name), None)
    return None if peak is None else flops_per_second / (peak * ranks.world_size)


class Progress:
    """A line on rank 0's standard output, at most once every `seconds` and at the end."""

    def __init__(self, title: str, total: int, rank: int, seconds: float = 2.0) -> None:
        self.title, self.total, self.shown, self.seconds, self.quiet = title, total, 0.0, seconds, rank != 0

    def show(self, step: int, values: dict[str, float]) -> None:
        """Report `step` of the total with the values that matter."""
        now = time.monotonic()
        if self.quiet or (step < self.total and now - self.shown < self.seconds):
            return
        self.shown = now
        names = {"loss": ".4f", "reward": ".3f", "grad_norm": ".3f", "lr": ".2e", "tokens_per_second": ",.0f"}
        text = "  ".join(f"{name} {values[name]:{form}}" for name, form in names.items() if name in values)
        print(f"{self.title} {step}/{self.total}  {text}", flush=True)
