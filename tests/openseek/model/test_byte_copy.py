"""The bytes of targets: exact for every dtype and cut, in small memory, and never silently short."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from openseek.model import byte_copy
from openseek.model.byte_copy import same_bytes
from openseek.model.fp8_blocks import dequantise
from openseek.model.safetensors_files import DTYPES, open_safetensors, write_safetensors
from openseek.model.stored_tensor import Fill, Piece, StoredTensor, Target, check_plan, whole


def random_bits(dtype: torch.dtype, *shape: int, seed: int = 0) -> Tensor:
    """A tensor of any bits at all, NaNs with payloads among them."""
    generator = torch.Generator().manual_seed(seed)
    high = 2 if dtype == torch.bool else 256
    count = torch.Size(shape).numel() * dtype.itemsize
    return torch.randint(0, high, (count,), generator=generator, dtype=torch.uint8).view(dtype).view(shape)


def bits(tensor: Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


def saved(folder: Path, **tensors: Tensor) -> dict[str, StoredTensor]:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return open_safetensors(folder)


def written(folder: Path, *targets: Target) -> dict[str, Tensor]:
    write_safetensors(folder, targets)
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0, 4), (7,), (3, 5), (2, 3, 5)], ids=str)
def test_every_dtype_and_shape_is_copied_bit_for_bit(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]):
    tensor = random_bits(dtype, *shape)
    sources = saved(tmp_path / "in", x=tensor)
    copy = written(tmp_path / "out", whole("y", sources["x"]))["y"]
    assert copy.dtype == dtype and copy.shape == shape and bits(copy) == bits(tensor)


@pytest.mark.parametrize("block_bytes", [64, byte_copy.BLOCK_BYTES])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("dim", [0, 1])
def test_a_tensor_cut_over_ranks_is_put_together_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dim: int, dtype: torch.dtype, block_bytes: int
):
    monkeypatch.setattr(byte_copy, "BLOCK_BYTES", block_bytes)
    tensor = random_bits(dtype, 33, 21)
    source = saved(tmp_path / "in", x=tensor)["x"]
    edges = [0, 5, 6, tensor.shape[dim]]
    cuts = []
    for rank, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        if dim == 0:
            cuts.append(Target(f"x.{rank}", dtype, (last - first, 21), (Piece(source, rows=(first, last)),)))
        else:
            cuts.append(Target(f"x.{rank}", dtype, (33, last - first), (Piece(source, columns=(first, last)),)))
    check_plan(cuts, [source])
    parts = written(tmp_path / "cut", *cuts)
    assert bits(torch.cat([parts[cut.name].view(torch.uint8) for cut in cuts], dim)) == bits(tensor)

    stored = open_safetensors(tmp_path / "cut")
    places = [(first, 0) if dim == 0 else (0, first) for first in edges[:-1]]
    pieces = [Piece(stored[f"x.{rank}"], row=row, column=column) for rank, (row, column) in enumerate(places)]
    joined = Target("x", dtype, (33, 21), tuple(pieces))
    check_plan([joined], stored.values())
    assert bits(written(tmp_path / "joined", joined)["x"]) == bits(tensor)


def test_the_gated_weight_of_each_rank_holds_its_own_halves(tmp_path: Path):
    gate, up = random_bits(torch.bfloat16, 8, 6), random_bits(torch.bfloat16, 8, 6, seed=1)
    sources = saved(tmp_path / "in", gate=gate, up=up)
    ranks = [
        Target(
            f"fc1.{r}",
            torch.bfloat16,
            (8, 6),
            tuple(Piece(sources[n], rows=(4 * r, 4 * r + 4), row=row) for n, row in (("gate", 0), ("up", 4))),
        )
        for r in (0, 1)
    ]
    found = written(tmp_path / "out", *ranks)
    for rank in (0, 1):
        expected = torch.cat([gate.chunk(2)[rank], up.chunk(2)[rank]])
        assert bits(found[f"fc1.{rank}"]) == bits(expected)


@pytest.mark.parametrize("block_bytes", [64, byte_copy.BLOCK_BYTES])
def test_casts_are_those_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int):
    monkeypatch.setattr(byte_copy, "BLOCK_BYTES", block_bytes)
    tensor = torch.randn(40, 11)
    source = saved(tmp_path / "in", x=tensor)["x"]
    right = Target("right", torch.bfloat16, (40, 4), (Piece(source, columns=(7, 11)),))
    found = written(tmp_path / "out", whole("all", source, torch.bfloat16), right)
    assert torch.equal(found["all"], tensor.to(torch.bfloat16))
    assert torch.equal(found["right"], tensor[:, 7:].to(torch.bfloat16))


@pytest.mark.parametrize("rows", [(0, 300), (64, 192), (130, 131), (256, 300)])
@pytest.mark.parametrize("columns", [(0, 200), (100, 200)])
def test_float8_slices_are_those_of_the_dequantised_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: tuple[int, int], columns: tuple[int, int]
):
    monkeypatch.setattr(byte_copy, "BLOCK_BYTES", 1000)
    weight, scale = torch.randn(300, 200).to(torch.float8_e4m3fn), torch.rand(3, 2) + 0.5
    sources = saved(tmp_path / "in", w=weight, s=scale)
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    target = Target("w", torch.bfloat16, shape, (Piece(sources["w"], rows, columns, scale=sources["s"]),))
    expected = dequantise(weight, scale)[rows[0] : rows[1], columns[0] : columns[1]].to(torch.bfloat16)
    assert torch.equal(written(tmp_path / "out", target)["w"], expected)


def test_damaged_scales_are_an_error_that_names_the_tensor(tmp_path: Path):
    sources = saved(tmp_path / "in", w=torch.ones(4, 4).to(torch.float8_e4m3fn), s=torch.zeros(1, 1))
    target = Target("w", torch.bfloat16, (4, 4), (Piece(sources["w"], scale=sources["s"]),))
    with pytest.raises(ValueError, match=r"w \[4, 4\] .*model.safetensors with scales s"):
        written(tmp_path / "out", target)
    assert not list((tmp_path / "out").iterdir())


def test_padding_is_a_number_the_last_row_or_the_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(byte_copy, "BLOCK_BYTES", 64)
    table = torch.randn(19, 6).to(torch.bfloat16)
    source = saved(tmp_path / "in", x=table)["x"]

    def padded(name: str, fill: Fill) -> Target:
        return Target(name, torch.bfloat16, (24, 6), (Piece(source, repeated=True), Piece(fill, row=19)))

    fills = {"zero": Fill(5), "last": Fill(5, "last", source), "mean": Fill(5, "mean", source)}
    found = written(tmp_path / "out", *(padded(name, fill) for name, fill in fills.items()))
    mean = table.double().mean(0).to(torch.bfloat16)
    for name, row in {"zero": torch.zeros(6, dtype=torch.bfloat16), "last": table[-1], "mean": mean}.items():
        assert torch.equal(found[name][:19], table), name
        assert torch.equal(found[name][19:], row.expand(5, 6)), name


def test_a_source_that_was_cut_short_after_it_was_opened_is_named(tmp_path: Path):
    source = saved(tmp_path / "in", x=torch.zeros(100))["x"]
    with source.file.open("r+b") as file:
        file.truncate(source.offset + 300)
    with pytest.raises(ValueError, match="model.safetensors ends before tensor x"):
        written(tmp_path / "out", whole("x", source))
    assert not list((tmp_path / "out").iterdir())


def test_several_threads_write_the_same_files_and_report_every_byte(tmp_path: Path):
    sources = saved(tmp_path / "in", **{f"t{n}": random_bits(torch.bfloat16, 50, 20, seed=n) for n in range(9)})
    targets = [whole(name, source) for name, source in sources.items()]
    done: list[int] = []
    one = write_safetensors(tmp_path / "one", targets, max_shard_bytes=4000)
    four = write_safetensors(tmp_path / "four", targets, max_shard_bytes=4000, threads=4, progress=done.append)
    assert len(one) == 5 and [path.read_bytes() for path in one] == [path.read_bytes() for path in four]
    assert sum(done) == 9 * 50 * 20 * 2


def test_more_sources_than_may_be_open_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(byte_copy, "OPEN_SOURCES", 2)
    tensors = [random_bits(torch.int16, 4, 6, seed=n) for n in range(5)]
    sources = [saved(tmp_path / str(n), x=tensor)["x"] for n, tensor in enumerate(tensors)]
    columns = Target("x", torch.int16, (4, 30), tuple(Piece(s, column=6 * n) for n, s in enumerate(sources)))
    assert torch.equal(written(tmp_path / "out", columns)["x"], torch.cat(tensors, 1))


def test_copies_are_compared_bit_for_bit(tmp_path: Path):
    tensor = random_bits(torch.bfloat16, 30)
    flipped = tensor.clone()
    flipped.view(torch.uint8)[-1] ^= 1
    found = saved(tmp_path / "in", a=tensor, b=tensor.clone(), c=flipped, d=tensor.view(torch.float16).clone())
    assert same_bytes(found["a"], found["b"])
    assert not same_bytes(found["a"], found["c"]) and not same_bytes(found["a"], found["d"])


PEAK = """
import sys
from pathlib import Path
import torch
from openseek.model.safetensors_files import open_safetensors, write_safetensors
from openseek.model.stored_tensor import Piece, Target, whole
from openseek.model.torch_files import open_torch, write_torch

def peak():  # not ru_maxrss, which a child takes over from its parent
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024

folder = Path(sys.argv[1])
source = open_safetensors(folder)["x"]
write_torch({folder / "small.pt": {"x": torch.zeros(1)}})
base = peak()
write_safetensors(folder / "same", [whole("x", source)])
half = Target("x", torch.float32, (75000, 1000), (Piece(source, columns=(0, 1000)),))
write_torch({folder / "half.pt": {"model": {"x": half}}})
print(peak() - base)
"""


def test_a_tensor_of_300_megabytes_is_copied_cut_and_cast_in_a_few(tmp_path: Path):
    write_safetensors(tmp_path, [Target("x", torch.bfloat16, (75000, 2000), (Piece(Fill(75000, 0.5)),))])
    run = [sys.executable, "-c", PEAK, str(tmp_path)]
    result = subprocess.run(run, capture_output=True, text=True, timeout=300, check=True)
    assert int(result.stdout) < 64, f"{result.stdout} MiB above what the imports take"
