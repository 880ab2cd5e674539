"""The average of checkpoints in the Hugging Face layout, block by block: no tensor need fit in memory.

Averaging the last snapshots of a run, or runs that differ in their data order, often gives a better model than any of
them (Izmailov et al., 2018, arXiv:1803.05407; Wortsman et al., 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from openseek.artifact import rename_into_place
from openseek.model.fp8_blocks import is_float8
from openseek.model.safetensors_files import open_safetensors
from openseek.model.stored_tensor import StoredTensor

BLOCK = 1 << 22
"""Elements that are averaged at a time."""
BOOKKEEPING = ("_name_or_path", "dtype", "torch_dtype", "transformers_version")
"""Fields of config.json that may differ."""
KEPT = ("*.json", "*.jinja", "*.txt", "*.model")
"""Files beside the weights that the average takes from the first checkpoint."""


def average_checkpoints(folders: Sequence[Path], out: Path, weights: Sequence[float] = ()) -> dict[str, Any]:
    """Write the weighted mean of checkpoint folders to the new folder `out`; returns counts.

    weights: one a folder, of any positive sum; none weighs all alike. Sums are in float64 and rounded once to the dtype
    of the first folder, whose files are laid out again; router biases are averaged like weights, and integer tensors
    must be equal. Raises ValueError where configs, tokenizers, names, shapes or integers differ, naming the first
    difference, for float8 weights, and for an `out` that exists.
    """
    weights = _checked(folders, weights)
    if out.exists():
        raise ValueError(f"{out} exists: give a new folder, or delete it")
    tables = [open_safetensors(folder) for folder in folders]
    for folder, table in zip(folders[1:], tables[1:], strict=True):
        _check_files(folders[0], folder)
        _check_tensors(folders[0], tables[0], folder, table)
    for tensor in tables[0].values():
        if is_float8(tensor.dtype):
            raise ValueError(f"{tensor} is {tensor.dtype}: write the checkpoints in bfloat16 or float32 first")
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for pattern in KEPT:
        for path in folders[0].glob(pattern):
            shutil.copyfile(path, temporary / path.name)
    files: dict[Path, list[StoredTensor]] = {}
    for tensor in tables[0].values():
        files.setdefault(tensor.file, []).append(tensor)
    for path, tensors in files.items():
        with (temporary / path.name).open("w+b") as target:
            _copy_header(path, target, min(tensor.offset for tensor in tensors))
            for tensor in tensors:
                _write_average([table[tensor.name] for table in tables], weights, target)
            target.flush()
            os.fsync(target.fileno())
    rename_into_place(temporary, out)
    return {
        "checkpoints": len(folders),
        "tensors": len(tables[0]),
        "bytes": sum(path.stat().st_size for path in out.iterdir()),
    }


def _checked(folders: Sequence[Path], weights: Sequence[float]) -> list[float]:
    weights = list(weights) or [1.0] * len(folders)
    if not folders or len(weights) != len(folders):
        raise ValueError(f"{len(weights)} weights for {len(folders)} checkpoints: give one for each, or none")
    if min(weights) < 0 or not 0 < math.fsum(weights) < math.inf:
        raise ValueError(f"weights {weights} must not be negative and need a positive sum")
    return weights


def _check_files(first: Path, other: Path) -> None:
    """ValueError unless config.json and tokenizer.json of two folders say the same."""
    ours, theirs = (json.loads((folder / "config.json").read_text(encoding="utf-8")) for folder in (first, other))
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in BOOKKEEPING and ours.get(name) != theirs.get(name):
            raise ValueError(
                f"{other / 'config.json'} has {name} {theirs.get(name)!r}, {first / 'config.json'} has "
                f"{ours.get(name)!r}: only checkpoints of one shape can be averaged"
            )
    tokenizers = [folder / "tokenizer.json" for folder in (first, other)]
    if all(path.is_file() for path in tokenizers) and tokenizers[0].read_bytes() != tokenizers[1].read_bytes():
        raise ValueError(f"{tokenizers[1]} differs from {tokenizers[0]}: only models of one tokenizer can be averaged")


def _check_tensors(first: Path, ours: dict[str, StoredTensor], other: Path, theirs: dict[str, StoredTensor]) -> None:
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            lacking, holding = (first, other) if name not in ours else (other, first)
            raise ValueError(f"{lacking} lacks tensor {name}, which {holding} has")
        a, b = ours[name], theirs[name]
        if a.shape != b.shape or a.dtype.is_floating_point != b.dtype.is_floating_point:
            raise ValueError(f"{b} is {b.dtype}, {a} is {a.dtype}: only tensors of one shape can be averaged")


def _copy_header(path: Path, target: BinaryIO, length: int) -> None:
    """The first bytes of a weights file, and room for its tensors."""
    with path.open("rb") as source:
        target.write(source.read(length))
    target.truncate(path.stat().st_size)


def _write_average(tensors: list[StoredTensor], weights: list[float], target: BinaryIO) -> None:
    """Average one tensor's copies into its place, which is the place of the first copy in its own file."""
    first, count = tensors[0], math.prod(tensors[0].shape)
    for start in range(0, count, BLOCK):
        length = min(BLOCK, count - start)
        block = _read(first, start, length)
        if first.dtype.is_floating_point:
            total = torch.zeros(length, dtype=torch.float64)
            for tensor, weight in zip(tensors, weights, strict=True):
                total += _read(tensor, start, length).double() * weight
            block = (total / math.fsum(weights)).to(first.dtype)
        else:
            for tensor in tensors[1:]:
                if not torch.equal(_read(tensor, start, length).to(first.dtype), block):
                    raise ValueError(f"{tensor} differs from {first}: integers cannot be averaged")
        target.seek(first.offset + start * first.dtype.itemsize)
        target.write(block.view(torch.uint8).numpy().data)


def _read(tensor: StoredTensor, start: int, length: int) -> Tensor:
    """Elements [length] of a tensor from `start` on."""
    size = tensor.dtype.itemsize
    with tensor.file.open("rb") as file:
        file.seek(tensor.offset + start * size)
        return torch.frombuffer(bytearray(file.read(length * size)), dtype=tensor.dtype)
