"""Files of torch.save: read without tensors and without foreign code, written so that torch.load reads them."""

import argparse
import enum
import io
import os
import pickle
import random
import shutil
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from openseek.model.safetensors_files import DTYPES
from openseek.model.stored_tensor import Piece, StoredTensor, Target, whole
from openseek.model.torch_files import Foreign, open_torch, write_torch


def read(stored: StoredTensor) -> torch.Tensor:
    raw = bytearray(stored.file.read_bytes()[stored.offset : stored.offset + stored.num_bytes])
    return torch.frombuffer(raw, dtype=torch.uint8).view(stored.dtype).view(stored.shape)


@pytest.fixture(name="automatic")
def automatic_fixture(monkeypatch: pytest.MonkeyPatch) -> enum.Enum:
    """A member of an enum of Megatron's, as far as pickle can tell."""
    module = types.ModuleType("megatron.core.transformer.enums")
    kinds = enum.Enum("AttnBackend", {"auto": 5}, module=module.__name__)
    module.AttnBackend = kinds  # type: ignore[attr-defined]
    for name in ("megatron", "megatron.core", "megatron.core.transformer"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return kinds(5)


def test_a_checkpoint_of_megatron_is_read_without_megatron(tmp_path: Path, automatic: enum.Enum):
    weight = torch.randn(6, 4).to(torch.bfloat16)
    content = {
        "args": argparse.Namespace(num_layers=2, backend=automatic, dtype=torch.bfloat16, load=Path("/x")),
        "checkpoint_version": 3.0,
        "iteration": 1200,
        "model": OrderedDict(weight=weight, extra=io.BytesIO(b"state")),
        "rng_state": [{"np_rng_state": np.random.get_state(), "random_rng_state": random.getstate(), "none": None}],
    }
    torch.save(content, tmp_path / "a.pt")
    found = open_torch(tmp_path / "a.pt")
    assert found["iteration"] == 1200 and found["checkpoint_version"] == 3.0
    assert found["args"].num_layers == 2 and found["args"].dtype == torch.bfloat16
    backend = found["args"].backend
    assert isinstance(backend, Foreign) and backend.name.endswith("enums.AttnBackend") and backend.args == (5,)
    assert found["model"]["weight"].name == "model.weight" and torch.equal(read(found["model"]["weight"]), weight)
    assert isinstance(found["model"]["extra"], Foreign)
    assert found["rng_state"][0]["random_rng_state"] == random.getstate()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_every_dtype_goes_there_and_back(tmp_path: Path, dtype: torch.dtype):
    shapes = {"scalar": (), "empty": (0, 3), "matrix": (5, 7), "deep": (2, 3, 5)}
    tensors = {
        name: torch.randint(0, 2, (torch.Size(shape).numel() * dtype.itemsize,), dtype=torch.uint8)
        .view(dtype)
        .view(shape)
        for name, shape in shapes.items()
    }
    torch.save(tensors, tmp_path / "theirs.pt")
    found = open_torch(tmp_path / "theirs.pt")
    write_torch({tmp_path / "ours.pt": {name: whole(name, stored) for name, stored in found.items()}})
    for mmap in (False, True):
        ours = torch.load(tmp_path / "ours.pt", weights_only=True, mmap=mmap)
        for name, tensor in tensors.items():
            assert ours[name].dtype == dtype and ours[name].shape == tensor.shape
            assert bytes(ours[name].reshape(-1).view(torch.uint8)) == bytes(tensor.reshape(-1).view(torch.uint8))


def test_what_is_written_keeps_its_nesting_and_plain_values(tmp_path: Path):
    torch.save(torch.arange(12.0).view(3, 4), tmp_path / "a.pt")
    source = open_torch(tmp_path / "a.pt")
    right = Target("right", torch.float32, (3, 2), (Piece(source, columns=(2, 4)),))
    content = {
        "args": argparse.Namespace(tp=2),
        "model": OrderedDict(right=right, nothing=None),
        "list": [1, ("two", whole("again", source))],
        "small": torch.tensor([1, 2, 3]),
    }
    write_torch({tmp_path / "deep" / "b.pt": content})
    with torch.serialization.safe_globals([argparse.Namespace]):
        found = torch.load(tmp_path / "deep" / "b.pt", weights_only=True)
    assert found["args"] == argparse.Namespace(tp=2) and type(found["model"]) is OrderedDict
    assert torch.equal(found["model"]["right"], torch.arange(12.0).view(3, 4)[:, 2:])
    assert found["list"][0] == 1 and found["list"][1][0] == "two" and found["list"][1][1].shape == (3, 4)
    assert found["small"].tolist() == [1, 2, 3] and found["model"]["nothing"] is None


def test_several_files_are_written_by_threads(tmp_path: Path):
    torch.save({"x": torch.randn(40, 6)}, tmp_path / "a.pt")
    source = open_torch(tmp_path / "a.pt")["x"]
    done: list[int] = []
    files: dict[Path, Any] = {
        tmp_path / f"mp_rank_0{r}" / "model.pt": {
            "x": Target("x", torch.float32, (40, 3), (Piece(source, columns=(3 * r, 3 * r + 3)),))
        }
        for r in (0, 1)
    }
    write_torch(files, threads=2, progress=done.append)
    halves = [torch.load(path, weights_only=True)["x"] for path in files]
    assert torch.equal(torch.cat(halves, 1), torch.load(tmp_path / "a.pt")["x"]) and sum(done) == 40 * 6 * 4


def test_views_of_one_storage_are_read_each_at_its_place(tmp_path: Path):
    buffer = torch.randn(100)
    torch.save({"a": buffer[:40].view(8, 5), "b": buffer[40:], "tied": buffer[:40].view(8, 5)}, tmp_path / "a.pt")
    found = open_torch(tmp_path / "a.pt")
    assert torch.equal(read(found["a"]), buffer[:40].view(8, 5)) and torch.equal(read(found["b"]), buffer[40:])
    assert found["tied"].offset == found["a"].offset


@pytest.mark.parametrize(
    "tensor, words",
    [
        (torch.randn(4, 6).t(), "not contiguous"),
        (torch.randn(4, 6)[:, :3], "not contiguous"),
        (torch.randn(4).expand(3, 4), "not contiguous"),
        (torch.eye(3).to_sparse(), "sparse"),
    ],
)
def test_tensors_that_are_no_plain_run_of_bytes_are_refused_by_name(tmp_path: Path, tensor: torch.Tensor, words: str):
    torch.save({"model": {"w": tensor}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=f"a.pt: tensor model.w is .*{words}|a.pt: tensor model.w is {words}"):
        open_torch(tmp_path / "a.pt")


class Runs:
    """Runs a command where it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = function, arguments

    def __reduce__(self) -> Any:
        return self.made


@pytest.mark.parametrize("function", [os.system, subprocess.getoutput, eval])
def test_a_pickle_that_runs_a_command_is_refused_and_nothing_runs(tmp_path: Path, function: Any):
    mark = tmp_path / "ran"
    argument = f"__import__('pathlib').Path({str(mark)!r}).touch()" if function is eval else f"touch {mark}"
    torch.save({"model": {"w": torch.ones(2)}, "args": Runs(function, argument)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=rf"a.pt is refused: its pickle names \w+\.{function.__name__}"):
        open_torch(tmp_path / "a.pt")
    assert not mark.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert mark.exists(), "the file does no harm at all: the test shows nothing"


def test_what_another_package_allowed_is_not_allowed_here(tmp_path: Path):
    torch.save({"a": Runs(shutil.which, "true")}, tmp_path / "a.pt")
    with torch.serialization.safe_globals([shutil.which]):
        with pytest.raises(ValueError, match="refused: its pickle names shutil.which"):
            open_torch(tmp_path / "a.pt")
        assert shutil.which in torch.serialization.get_safe_globals()


def test_an_object_that_stands_for_a_foreign_class_cannot_be_written(tmp_path: Path, automatic: enum.Enum):
    torch.save({"kind": automatic}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="AttnBackend cannot be written"):
        write_torch({tmp_path / "b.pt": open_torch(tmp_path / "a.pt")})
    assert os.listdir(tmp_path) == ["a.pt"]


def test_a_stored_tensor_without_a_target_cannot_be_written(tmp_path: Path):
    torch.save({"x": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="x is a StoredTensor; make it a Target"):
        write_torch({tmp_path / "b.pt": open_torch(tmp_path / "a.pt")})
    assert os.listdir(tmp_path) == ["a.pt"]


def test_a_tensor_where_none_is_looked_for_is_an_error_and_not_a_tensor_of_zeros(tmp_path: Path):
    with pytest.raises(ValueError, match="a tensor lies in an object"):
        write_torch({tmp_path / "b.pt": {"x": torch.ones(2), "set": {torch.ones(3)}}})
    assert not os.listdir(tmp_path)


def test_content_that_holds_itself_is_refused(tmp_path: Path):
    content: list[Any] = [torch.ones(2)]
    content.append(content)
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a.pt is nested too deeply, or holds itself"):
        open_torch(tmp_path / "a.pt")


def test_a_file_of_old_torch_is_refused_with_the_remedy(tmp_path: Path):
    torch.save({"x": torch.ones(2)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="a.pt is no zip archive.*write it again with torch.save of a newer torch"):
        open_torch(tmp_path / "a.pt")


@pytest.mark.parametrize("keep", [3, 100, 0.5, -1])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, keep: float):
    path = tmp_path / "a.pt"
    torch.save({"x": torch.ones(2000)}, path)
    size = path.stat().st_size
    os.truncate(path, int(keep * size) if 0 < keep < 1 else int(keep) % size)
    with pytest.raises(ValueError, match="a.pt is (cut short|no zip)"):
        open_torch(path)


def rewritten(path: Path, change: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """The archive again, with other content of some members."""
    with zipfile.ZipFile(path) as old:
        members = {member.filename: old.read(member) for member in old.infolist()}
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in members.items():
            new.writestr(name, change.get(name.partition("/")[2], data))


def test_archives_that_torch_would_not_write_are_refused(tmp_path: Path):
    path = tmp_path / "a.pt"
    torch.save({"x": torch.ones(2000)}, path)
    for change, compression, words in (
        ({}, zipfile.ZIP_DEFLATED, "is compressed"),
        ({"byteorder": b"big"}, zipfile.ZIP_STORED, "big-endian"),
        ({"data.pkl": b"\x80\x02nonsense."}, zipfile.ZIP_STORED, "no plain checkpoint"),
        ({"data.pkl": pickle.dumps([1], protocol=4)}, zipfile.ZIP_STORED, "no plain checkpoint"),
        ({"data/0": b"short"}, zipfile.ZIP_STORED, "tensor x|cannot be read"),
    ):
        torch.save({"x": torch.ones(2000)}, path)
        rewritten(path, change, compression)
        with pytest.raises(ValueError, match=f"a.pt.*({words})"):
            open_torch(path)


def test_a_pickle_beyond_the_limit_is_refused_unread(tmp_path: Path):
    torch.save({"x": "text" * 1000}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a pickle of .* bytes; at most 1000"):
        open_torch(tmp_path / "a.pt", max_pickle_bytes=1000)
