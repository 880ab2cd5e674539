"""The plan of a conversion, from an opened checkpoint to the files of another layout, and its execution.

Nothing is kept in memory but one buffer: each target tensor is described as rectangles of source tensors, the plan is
checked as a whole (every source used, every target filled), then the bytes are streamed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from openseek.artifact import write_text
from openseek.model.byte_copy import same_bytes
from openseek.model.checkpoints import BESIDE, LATEST, RANK_FILE, RECORD, Checkpoint
from openseek.model.convert import Convert, Progress
from openseek.model.fp8_blocks import is_float8
from openseek.model.hf_config import hf_config
from openseek.model.megatron import OUTPUT_LAYER, Megatron, padded_vocab_size
from openseek.model.megatron_args import megatron_args
from openseek.model.placement import Box, Part, Placed, Slice, Source, uncut
from openseek.model.safetensors_files import write_safetensors
from openseek.model.stored_tensor import Extent, Fill, Piece, StoredTensor, Target, check_plan
from openseek.model.tensor_names import EMBEDDING, HEAD, copies, expected_tensors
from openseek.model.torch_files import write_torch

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}
WEIGHT_FILES = (".safetensors", ".safetensors.index.json", ".bin", ".pt", ".pth", ".distcp")
"""Ends of names of files that are not copied beside the weights."""


class Plan:
    """Targets of a conversion, made one after the other from the places of an opened checkpoint."""

    def __init__(self, source: Checkpoint, config: Convert, layout: list[Placed]) -> None:
        self.checkpoint, self.config = source, config
        self.source = Source(source.held.items())
        self.uses = Counter((part.whole, part.box) for placed in layout for part in placed.parts)
        self.targets: list[Target] = []

    def target(self, name: str, placed: Placed) -> Target:
        """One tensor of the target. Raises ValueError where its sources are of several types."""
        pieces: list[Piece] = []
        types: dict[torch.dtype, str] = {}
        for part in placed.parts:
            again = self.uses[part.whole, part.box] > 1
            for piece in self.source.pieces(part):
                pieces.append(self._piece(piece, part, again))
                types.setdefault(self._dtype(piece.key.dtype, part.whole), str(piece.key))
        if len(types) > 1:
            raise ValueError(f"{name} is made of tensors of several types: {'; '.join(types.values())}: give a dtype")
        whole = HEAD if name == OUTPUT_LAYER and HEAD in self.source.places else EMBEDDING
        if rows := placed.padding_rows:
            pieces.append(Piece(self._fill(whole, rows), row=placed.shape[0] - rows))
        # A rank whose rows are all padding has no piece to take the type from.
        kind = next(iter(types)) if types else self._dtype(self._places(whole)[0].dtype, whole)
        self.targets.append(Target(name, kind, placed.shape, tuple(pieces)))
        return self.targets[-1]

    def check(self) -> None:
        """Raise ValueError unless every source is used and every target is filled, each byte once."""
        held = self.checkpoint.held
        used = {piece.source for target in self.targets for piece in target.pieces}
        # Copies that were compared, and rows behind the vocabulary.
        unused: list[Piece | StoredTensor] = [tensor for tensor in held if tensor not in used]
        for tensor, placed in held.items():
            if tensor in used and placed.padding_rows:
                rows = tensor.shape[0] - placed.padding_rows, tensor.shape[0]
                unused.append(Piece(tensor, rows=rows, repeated=True))
        copied = {tensor for pair in self.source.alike() for tensor in pair}
        lost = [tensor for tensor in unused if isinstance(tensor, StoredTensor) and tensor not in copied]
        lost = [tensor for tensor in lost if held[tensor].parts and not held[tensor].loose]
        if lost:
            raise ValueError(f"{', '.join(map(str, lost[:10]))} would go nowhere")
        check_plan(self.targets, [*held, *self.checkpoint.scales.values()], unused)

    def _piece(self, found: Slice[StoredTensor], part: Part, again: bool) -> Piece:
        (rows, columns), (row, column) = _rectangle(found.source), _corner(found.target)
        scale = self.checkpoint.scales.get(found.key)
        return Piece(found.key, rows, columns, row, column, again, scale, self.checkpoint.block)

    def _dtype(self, dtype: torch.dtype, whole: str) -> torch.dtype:
        """The type of a target tensor, from its source's."""
        if self.config.dtype == "keep":
            return torch.bfloat16 if is_float8(dtype) else dtype
        keep = ".mlp.gate." in whole and dtype == torch.float32
        return dtype if keep else DTYPES[self.config.dtype]

    def _fill(self, whole: str, rows: int) -> Fill:
        if self.config.padding == "zeros":
            return Fill(rows)
        tensor, *others = self._places(whole)
        if others or self.checkpoint.held[tensor].padding_rows:
            raise ValueError("padding='mean' needs a source whose embedding is one tensor without padding: use zeros")
        return Fill(rows, "mean", tensor)

    def _places(self, whole: str) -> list[StoredTensor]:
        """The tensors that hold one whole together."""
        return [places[0][0] for places in self.source.places[whole].values()]


def _rectangle(box: Box) -> tuple[Extent, Extent]:
    return box[0], box[1] if len(box) > 1 else (0, 1)


def _corner(box: Box) -> tuple[int, int]:
    return box[0][0], box[1][0] if len(box) > 1 else 0


