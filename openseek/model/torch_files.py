"""Files of torch.save, such as Megatron's model_optim_rng.pt: their content without the tensors' bytes, and back.

A file is a zip archive whose members are stored as they are: data.pkl, a pickle, and data/0, data/1, ... with the bytes
of one storage each. The pickle is read with `weights_only=True` onto the meta device, so that no foreign code runs
and no tensor is read. Classes of other programs that such files are known to hold become inert `Foreign` objects.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import struct
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openseek.model.byte_copy import Place, Progress, removed_on_error, reserve, write_all, write_places
from openseek.model.stored_tensor import StoredTensor, Target

MAX_PICKLE_BYTES = 256 << 20
PLAIN: dict[str, type] = {"argparse.Namespace": argparse.Namespace, "types.SimpleNamespace": types.SimpleNamespace}
"""Classes that hold attributes and do nothing: read as what they are."""
FOREIGN = (
    "megatron.",
    "transformer_engine.",
    "flagscale.",
    "numpy.",
    "pathlib.",
    "_io.BytesIO",
    "io.BytesIO",
    "signal.",
)
"""What the full names of classes begin with that become `Foreign`; any other name makes the file refused."""


class Foreign:
    """Stands for an object of a class that is not run here: what it was made with, as plain values."""

    name = ""
    """Full name of the class (or function) that made it."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __new__(cls, *args: Any) -> Foreign:
        made = super().__new__(cls)
        made.args, made.state = args, None
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __repr__(self) -> str:
        return f"{self.name}{self.args}"

    def __reduce_ex__(self, _: Any) -> Any:
        raise ValueError(f"a {self.name} cannot be written: only plain values and tensors can")


def open_torch(path: Path, max_pickle_bytes: int = MAX_PICKLE_BYTES) -> Any:
    """The content of a file, with a StoredTensor in place of each tensor, named by the keys that lead to it.

    Tensors that share memory are several StoredTensors of the same bytes. Raises ValueError that names the file (and
    the tensor): a file of torch before 1.6, cut short, or damaged; code or classes that are not known to be
    harmless; a tensor that is not contiguous, sparse or quantised.
    """
    storages = _storages(path, max_pickle_bytes)
    with _only_torchs_own_globals():
        content = _loaded(path)
    try:
        return _mapped(content, lambda name, tensor: _stored(path, name, tensor, storages), ())
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply, or holds itself: it is no checkpoint") from error


def _loaded(path: Path) -> Any:
    """The content with tensors on the meta device."""
    unknown = _unsafe_names(path)
    refused = [name for name in unknown if name not in PLAIN and not name.startswith(FOREIGN)]
    if refused:
        raise ValueError(
            f"{path} is refused: its pickle names {', '.join(refused[:5])}, which could run code when read; "
            "save it again without them, from a place where you trust it"
        )
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (PLAIN.get(name) or type("Foreign", (Foreign,), {"name": name}), name) for name in unknown
    ]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="meta", weights_only=True, mmap=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{path} cannot be read: {str(error).splitlines()[0][:300]}") from error


@contextlib.contextmanager
def _only_torchs_own_globals() -> Iterator[None]:
    """Put aside what other packages of this process have allowed, so that a file reads the same in all processes."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        yield
    finally:
        torch.serialization.add_safe_globals(allowed)


def _storages(path: Path, max_pickle_bytes: int) -> dict[int, int]:
    """Offset of every storage in the file -> its bytes."""
    if not path.is_file():
        raise ValueError(f"{path} is missing: give a file of torch.save")
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise ValueError(
                f"{path} is no zip archive: damaged, or of torch before 1.6; "
                "load it where you trust it and write it again with torch.save of a newer torch"
            )
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, struct.error) as error:
            raise ValueError(f"{path} is cut short or damaged ({error}): fetch it again") from error
        size, found = os.fstat(file.fileno()).st_size, {}
        for member in archive.infolist():
            _, _, name = member.filename.partition("/")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"{path}: member {member.filename} is compressed, which torch.save never does")
            if name == "data.pkl" and member.file_size > max_pickle_bytes:
                raise ValueError(f"{path}: a pickle of {member.file_size} bytes; at most {max_pickle_bytes} are read")
            if name == "byteorder" and archive.read(member) != b"little":
                raise ValueError(f"{path} was written on a big-endian machine: only little-endian files are read")
            if name.startswith("data/"):
                file.seek(member.header_offset)
                local = file.read(30)
                if len(local) < 30 or local[:4] != b"PK\x03\x04":
                    raise ValueError(f"{path}: member {member.filename} has no header: the file is damaged")
                start = member.header_offset + 30 + sum(struct.unpack("<HH", local[26:]))
                if start + member.file_size > size:
                    raise ValueError(f"{path}: member {member.filename} reaches beyond the file: it is damaged")
                found[start] = member.file_size
    return found


def _unsafe_names(path: Path) -> list[str]:
    """Classes and functions that the pickle names and torch does not know as harmless."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, UnicodeDecodeError, IndexError) as error:
        reason = str(error).splitlines()[0][:300] if str(error) else "its pickle ends early"
        raise ValueError(f"{path} is no plain checkpoint of torch.save: {reason}") from error


