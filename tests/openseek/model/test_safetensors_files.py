"""safetensors files: ours are read by the library and its by us; a damaged one is an error that names what is wrong."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from openseek.model.safetensors_files import INDEX, MAX_HEADER_BYTES, SINGLE, open_safetensors, write_safetensors
from openseek.model.stored_tensor import StoredTensor, Target, whole

TENSORS = {
    "half": torch.randn(5, 3).to(torch.bfloat16),
    "float8": torch.randn(3, 3).to(torch.float8_e4m3fn),
    "count": torch.arange(7),
    "scalar": torch.tensor(2.5),
    "empty": torch.empty(0, 4),
}


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    """A checkpoint that the library wrote."""
    save_file(TENSORS, tmp_path / SINGLE)
    return tmp_path


def copies(folder: Path) -> list[Target]:
    return [whole(name, source) for name, source in open_safetensors(folder).items()]


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a file anew with another header and the same data."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


def test_the_librarys_file_is_read(folder: Path):
    found = open_safetensors(folder)
    assert set(found) == set(TENSORS)
    for name, stored in found.items():
        assert (stored.dtype, stored.shape) == (TENSORS[name].dtype, tuple(TENSORS[name].shape))
        raw = stored.file.read_bytes()[stored.offset : stored.offset + stored.num_bytes]
        assert raw == bytes(TENSORS[name].reshape(-1).view(torch.uint8).numpy()), name


def test_the_library_reads_ours(folder: Path, tmp_path: Path):
    paths = write_safetensors(tmp_path / "out", copies(folder), {"step": "7"})
    assert [path.name for path in paths] == [SINGLE]
    with safe_open(paths[0], framework="pt") as file:
        assert file.metadata() == {"format": "pt", "step": "7"}
    for name, tensor in load_file(paths[0]).items():
        assert tensor.dtype == TENSORS[name].dtype and torch.equal(tensor.float(), TENSORS[name].float())


def test_every_tensor_is_aligned_to_its_dtype(folder: Path, tmp_path: Path):
    write_safetensors(tmp_path / "out", copies(folder))
    assert all(stored.offset % stored.dtype.itemsize == 0 for stored in open_safetensors(tmp_path / "out").values())


def test_shards_hold_at_most_what_is_asked_and_an_index_names_them(folder: Path, tmp_path: Path):
    paths = write_safetensors(tmp_path / "out", copies(folder), max_shard_bytes=40)
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    assert [path.name for path in paths] == [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in TENSORS.values())
    for path in paths:
        tensors = load_file(path)
        assert {name for name, file in index["weight_map"].items() if file == path.name} == set(tensors)
        assert len(tensors) == 1 or sum(tensor.nbytes for tensor in tensors.values()) <= 40
    assert set(open_safetensors(tmp_path / "out")) == set(TENSORS)


def test_a_folder_with_files_of_another_checkpoint_is_not_written_to(folder: Path):
    with pytest.raises(ValueError, match="holds model.safetensors of another checkpoint"):
        write_safetensors(folder, copies(folder), max_shard_bytes=40)


def test_two_targets_of_one_name_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="two targets are named half"):
        write_safetensors(tmp_path / "out", [*copies(folder), whole("half", open_safetensors(folder)["half"])])


KILLED = """
import os, sys
from pathlib import Path
from openseek.model.safetensors_files import open_safetensors, write_safetensors
from openseek.model.stored_tensor import whole
folder = Path(sys.argv[1])
targets = [whole(name, source) for name, source in open_safetensors(folder).items()]
write_safetensors(folder / "out", targets, max_shard_bytes=40, progress=lambda count: os.kill(os.getpid(), 9))
"""


def test_a_run_killed_among_the_bytes_leaves_no_file_under_its_name_and_the_next_run_succeeds(folder: Path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False, timeout=120)
    assert done.returncode == -9
    left = sorted(path.name for path in (folder / "out").iterdir())
    assert left and all(name.startswith(".model-") and name.endswith(".tmp") for name in left)
    write_safetensors(folder / "out", copies(folder))
    assert os.listdir(folder / "out") == [SINGLE]


def test_an_error_among_the_bytes_leaves_nothing(folder: Path):
    targets = copies(folder)
    os.truncate(folder / SINGLE, targets[-1].pieces[0].source.offset)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="ends before tensor"):
        write_safetensors(folder / "out", targets)
    assert not os.listdir(folder / "out")


def cut(path: Path, size: int) -> None:
    os.truncate(path, path.stat().st_size + size if size < 0 else size)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda path: cut(path, 5), "cut short"),
        (lambda path: cut(path, 40), "cut short: 40 bytes cannot hold its header"),
        (lambda path: cut(path, -1), r"cut short.*last tensor: float8"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes that no tensor owns"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "its header"),
        (lambda path: path.write_bytes(struct.pack("<Q", 4) + b"\xff{}]"), "header cannot be read"),
        (lambda path: path.write_bytes(struct.pack("<Q", 2) + b"[]"), "no JSON object"),
        (lambda path: changed(path, lambda h: h["half"].pop("dtype")), "tensor half lacks dtype"),
        (lambda path: changed(path, lambda h: h["half"].update(dtype="F4")), "tensor half has dtype 'F4'"),
        (lambda path: changed(path, lambda h: h["half"].update(shape=[5, -3])), r"tensor half has shape \[5, -3\]"),
        (lambda path: changed(path, lambda h: h["half"].update(shape=[5, 4])), "tensor half BF16 .*does not fit"),
        (lambda path: changed(path, lambda h: h["half"].update(data_offsets=[0, 30])), "overlaps"),
        (lambda path: changed(path, lambda h: h["half"].update(data_offsets=[10**6, 10**6 + 30])), "leaves a gap"),
        (lambda path: changed(path, lambda h: h.pop("half")), "leaves a gap"),
        (
            lambda path: changed(path, lambda h: h.update(more={"dtype": "U8", "shape": [1], "data_offsets": [0, 1]})),
            "over",
        ),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(folder: Path, damage: Callable[[Path], object], words: str):
    damage(folder / SINGLE)
    with pytest.raises(ValueError, match=f"(?s){SINGLE}.*{words}"):
        open_safetensors(folder)


def test_a_name_that_stands_twice_in_a_header_is_refused(folder: Path):
    raw = (folder / SINGLE).read_bytes()
    (folder / SINGLE).write_bytes(raw.replace(b'"scalar"', b'"count" ', 1))
    with pytest.raises(ValueError, match="count stands there twice"):
        open_safetensors(folder)


def test_a_header_beyond_the_limit_is_refused_unread(folder: Path):
    with (folder / SINGLE).open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER_BYTES + 1))
        file.truncate(MAX_HEADER_BYTES + 100)
    with pytest.raises(ValueError, match=f"header of {MAX_HEADER_BYTES + 1} bytes"):
        open_safetensors(folder)


def reindexed(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


FIRST, SECOND = "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda folder: (folder / SECOND).unlink(), f"{SECOND} is missing"),
        (lambda folder: reindexed(folder, lambda m: m.update(lost=FIRST)), f"{FIRST} lacks tensor lost"),
        (lambda folder: reindexed(folder, lambda m: m.pop("half")), "holds tensor half, but .*does not name it"),
        (lambda folder: reindexed(folder, lambda m: m.update(count=FIRST if m["count"] != FIRST else SECOND)), "count"),
        (lambda folder: reindexed(folder, lambda m: m.update(count="../x")), "no name of a file"),
        (lambda folder: (folder / INDEX).write_text("{"), "no index"),
        (lambda folder: (folder / INDEX).write_text("[]"), "no index"),
        (lambda folder: (folder / INDEX).unlink(), "no complete checkpoint"),
    ],
)
def test_index_and_shards_that_disagree_are_named(
    folder: Path, tmp_path: Path, damage: Callable[[Path], object], words: str
):
    write_safetensors(tmp_path / "out", copies(folder), max_shard_bytes=40)
    damage(tmp_path / "out")
    with pytest.raises(ValueError, match=words):
        open_safetensors(tmp_path / "out")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="nowhere is missing"):
        open_safetensors(tmp_path / "nowhere")


def test_a_dtype_that_the_format_lacks_is_refused(tmp_path: Path):
    source = StoredTensor("x", torch.complex128, (2,), tmp_path / "x", 0)
    with pytest.raises(ValueError, match="target x: safetensors has no torch.complex128"):
        write_safetensors(tmp_path / "out", [whole("x", source)])