def written(source: Checkpoint, out: Path, config: Convert, progress: Progress | None = None) -> dict[str, Any]:
    """Write `source` as `config` says; counts of what was written. Raises ValueError before the first byte."""
    if config.check_copies:
        _check_copies(source)
    layout = _layout(source, config)
    plan = Plan(source, config, [placed for models in layout.values() for placed in models.values()])
    targets = {
        place: {name: plan.target(name, placed) for name, placed in model.items()} for place, model in layout.items()
    }
    plan.check()
    _write_beside(source, out if config.to == "hf" else out / BESIDE, config, plan.targets)
    with progress(sum(target.num_bytes for target in plan.targets)) if progress else nullcontext() as advance:
        if config.to == "hf":
            paths = write_safetensors(out, plan.targets, None, config.max_shard_bytes, config.threads, advance)
        else:
            paths = _write_megatron(source, out, config, targets, advance)
    ignored = list(source.ignored)
    return {
        "from": source.kind,
        "to": config.to,
        "tensors_read": len(source.held),
        "tensors": len(plan.targets),
        "files_read": source.num_files,
        "files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
        "vocab_size": source.config.vocab_size,
        "padding_rows_read": source.padding_rows,
        "padding_rows": _rows(source, config) - source.config.vocab_size,
        "ignored": len(ignored),
        "ignored_names": ignored[:20],
    }


def _rows(source: Checkpoint, config: Convert) -> int:
    """Rows of the target's embedding over all ranks."""
    size = source.config.vocab_size
    return padded_vocab_size(size, config.make_vocab_size_divisible_by, config.tp) if config.to == "mcore" else size


Place = tuple[str, str]
"""Folder of a rank and key of a model chunk in its file; both empty in the Hugging Face layout."""


def _layout(source: Checkpoint, config: Convert) -> dict[Place, dict[str, Placed]]:
    """The tensors of the target by place and name."""
    if config.to == "mcore":
        megatron = Megatron(source.config, config.sizes, config.split, config.names, _rows(source, config))
        return {(folder, key): model for folder, held in megatron.files() for key, model in held.items()}
    expected, repeated = expected_tensors(source.config), copies(source.config)
    model = {name: uncut(name, shape) for name, shape in expected.items()}
    copied = {name: uncut(repeated[name], expected[repeated[name]]) for name in source.copies}
    return {("", ""): model | copied}


def _check_copies(source: Checkpoint) -> None:
    wrong = [(a, b) for a, b in Source(source.held.items()).alike() if not same_bytes(a, b)]
    if wrong:
        told = "; ".join(f"{b} differs from {a}" for a, b in wrong[:10])
        raise ValueError(f"{len(wrong)} copies differ: {told}: check_copies=False takes the first of each")


def _write_beside(source: Checkpoint, folder: Path, config: Convert, targets: list[Target]) -> None:
    """config.json, tokenizer and what else lies with the weights; config.json byte for byte where it is still true."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.beside.iterdir()) if source.beside.is_dir() else ():
        weights = path.name.endswith(WEIGHT_FILES) or path.name in (RECORD, "manifest.json", "config.json")
        if path.is_file() and not path.name.startswith(".") and not weights:
            shutil.copyfile(path, folder / path.name)
    if config.to == "mcore":
        write_text(folder / RECORD, json.dumps({"copies": list(source.copies)}, indent=1) + "\n")
    dtype = str(Counter(target.dtype for target in targets).most_common(1)[0][0]).removeprefix("torch.")
    before = source.beside / "config.json"
    if not before.is_file():
        write_text(folder / "config.json", json.dumps(hf_config(source.config, dtype), indent=2) + "\n")
        return
    text = before.read_text(encoding="utf-8")
    raw = json.loads(text)
    changed = raw | {"vocab_size": source.config.vocab_size}
    if config.dtype != "keep" or source.scales:
        changed |= {name: dtype for name in ("torch_dtype", "dtype") if name in raw}
    if source.scales:
        changed.pop("quantization_config")
    write_text(folder / "config.json", text if changed == raw else json.dumps(changed, indent=2) + "\n")


def _write_megatron(
    source: Checkpoint,
    out: Path,
    config: Convert,
    models: dict[Place, dict[str, Target]],
    progress: Callable[[int], None] | None,
) -> list[Path]:
    """The ranks' files and, last, the file that names them."""
    described = megatron_args(
        source.config, config.sizes, config.split, config.make_vocab_size_divisible_by, _rows(source, config)
    )
    names = config.names
    kinds = {target.dtype for model in models.values() for target in model.values()}
    low = next((kind for kind in (torch.bfloat16, torch.float16) if kind in kinds), torch.float32)
    run = {
        "iteration": source.iteration,
        "bf16": low == torch.bfloat16,
        "fp16": low == torch.float16,
        "params_dtype": low,
        "ckpt_format": "torch",
        "transformer_impl": "transformer_engine" if names.fused_norms else "local",
        "moe_grouped_gemm": bool(names.grouped_experts and source.config.n_routed_experts),
    }
    args = argparse.Namespace(**dict(_plain(source.args)) | described | run)
    step = f"iter_{source.iteration:07d}" if source.iteration else "release"
    head = {"args": args, "checkpoint_version": 3.0, "iteration": source.iteration}
    files: dict[Path, Any] = {}
    for (folder, key), model in models.items():
        files.setdefault(out / step / folder / RANK_FILE, dict(head))[key] = model
    write_torch(files, config.threads, progress)
    write_text(out / LATEST, f"{source.iteration or 'release'}\n")
    return list(files)


def _plain(args: Any) -> Iterator[tuple[str, Any]]:
    """The arguments of an earlier checkpoint that are plain values; objects of other programs cannot be written."""
    for name, value in args.items():
        if value is None or isinstance(value, bool | int | float | str):
            yield name, value
