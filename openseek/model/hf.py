"""Checkpoints in the Hugging Face layout of deepseek_v3: one table of names serves both directions.

A checkpoint is a folder with model.safetensors (or shards with an index), config.json and tokenizer.json. The
multi-token prediction block is written as layer num_hidden_layers, as in the released files.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openseek.artifact import rename_into_place
from openseek.model.config import ModelConfig
from openseek.model.moe import routers
from openseek.model.transformer import Transformer

# Fields of ModelConfig that the HF config does not have: kept apart, so that no reader takes them for its own.
OWN_FIELDS = ("bias_update_rate", "aux_loss_alpha", "mtp_loss_weight")
# What our code does always: another value on disk means a model that it would compute wrongly.
FIXED_FIELDS: dict[str, Any] = {
    "hidden_act": "silu",
    "attention_bias": False,
    "rope_interleave": True,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
}


def hf_views(model: Transformer) -> dict[str, Tensor]:
    """HF name of every tensor on disk -> the part of the model's memory that holds it (a writable view)."""
    last = f"model.layers.{model.config.num_hidden_layers}"
    table = {
        "mtp.norm.": f"{last}.shared_head.norm.",
        "mtp.block.": f"{last}.",
        "mtp.": f"{last}.",
        "lm_head.": "lm_head.",
    }
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


def _copies(model: Transformer) -> dict[str, str]:
    """Tensors of the released layout that repeat another: their HF name -> the HF name of the original."""
    head = "model.embed_tokens.weight" if model.config.tie_word_embeddings else "lm_head.weight"
    copies = {"lm_head.weight": head} if model.config.tie_word_embeddings else {}
    if model.mtp is not None:
        last = f"model.layers.{model.config.num_hidden_layers}"
        copies |= {
            f"{last}.embed_tokens.weight": "model.embed_tokens.weight",
            f"{last}.shared_head.head.weight": head,
        }
    return copies


def hf_config(config: ModelConfig, dtype: torch.dtype, eod: int | None = None) -> dict[str, Any]:
    """The content of config.json. `eod`: id of the end-of-document token, if known."""
    fields = dataclasses.asdict(config)
    own = {name: fields.pop(name) for name in OWN_FIELDS}
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        **fields,
        **FIXED_FIELDS,
        "num_key_value_heads": config.num_attention_heads,
        "attention_dropout": 0.0,
        "rope_scaling": None,
        "bos_token_id": None,
        "eos_token_id": eod,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "openseek": own,
    }


def read_config(directory: Path) -> ModelConfig:
    """The ModelConfig of a checkpoint folder. Raises ValueError for a model that this code would compute wrongly."""
    path = directory / "config.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the folder of a checkpoint in the Hugging Face layout")
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("model_type") != "deepseek_v3":
        raise ValueError(f"{path}: model_type {raw.get('model_type')!r} is not deepseek_v3, the only one read here")
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    fixed = {name: raw.get(name, value) for name, value in FIXED_FIELDS.items()}
    wrong = {name: value for name, value in fixed.items() if value != FIXED_FIELDS[name]}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        wrong["rope_scaling"] = rope
    if raw.get("quantization_config"):
        wrong["quantization_config"] = raw["quantization_config"]
    if raw.get("num_key_value_heads", raw["num_attention_heads"]) != raw["num_attention_heads"]:
        wrong["num_key_value_heads"] = raw["num_key_value_heads"]
    if wrong:
        raise ValueError(f"{path}: not supported: {wrong}; supported: {FIXED_FIELDS} without scaling or quantization")
    if "rope_theta" in rope:
        raw["rope_theta"] = rope["rope_theta"]
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    merged = {**raw, **raw.get("openseek", {})}
    return ModelConfig(**{name: value for name, value in merged.items() if name in names})


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
    config = json.dumps(hf_config(model.config, dtype, eod), indent=2) + "\n"
    temporary = directory / ".config.json.tmp"
    temporary.write_text(config, encoding="utf-8")
    rename_into_place(temporary, directory / "config.json")
    if tokenizer_file is not None and tokenizer_file.resolve() != (directory / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, directory / ".tokenizer.json.tmp")
        rename_into_place(directory / ".tokenizer.json.tmp", directory / "tokenizer.json")
    views = hf_views(model)
    for copy, original in _copies(model).items():
        if copy != "lm_head.weight":
            views[copy] = views[original]
    tensors = {}
    for name, view in views.items():
        target = torch.float32 if ".mlp.gate." in name else dtype
        # safetensors refuses tensors that share memory, and copies do
        tensors[name] = view.detach().to("cpu", target, copy=True).contiguous()
    save_file(tensors, directory / ".model.safetensors.tmp", metadata={"format": "pt"})
    rename_into_place(directory / ".model.safetensors.tmp", directory / "model.safetensors")


def load_checkpoint(directory: Path) -> Transformer:
    """Build the model of a checkpoint folder, in float32 on the CPU, in evaluation mode.

    Raises ValueError that lists missing, unknown or misshapen tensors, and copies that differ from their original.
    """
    config = read_config(directory)
    with torch.device("meta"):
        model = Transformer(config)
    model = model.to_empty(device="cpu")
    views, copies = hf_views(model), _copies(model)
    missing, wrong = set(views), []
    for name, tensor in _tensors(directory):
        target = views.get(name)
        if target is None and name not in copies:
            wrong.append(f"{name} is unknown")
        elif target is not None and target.shape != tensor.shape:
            wrong.append(f"{name} is {tuple(tensor.shape)}, not {tuple(target.shape)}")
        elif target is not None:
            target.copy_(tensor)
            missing.discard(name)
    wrong += [f"{name} is missing" for name in sorted(missing)]
    if not wrong:
        wrong = [
            f"{name} differs from {copies[name]}, which it must repeat"
            for name, tensor in _tensors(directory, set(copies))
            if not torch.equal(tensor.float(), views[copies[name]])
        ]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise ValueError(f"{directory} does not hold the model of its config.json: {'; '.join(wrong[:10])}{more}")
    for router in routers(model):
        router.load_E.zero_()  # not on disk, and to_empty left it undefined
    return model.eval()


def _tensors(directory: Path, only: set[str] | None = None):
    """Yield (name, tensor) of all safetensors files of a folder, one at a time."""
    from safetensors import safe_open

    index = directory / "model.safetensors.index.json"
    if index.is_file():
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        files = ["model.safetensors"]
    for file in files:
        if not (directory / file).is_file():
            raise ValueError(f"{directory / file} is missing: the checkpoint is not complete")
        with safe_open(directory / file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118, not a dict
                if only is None or name in only:
                    yield name, tensors.get_tensor(name)
