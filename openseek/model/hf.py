"""Checkpoints in the Hugging Face layout: our model's memory under the names on disk, written and read.

A checkpoint is a folder with model.safetensors (or shards with an index), config.json and tokenizer.json. The names
are those of tensor_names.py, config.json is that of hf_config.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from torch import Tensor

from openseek.artifact import rename_into_place
from openseek.model.checkpoint_reader import CheckpointReader
from openseek.model.hf_config import hf_config, read_config
from openseek.model.moe import routers
from openseek.model.tensor_names import HEAD, copies
from openseek.model.transformer import Transformer


def hf_views(model: Transformer) -> dict[str, Tensor]:
    """HF name of every tensor on disk -> the part of the model's memory that holds it (a writable view).

    The names and shapes are those of `expected_tensors`.
    """
    table = {"lm_head.": "lm_head."}
    for depth in range(model.config.num_nextn_predict_layers):
        layer = f"model.layers.{model.config.num_hidden_layers + depth}."
        table |= {f"mtp.{depth}.norm.": f"{layer}shared_head.norm.", f"mtp.{depth}.block.": layer}
        table |= {f"mtp.{depth}.": layer}
    views = {}
    for name, tensor in model.state_dict().items():
        prefix = next((prefix for prefix in table if name.startswith(prefix)), None)
        name = f"model.{name}" if prefix is None else table[prefix] + name.removeprefix(prefix)
        stem, _, leaf = name.rpartition(".")
        if not stem.endswith(".mlp.experts"):
            views[name] = tensor
            continue
        for expert, weight in enumerate(tensor):
            if leaf == "down_proj":
                views[f"{stem}.{expert}.down_proj.weight"] = weight
            else:
                gate, up = weight.chunk(2)
                views |= {f"{stem}.{expert}.gate_proj.weight": gate, f"{stem}.{expert}.up_proj.weight": up}
    return views


def save_checkpoint(
    model: Transformer,
    tokenizer_file: Path | None,
    directory: Path,
    dtype: torch.dtype = torch.float32,
    eod: int | None = None,
) -> None:
    """Write the folder: config.json and tokenizer.json first, the weights last, each renamed into place.

    Router weight and bias stay float32 whatever `dtype` says: rounding them changes which experts tokens visit.
    """
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    config = json.dumps(hf_config(model.config, str(dtype).removeprefix("torch."), eod), indent=2) + "\n"
    temporary = directory / ".config.json.tmp"
    temporary.write_text(config, encoding="utf-8")
    rename_into_place(temporary, directory / "config.json")
    if tokenizer_file is not None and tokenizer_file.resolve() != (directory / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, directory / ".tokenizer.json.tmp")
        rename_into_place(directory / ".tokenizer.json.tmp", directory / "tokenizer.json")
    views = hf_views(model)
    views |= {copy: views[original] for copy, original in copies(model.config).items() if copy != HEAD}
    tensors = {}
    for name, view in views.items():
        target = torch.float32 if ".mlp.gate." in name else dtype
        # safetensors refuses tensors that share memory, and copies do
        tensors[name] = view.detach().to("cpu", target, copy=True).contiguous()
    save_file(tensors, directory / ".model.safetensors.tmp", metadata={"format": "pt"})
    rename_into_place(directory / ".model.safetensors.tmp", directory / "model.safetensors")


def load_checkpoint(directory: Path, dtype: torch.dtype = torch.float32) -> Transformer:
    """Build the model of a checkpoint folder, in `dtype` on the CPU, in evaluation mode, one tensor at a time.

    FP8 weights are multiplied with their scales. Raises ValueError that lists missing, unknown or misshapen tensors,
    and copies that differ from their original.
    """
    config = read_config(directory)
    reader = CheckpointReader(directory)
    with torch.device("meta"):
        model = Transformer(config).to(dtype)
    model = model.to_empty(device="cpu")
    views, repeated = hf_views(model), copies(config)
    wrong = []
    for name in reader.names:
        target = views.get(name)
        if target is not None:
            tensor = reader.read(name)
            if target.shape == tensor.shape:
                target.copy_(tensor)
            else:
                wrong.append(f"{name} is {tuple(tensor.shape)}, not {tuple(target.shape)}")
        elif name not in repeated and reader.read(name).numel():  # transformers writes absent shared experts as empty
            wrong.append(f"{name} is unknown")
    missing = sorted(views.keys() - set(reader.names))
    wrong += [f"{name} is missing" for name in missing]
    if not wrong:
        wrong = [
            f"{name} differs from {repeated[name]}, which it must repeat"
            for name in reader.names
            if name in repeated and not torch.equal(reader.read(name).to(dtype), views[repeated[name]])
        ]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        depths = range(config.num_nextn_predict_layers)
        prediction = tuple(f"model.layers.{config.num_hidden_layers + depth}." for depth in depths)
        if missing and all(name.startswith(prediction) for name in missing):
            more += ". transformers saves no multi-token prediction: then num_nextn_predict_layers must be 0"
        raise ValueError(f"{directory} does not hold the model of its config.json: {'; '.join(wrong[:10])}{more}")
    for router in routers(model):
        router.load_E.zero_()  # not on disk, and to_empty left it undefined
    return model.eval()
