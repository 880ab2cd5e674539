"""A checkpoint of either layout, opened: every tensor of its files, and which whole tensors these are made of.

Headers are read, no weights. What a user may have got wrong is found here: missing, unknown and misshapen tensors,
missing files, a vocabulary that is not this model's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openseek.model.config import ModelConfig
from openseek.model.fp8_blocks import SCALE_SUFFIX, is_float8
from openseek.model.hf_config import fp8_block, read_config, read_json
from openseek.model.megatron import WORD_EMBEDDINGS, Megatron, is_ignored, names_found
from openseek.model.megatron_args import config_of, sizes_of, split_of
from openseek.model.placement import Placed, Shape, run, uncut
from openseek.model.safetensors_files import open_safetensors
from openseek.model.stored_tensor import StoredTensor
from openseek.model.tensor_names import EMBEDDING, HEAD, copies, expected_tensors
from openseek.model.torch_files import Foreign, open_torch

LATEST = "latest_checkpointed_iteration.txt"
RANK_FILE = "model_optim_rng.pt"
BESIDE = "hf"
"""Folder of a Megatron checkpoint with what Megatron has no file for: config.json, the tokenizer."""
RECORD = "openseek_convert.json"
"""File in it: which copies of tensors the Hugging Face folder held."""
LISTED = 10
UNITS = {"embedding": "E", "decoder": "t", "mtp": "m", "loss": "L"}


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint."""

    kind: str
    """hf or mcore."""
    config: ModelConfig
    """The model; vocab_size is the true one, without padding."""
    held: dict[StoredTensor, Placed]
    """Every tensor of the model and what it is made of."""
    padding_rows: int
    """Rows of the embedding behind the vocabulary."""
    beside: Path
    """Folder with config.json and tokenizer files; it may lack them, or not exist."""
    copies: tuple[str, ...]
    """Tensors that repeat another and are, or were, in the Hugging Face folder."""
    scales: dict[StoredTensor, StoredTensor] = field(default_factory=dict)
    """FP8 weight -> its scales."""
    block: tuple[int, int] = (128, 128)
    """Rows and columns that one scale covers."""
    ignored: tuple[str, ...] = ()
    """Tensors that say nothing about the model: rotary tables, state of FP8 recipes and of optimizers."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Megatron's arguments."""
    iteration: int = 0
    """Training step of a Megatron checkpoint; 0: a release."""

    @property
    def num_files(self) -> int:
        """How many files hold its tensors."""
        return len({tensor.file for tensor in self.held})


def open_checkpoint(folder: Path, true_vocab_size: int = 0) -> Checkpoint:
    """Open a folder of either layout, or an artifact with a checkpoint in it.

    true_vocab_size: rows of the embedding that are the tokenizer's; 0: as the checkpoint says. Raises ValueError that
    names what is missing, unknown, misshapen or damaged.
    """
    inner = folder / "checkpoint"
    folder = inner if inner.is_dir() else folder
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give one with config.json and safetensors files, or Megatron's")
    if (folder / LATEST).is_file() or any(folder.glob("mp_rank_*")):
        return _open_megatron(folder, true_vocab_size)
    if (folder / "config.json").is_file():
        return _open_hf(folder, true_vocab_size)
    raise ValueError(f"{folder} holds neither config.json (Hugging Face layout) nor {LATEST} or mp_rank_* (Megatron)")


