"""Resume state: global tensor names, one folder a step, valid only when whole.

    resume/step-00000120/state.safetensors    fp32.NAME, exp_avg.NAME, exp_avg_sq.NAME, buffer.NAME, ema.NAME
    resume/step-00000120/state.json           step, tokens, sizes: written after the tensors
    resume/LATEST                             name of the newest whole folder, replaced by rename afterwards

A folder gets its name by rename once complete and LATEST follows, so a kill at any instant leaves an older whole state.
Nothing here is a pickle. Names and shapes are those of the whole model: a state saved by N ranks loads on M.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from openseek.artifact import rename_into_place
from openseek.model.transformer import Transformer
from openseek.parallel.dims import Ranks
from openseek.train.ema import EMA, WeightAverage, biases

MOMENTS = ("exp_avg", "exp_avg_sq")
KEPT = 2


def link_moments(engine: Any) -> None:
    """Let DeepSpeed find the moments of every parameter group: on its own it looks after the first group's step."""
    engine.optimizer._hp_optimizer_states_linked = False
    engine.optimizer._lazy_init_hp_params_optimizer_state()


def _inner_parameters(engine: Any) -> list[Tensor]:
    """The flat float32 shard of each parameter group that the wrapped optimizer works on."""
    return [p for group in engine.optimizer.optimizer.param_groups for p in group["params"]]


def save_state(
    engine: Any,
    model: Transformer,
    directory: Path,
    ranks: Ranks,
    counters: dict[str, Any],
    average: WeightAverage | None = None,
) -> None:
    """Write the state after optimizer step counters["step"]. Every rank must call it; rank 0 writes."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state
    from safetensors.torch import save_file

    link_moments(engine)
    tensors: dict[str, Tensor] = {}

    def put(name: str, tensor: Tensor | None) -> None:
        assert tensor is not None, name
        if ranks.rank == 0:
            tensors[name] = tensor.detach().to("cpu", copy=True).contiguous()

    for name, parameter in model.named_parameters():
        put(f"fp32.{name}", safe_get_full_fp32_param(parameter))
        for moment in MOMENTS:
            put(f"{moment}.{name}", safe_get_full_optimizer_state(parameter, moment))
    for name, tensor in biases(model).items():
        put(f"buffer.{name}", tensor)
    for name, tensor in average.full().items() if average else ():
        put(f"{EMA}.{name}", tensor)
    if ranks.rank == 0:
        final = directory / f"step-{counters['step']:08d}"
        temporary = directory / f".{final.name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file(tensors, temporary / "state.safetensors")
        (temporary / "state.json").write_text(json.dumps(counters | {"format": 1}) + "\n", encoding="utf-8")
        for file in temporary.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        shutil.rmtree(final, ignore_errors=True)
        rename_into_place(temporary, final)
        latest = directory / ".LATEST.tmp"
        latest.write_text(final.name + "\n", encoding="utf-8")
        rename_into_place(latest, directory / "LATEST")
        for old in sorted(directory.glob("step-*"))[:-KEPT]:
            shutil.rmtree(old)
    if ranks.world_size > 1:
        dist.barrier()


def load_state(
    engine: Any, model: Transformer, directory: Path, average: WeightAverage | None = None
) -> dict[str, Any] | None:
    """Restore the newest whole state into model, optimizer and average, and return its counters; None without a state.

    Raises ValueError when the state is of another model.
    """
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state
    from safetensors import safe_open

    if not (directory / "LATEST").is_file():
        return None
    folder = directory / (directory / "LATEST").read_text(encoding="utf-8").strip()
    counters = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    state = engine.optimizer.optimizer.state
    for flat in _inner_parameters(engine):
        # torch makes these on the first step; they must be there to be filled
        state[flat] = {"step": torch.tensor(float(counters["step"]))}
        state[flat] |= {moment: torch.zeros_like(flat) for moment in MOMENTS}
        state[flat] |= {EMA: torch.zeros(flat.shape, dtype=torch.float32)} if average else {}
    link_moments(engine)
    trained = dict(model.named_parameters())
    with safe_open(folder / "state.safetensors", framework="pt") as tensors:
        expected = {f"fp32.{name}": tuple(p.shape) for name, p in trained.items()}
        found = {n: tuple(tensors.get_slice(n).get_shape()) for n in tensors.keys() if n.startswith("fp32.")}  # noqa: SIM118
        if found != expected:
            different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            raise ValueError(
                f"{folder} holds the state of another model ({', '.join(different[:5])}): "
                f"delete {directory} to start over"
            )
        for name, parameter in trained.items():
            device = parameter.device
            safe_set_full_fp32_param(parameter, tensors.get_tensor(f"fp32.{name}").to(device))
            for moment in MOMENTS:
                safe_set_full_optimizer_state(parameter, tensors.get_tensor(f"{moment}.{name}").to(device), moment)
            if average:
                safe_set_full_optimizer_state(parameter, tensors.get_tensor(f"{EMA}.{name}"), EMA)
        for name, tensor in biases(model).items():
            tensor.copy_(tensors.get_tensor(f"buffer.{name}"))
            if average:
                average.buffers[name] = tensors.get_tensor(f"{EMA}.{name}")
    if average:
        average.updates = counters["step"]
    engine.optimizer.update_lp_params()
    return counters
