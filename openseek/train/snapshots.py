"""Snapshots: the weights of some steps of a run as checkpoint folders, without the optimizer's state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.model.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

    from openseek.model.transformer import Transformer
    from openseek.parallel.dims import Ranks


def write_snapshot(model: Transformer, folder: Path, tokenizer_file: Path, eod: int, ranks: Ranks) -> None:
    """Write the float32 weights of a model in training. Every rank must call it; rank 0 writes."""
    from deepspeed.utils import safe_get_full_fp32_param

    from openseek.model.hf import save_checkpoint

    weights: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        weight = safe_get_full_fp32_param(parameter)
        assert weight is not None, name
        if ranks.rank == 0:
            weights[name] = weight.cpu()
    if ranks.rank == 0:
        copy = _empty(model.config)
        copy.load_state_dict({**model.state_dict(), **weights})
        temporary = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        save_checkpoint(copy, tokenizer_file, temporary, eod=eod)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)


def _empty(config: ModelConfig) -> Transformer:
    import torch

    from openseek.model.transformer import Transformer

    with torch.device("meta"):
        model = Transformer(config)
    return model.to_empty(device="cpu")


def snapshot_folder(out: Path, step: int) -> Path:
    """Where the weights after a step are."""
    return out / "snapshots" / f"step-{step:08d}"