def _open_hf(folder: Path, true_vocab_size: int) -> Checkpoint:
    config = read_config(folder)
    vocab = _true_vocab_size(true_vocab_size, config.vocab_size, folder, folder / "config.json", config.vocab_size)
    expected, repeated = expected_tensors(config), copies(config)
    stored = open_safetensors(folder)
    held: dict[StoredTensor, Placed] = {}
    scales: dict[StoredTensor, StoredTensor] = {}
    ignored, wrong = [], []
    # Originals before their copies: the first is the one that counts.
    for name, tensor in sorted(stored.items(), key=lambda each: each[0] in repeated):
        weight = stored.get(name.removesuffix(SCALE_SUFFIX))
        original = repeated.get(name, name)
        if name.endswith(SCALE_SUFFIX) and weight is not None:
            scales[weight] = tensor
        elif name.endswith(".inv_freq"):
            ignored.append(name)
        elif original not in expected:
            wrong.append(f"{name} is unknown")
        else:
            wrong += _misfit(tensor, expected[original])
            cut = original in (EMBEDDING, HEAD) and vocab < config.vocab_size
            rows = run(original, (vocab, config.hidden_size), 0, vocab).parts
            held[tensor] = Placed(tensor.shape, rows) if cut else uncut(original, expected[original])
            if is_float8(tensor.dtype) and name + SCALE_SUFFIX not in stored:
                wrong.append(f"{name} is FP8 and {name}{SCALE_SUFFIX} is missing")
    wrong += [f"{name} is missing" for name in expected if name not in stored]
    _refuse(folder, wrong)
    return Checkpoint(
        kind="hf",
        config=replace(config, vocab_size=vocab),
        held=held,
        padding_rows=config.vocab_size - vocab,
        beside=folder,
        copies=tuple(name for name in repeated if name in stored),
        scales=scales,
        block=fp8_block(read_json(folder)) or (128, 128),
        ignored=tuple(ignored),
    )


def _open_megatron(folder: Path, true_vocab_size: int) -> Checkpoint:
    ranks, iteration = _iteration(folder)
    contents = {path.name: open_torch(path / RANK_FILE) for path in sorted(ranks.glob("mp_rank_*"))}
    if not contents:
        raise ValueError(f"{ranks} holds no mp_rank_* folder: is the checkpoint of another format than torch?")
    args = _args(ranks, next(iter(contents.values())))
    # An iteration's folder may be given by itself: what lies beside then lies beside its parent's.
    beside = next((place / BESIDE for place in (folder, folder.parent) if (place / BESIDE).is_dir()), folder / BESIDE)
    described = read_config(beside) if (beside / "config.json").is_file() else config_of(args)
    found, ignored = _models(contents)
    shapes = {n: t.shape for models in found.values() for model in models.values() for n, t in model.items()}
    sizes = sizes_of(args)
    if WORD_EMBEDDINGS not in shapes:
        raise ValueError(f"{ranks}: {WORD_EMBEDDINGS} is missing from every file")
    rows = shapes[WORD_EMBEDDINGS][0] * sizes.tp
    said = described.vocab_size or args.get("vocab_size") or 0
    config = replace(described, vocab_size=_true_vocab_size(true_vocab_size, rows, beside, ranks, said))
    megatron = Megatron(config, sizes, split_of(args), names_found(shapes, config), rows)
    held: dict[StoredTensor, Placed] = {}
    wrong = []
    expected = dict(megatron.files())
    wrong += [f"{ranks.name}/{name} is missing" for name in expected if name not in found]
    wrong += [f"{ranks.name}/{name} is none of tp={sizes.tp}, pp={sizes.pp}, ep={sizes.ep}, etp={sizes.etp}"
              for name in found if name not in expected]  # fmt: skip
    for rank in [rank for rank in expected if rank in found]:
        for key in [*expected[rank], *(key for key in found[rank] if key not in expected[rank])]:
            wanted, here = expected[rank].get(key, {}), found[rank].get(key, {})
            wrong += [f"{rank}: {key}.{name} is missing" for name in wanted if name not in here]
            wrong += [f"{rank}: {key}.{name} is unknown" for name in here if name not in wanted]
            both = [name for name in wanted if name in here]
            wrong += [f"{rank}: {told}" for name in both for told in _misfit(here[name], wanted[name].shape)]
            held |= {here[name]: wanted[name] for name in both}
    _refuse(folder, wrong)
    record = beside / RECORD
    standard = [name for name in copies(config) if name != HEAD]
    kept = json.loads(record.read_text(encoding="utf-8"))["copies"] if record.is_file() else standard
    return Checkpoint(
        kind="mcore",
        config=config,
        held=held,
        padding_rows=rows - config.vocab_size,
        beside=beside,
        copies=tuple(kept),
        ignored=tuple(ignored),
        args=args,
        iteration=iteration,
    )


