"""What the conversion benchmark counts as different: one bit is enough, and so is a tensor that is missing."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.convert import LAYOUTS, converted, differing
from openseek.model.convert import Convert
from openseek.model.hf import save_checkpoint
from openseek.model.presets import PRESETS
from openseek.model.transformer import Transformer


def saved(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_one_bit_or_a_missing_tensor_is_a_difference(tmp_path: Path):
    same, nan = torch.randn(300_000), torch.full((5,), float("nan"))
    flipped = same.clone()
    flipped.view(torch.int32)[-1] ^= 1
    first = saved(tmp_path / "first", a=same, b=same.clone(), c=nan, only=nan.clone())
    second = saved(tmp_path / "second", a=same, b=flipped, c=nan)
    assert differing(first, first) == []
    assert differing(first, second) == differing(second, first) == ["b", "only"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_are_ones_that_the_converter_takes(layout: str):
    assert Convert(**LAYOUTS[layout]).to == "mcore"  # type: ignore[arg-type]


def test_a_measured_conversion_is_a_real_one(tmp_path: Path):
    source, out = tmp_path / "hf", tmp_path / "megatron"
    torch.manual_seed(0)
    save_checkpoint(Transformer(PRESETS["debug_small"]), None, source)
    seconds, fixed, peak = converted(source, out, {"tp": 2})
    assert 0 < fixed < seconds and peak > 50
    converted(out, tmp_path / "back", {"to": "hf"})
    assert differing(source, tmp_path / "back") == []
