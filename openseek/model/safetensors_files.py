"""safetensors files: headers read and written here, so that bytes can be streamed to and from their places.

Format: eight bytes little-endian length of the header, the header (JSON: name -> dtype, shape, data_offsets counted
from its end, and `__metadata__`), the tensors without gaps. A checkpoint is a folder with model.safetensors, or with
shards and model.safetensors.index.json.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from openseek.artifact import write_text
from openseek.model.byte_copy import Place, Progress, removed_on_error, write_places
from openseek.model.stored_tensor import StoredTensor, Target

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F64": torch.float64,
    "C64": torch.complex64,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def open_safetensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a checkpoint folder (or of one file) by name; no tensor is read.

    Raises ValueError that names file and tensor: a file is missing or cut short, index and shards disagree, a header
    is no header, or its offsets do not fit the file.
    """
    if folder.is_file():
        return _read_header(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing: give a folder with {SINGLE}, or with shards and {INDEX}")
    index = folder / INDEX
    if index.is_file():
        return _open_shards(index)
    if not (folder / SINGLE).is_file():
        raise ValueError(f"{folder} has neither {INDEX} nor {SINGLE}: it is no complete checkpoint")
    return _read_header(folder / SINGLE)


def _open_shards(index: Path) -> dict[str, StoredTensor]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)["weight_map"]
        named = {str(name): str(file) for name, file in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index}: no index with a `weight_map` ({error}): fetch it again") from error
    found: dict[str, StoredTensor] = {}
    for file in sorted(set(named.values())):
        if Path(file).name != file or file in ("", ".", ".."):
            raise ValueError(f"{index}: {file!r} is no name of a file beside it")
        if not (index.parent / file).is_file():
            raise ValueError(f"{index.parent / file} is missing: the index names it, fetch it, too")
        for name, tensor in _read_header(index.parent / file).items():
            if named.get(name) != file:
                where = f"looks for it in {named[name]}" if name in named else "does not name it"
                raise ValueError(f"{index.parent / file} holds tensor {name}, but {INDEX} {where}")
            found[name] = tensor
    missing = [name for name in named if name not in found]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ValueError(f"{index.parent / named[missing[0]]} lacks tensor {missing[0]}{more}, which {INDEX} names")
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} stands there twice")
    return found


def _read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file in the order of their bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > MAX_HEADER_BYTES and 8 + length <= size:
            raise ValueError(f"{path}: a header of {length} bytes; more than {MAX_HEADER_BYTES} are not read")
        if 8 + length > size:
            raise ValueError(f"{path}: no safetensors file, or cut short: {size} bytes cannot hold its header")
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_no_duplicates)
        if not isinstance(header, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its header cannot be read ({error}): no safetensors file, or damaged") from error
    header.pop("__metadata__", None)
    tensors, begin = [_entry(path, 8 + length, name, entry) for name, entry in header.items()], 8 + length
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.num_bytes))
    for tensor in tensors:
        if tensor.offset != begin:
            kind = "overlaps the tensor before it" if tensor.offset < begin else "leaves a gap before it"
            raise ValueError(f"{path}: tensor {tensor.name} {kind}: the header is damaged")
        begin += tensor.num_bytes
    if begin != size:
        kind = "cut short" if begin > size else "followed by bytes that no tensor owns"
        last = f" (last tensor: {tensors[-1].name})" if tensors else ""
        raise ValueError(f"{path} is {kind}: {size} bytes, its header tells of {begin}{last}")
    return {tensor.name: tensor for tensor in tensors}


def _entry(path: Path, start: int, name: str, entry: Any) -> StoredTensor:
    """One tensor of a header whose data begin at byte `start`."""
    try:
        kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: tensor {name} lacks dtype, shape or data_offsets") from error
    if not isinstance(kind, str) or kind not in DTYPES:
        raise ValueError(f"{path}: tensor {name} has dtype {kind!r}; read here: {', '.join(DTYPES)}")
    numbers = (*shape, begin, end)
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
        raise ValueError(f"{path}: tensor {name} has shape {list(shape)}, data_offsets {[begin, end]}")
    if end - begin != math.prod(shape) * DTYPES[kind].itemsize:
        raise ValueError(f"{path}: tensor {name} {kind} {list(shape)} does not fit its data_offsets {[begin, end]}")
    return StoredTensor(name, DTYPES[kind], shape, path, start + begin)


def write_safetensors(
    folder: Path,
    targets: Sequence[Target],
    metadata: dict[str, str] | None = None,
    max_shard_bytes: int = 5_000_000_000,
    threads: int = 1,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a checkpoint and return its files: model.safetensors, or shards of at most `max_shard_bytes` and an index.

    Targets keep their order, but that larger dtypes go first in a file, which keeps all of them aligned. Files appear
    under their names only when all bytes are on disk; the index is the last. Raises ValueError for targets of one
    name, a dtype that the format lacks, and a folder that holds other files of a checkpoint.
    """
    shards = _shards(targets, max_shard_bytes)
    count = len(shards)
    names = [SINGLE] if count == 1 else [f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]
    expected = {*names, *([INDEX] if count > 1 else [])}
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(".model*.safetensors.tmp"):  # of a run that was killed
        path.unlink()
    other = sorted(path.name for path in folder.glob("*.safetensors*") if path.name not in expected)
    if other:
        raise ValueError(f"{folder} holds {other[0]} of another checkpoint: give an empty folder")
    temporary = [folder / f".{name}.tmp" for name in names]
    with removed_on_error(temporary):
        places = {path: _write_header(path, shard, metadata) for path, shard in zip(temporary, shards, strict=True)}
        write_places(places, threads, progress)
        for path, name in zip(temporary, names, strict=True):
            os.replace(path, folder / name)
    if count > 1:
        weight_map = {target.name: name for name, shard in zip(names, shards, strict=True) for target in shard}
        total = sum(target.num_bytes for target in targets)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
    return [folder / name for name in names]


def _shards(targets: Iterable[Target], max_shard_bytes: int) -> list[list[Target]]:
    """Targets in order, cut where the next one would be too much; a larger one gets a file of its own."""
    shards: list[list[Target]] = [[]]
    size, seen = 0, set()
    for target in targets:
        if target.name in seen or target.name == "__metadata__":
            raise ValueError(f"two targets are named {target.name}" if target.name in seen else "no name of a tensor")
        seen.add(target.name)
        if target.dtype not in NAMES:
            raise ValueError(f"target {target.name}: safetensors has no {target.dtype}; give one of {list(NAMES)}")
        if shards[-1] and size + target.num_bytes > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(target)
        size += target.num_bytes
    return shards


def _write_header(path: Path, targets: list[Target], metadata: dict[str, str] | None) -> list[Place]:
    """Write the first bytes of a file; the rest is for the targets at the places returned."""
    targets = sorted(targets, key=lambda target: -target.dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    offset, offsets = 0, []
    for target in targets:
        header[target.name] = {
            "dtype": NAMES[target.dtype],
            "shape": list(target.shape),
            "data_offsets": [offset, offset + target.num_bytes],
        }
        offsets.append(offset)
        offset += target.num_bytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"{path}: a header of {len(text)} bytes is more than readers take: give smaller shards")
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    return [(target, 8 + len(text) + offset) for target, offset in zip(targets, offsets, strict=True)]