def _iteration(folder: Path) -> tuple[Path, int]:
    """Folder of the ranks' folders, and its training step (0 for a release)."""
    if not (folder / LATEST).is_file():
        number = folder.name.removeprefix("iter_")
        return folder, int(number) if number.isdigit() else 0
    latest = (folder / LATEST).read_text(encoding="utf-8").strip()
    if latest != "release" and not latest.isdigit():
        raise ValueError(f"{folder / LATEST} says {latest!r}: it must say a number or release")
    ranks = folder / ("release" if latest == "release" else f"iter_{int(latest):07d}")
    if not ranks.is_dir():
        raise ValueError(f"{ranks} is missing, which {folder / LATEST} names")
    return ranks, 0 if latest == "release" else int(latest)


def _args(ranks: Path, content: Any) -> dict[str, Any]:
    """Megatron's arguments, its layout object as the string or list that it was made of."""
    found = content.get("args") if isinstance(content, dict) else None
    if not isinstance(found, argparse.Namespace):
        raise ValueError(f"{ranks}: {RANK_FILE} has no `args`: sizes and layout of the checkpoint are not known")
    args = dict(vars(found))
    layout = args.get("pipeline_model_parallel_layout")
    if isinstance(layout, Foreign) and isinstance(layout.state, dict):
        layout = layout.state.get("input_data")
    if isinstance(layout, list):
        layout = "|".join("".join(UNITS.get(str(unit).lower(), str(unit)) for unit in stage) for stage in layout)
    if layout is not None and not isinstance(layout, str):
        raise ValueError(f"{ranks}: pipeline_model_parallel_layout {layout!r} of the args is not understood")
    return args | {"pipeline_model_parallel_layout": layout}


Models = dict[str, dict[str, StoredTensor]]


def _models(contents: dict[str, Any]) -> tuple[dict[str, Models], list[str]]:
    """The tensors of each file by model key and name, and the names of those that are passed over."""
    found: dict[str, Models] = {}
    ignored: list[str] = []
    for rank, content in contents.items():
        models: Models = {}
        for key, value in content.items():
            if key.startswith("model") and isinstance(value, dict):
                tensors = {name: tensor for name, tensor in value.items() if isinstance(tensor, StoredTensor)}
                models[key] = {name: tensor for name, tensor in tensors.items() if not is_ignored(name)}
                ignored += [f"{rank}: {key}.{name}" for name in value if name not in models[key]]
            elif isinstance(value, dict | list) and value:
                ignored.append(f"{rank}: {key}")
        found[rank] = models
    return found, ignored


def _misfit(tensor: StoredTensor, shape: Shape) -> list[str]:
    """What is wrong with a tensor of that name."""
    if tensor.shape != shape:
        return [f"{tensor.name} is {list(tensor.shape)}, not {list(shape)}"]
    return [] if tensor.dtype.is_floating_point else [f"{tensor.name} is {tensor.dtype}, no floating-point type"]


def _refuse(folder: Path, wrong: list[str]) -> None:
    if wrong:
        more = f"; and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
        raise ValueError(f"{folder} does not hold the model that it describes: {'; '.join(wrong[:LISTED])}{more}")


def _true_vocab_size(wanted: int, rows: int, beside: Path, where: Path, said: int) -> int:
    """Rows of the embedding without padding: as `wanted`, else as `said`. Raises ValueError for a wrong tokenizer."""
    vocab = wanted or said
    if not vocab:
        raise ValueError(f"{where} does not say how many of its {rows} rows are padding: give true_vocab_size")
    if vocab > rows:
        raise ValueError(
            f"true_vocab_size={vocab}, but the embedding of {where} has {rows} rows: {vocab - rows} rows would be "
            "invented. This is another model's tokenizer: give the size of this one's"
        )
    least = tokenizer_size(beside)
    if vocab < least:
        raise ValueError(
            f"true_vocab_size={vocab}, but {beside / 'tokenizer.json'} has {least} ids: the last {least - vocab} would "
            "have no row in the embedding"
        )
    return vocab


def tokenizer_size(folder: Path) -> int:
    """One more than the highest id of the folder's tokenizer.json; 0 without one."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return 0
    content = json.loads(path.read_text(encoding="utf-8"))
    vocab = content.get("model", {}).get("vocab") or {}
    ids = list(vocab.values()) if isinstance(vocab, dict) else [len(vocab) - 1]
    ids += [token["id"] for token in content.get("added_tokens") or ()]
    return max(ids, default=-1) + 1