def _stored(path: Path, name: str, tensor: Tensor, storages: dict[int, int]) -> StoredTensor:
    """Where a tensor that was loaded to the meta device lies in its file."""
    where = f"{path}: tensor {name}"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
        raise ValueError(f"{where} is sparse, nested or quantised: only plain tensors are read")
    if not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        raise ValueError(f"{where} is not contiguous: write the file again with tensor.contiguous()")
    storage = tensor.untyped_storage()
    start = getattr(storage, "_checkpoint_offset", None)
    if start is None or storages.get(start, -1) < storage.nbytes():
        raise ValueError(f"{where} has no storage in the file: it is damaged")
    offset = tensor.storage_offset() * tensor.dtype.itemsize
    if offset + tensor.numel() * tensor.dtype.itemsize > storage.nbytes():
        raise ValueError(f"{where} reaches beyond its storage: the file is damaged")
    return StoredTensor(name, tensor.dtype, tuple(tensor.shape), path, start + offset)


def _mapped(value: Any, leaf: Callable[[str, Any], Any], keys: tuple[str, ...]) -> Any:
    """A copy of nested dicts, lists and tuples with `leaf(dotted name, value)` for each tensor and Target in it."""
    if isinstance(value, (Tensor, Target, StoredTensor)):
        return leaf(".".join(keys), value)
    if isinstance(value, dict):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((key, _mapped(item, leaf, (*keys, str(key)))) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, leaf, (*keys, str(n))) for n, item in enumerate(value))
    if type(value) in PLAIN.values():
        made = type(value)()
        vars(made).update({key: _mapped(item, leaf, (*keys, str(key))) for key, item in vars(value).items()})
        return made
    if isinstance(value, Foreign):
        value.args, value.state = _mapped(value.args, leaf, keys), _mapped(value.state, leaf, keys)
    return value


def write_torch(files: dict[Path, Any], threads: int = 1, progress: Progress | None = None) -> None:
    """Write files that torch.load reads, also with weights_only and mmap: path -> nested content with Targets in it.

    Tensors in the content are written, too, so small ones need no file. A file appears under its name only when all
    files are on disk. As with torch.serialization.skip_data the archive holds no checksums of the tensors, which
    torch.load does not ask for: they would cost two thirds of the copy's time again.
    """
    temporary = {path.with_name(f".{path.name}.tmp"): content for path, content in files.items()}
    for path in temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
    with removed_on_error(list(temporary)):
        places = {path: _lay_out(path, content) for path, content in temporary.items()}
        write_places(places, threads, progress)
        for unfinished, path in zip(temporary, files, strict=True):
            os.replace(unfinished, path)


def _lay_out(path: Path, content: Any) -> list[Place]:
    """Write a file with room for the Targets' bytes, and say where that is. Tensors in the content are written."""
    leaves: list[Target | Tensor] = []

    def hollow(name: str, leaf: Any) -> Tensor:
        if isinstance(leaf, StoredTensor):
            raise ValueError(f"{path}: {name} is a StoredTensor; make it a Target with `whole`")
        leaves.append(leaf)
        return torch.empty(leaf.shape, dtype=leaf.dtype)  # never touched, so it takes addresses but no memory

    with torch.serialization.skip_data():
        torch.save(_mapped(content, hollow, ()), path)
    # Each leaf has a storage of its own, numbered as they were met; one more would be a tensor that was not met.
    offsets = sorted(_storages(path, MAX_PICKLE_BYTES))
    if len(offsets) != len(leaves):
        raise ValueError(f"{path}: a tensor lies in an object; only dicts, lists, tuples and namespaces may hold some")
    places: list[Place] = []
    descriptor = os.open(path, os.O_RDWR)
    try:
        reserve(descriptor, path.stat().st_size)
        for leaf, offset in zip(leaves, offsets, strict=True):
            if isinstance(leaf, Target):
                places.append((leaf, offset))
            else:
                data = leaf.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
                write_all(descriptor, memoryview(data), offset)
    finally:
        os.close(descriptor)
    return places
