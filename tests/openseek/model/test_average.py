"""Averaged checkpoints against torch, and what cannot be averaged."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import openseek.model.average as module
from openseek.model.average import average_checkpoints
from openseek.model.config import ModelConfig
from openseek.model.hf import load_checkpoint, save_checkpoint
from openseek.model.moe import routers
from openseek.model.safetensors_files import open_safetensors, write_safetensors
from openseek.model.stored_tensor import whole
from openseek.model.transformer import Transformer

SHAPE = ModelConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three checkpoints of one shape with their own weights and router biases."""
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = Transformer(SHAPE)
        for router in routers(model):
            router.e_score_correction_bias.normal_()
        made.append(tmp_path / f"run-{seed}" / "checkpoint")
        save_checkpoint(model, None, made[-1], eod=0)
        (made[-1] / "tokenizer.json").write_text('{"of": "all"}')
    return made


def expected(folders: list[Path], weights: list[float]) -> dict[str, torch.Tensor]:
    tables = [load_file(folder / "model.safetensors") for folder in folders]
    return {
        name: torch.stack([w / sum(weights) * t[name].double() for w, t in zip(weights, tables, strict=True)])
        .sum(0)
        .float()
        for name in tables[0]
    }


@pytest.mark.parametrize("weights", [[], [1.0, 2.0, 5.0]])
def test_the_average_equals_torchs_and_loads(folders, tmp_path, monkeypatch, weights):
    monkeypatch.setattr(module, "BLOCK", 100)  # many blocks a tensor, the last one shorter
    facts = average_checkpoints(folders, tmp_path / "mean", weights)
    average, theirs = load_file(tmp_path / "mean" / "model.safetensors"), expected(folders, weights or [1.0] * 3)
    assert average.keys() == theirs.keys() and facts["tensors"] == len(theirs)
    for name, tensor in theirs.items():
        torch.testing.assert_close(average[name], tensor, rtol=1e-6, atol=1e-9, msg=name)
    assert any(name.endswith("e_score_correction_bias") for name in theirs)
    others = expected(folders, [5.0, 2.0, 1.0])
    assert any(not torch.allclose(average[name], others[name], rtol=1e-3) for name in others)
    assert load_checkpoint(tmp_path / "mean").config == SHAPE
    assert (tmp_path / "mean" / "tokenizer.json").read_text() == '{"of": "all"}'
    with pytest.raises(ValueError, match="mean exists: give a new folder"):
        average_checkpoints(folders, tmp_path / "mean")


def test_bfloat16_in_shards_is_summed_exactly_and_rounded_once(folders, tmp_path):
    small = []
    for folder in folders:
        table = open_safetensors(folder)
        small.append(folder.parent / "sharded")
        targets = [whole(name, tensor, torch.bfloat16) for name, tensor in table.items()]
        assert len(write_safetensors(small[-1], targets, max_shard_bytes=20_000)) > 2
        (small[-1] / "config.json").write_text((folder / "config.json").read_text())
    average_checkpoints(small, tmp_path / "mean")
    files = {path.name for path in small[0].iterdir()}
    assert {path.name for path in (tmp_path / "mean").iterdir()} == files
    tables = [{k: v for p in sorted(f.glob("*.safetensors")) for k, v in load_file(p).items()} for f in small]
    average = {k: v for p in sorted((tmp_path / "mean").glob("*.safetensors")) for k, v in load_file(p).items()}
    assert average.keys() == tables[0].keys()
    for name, tensor in average.items():
        exact = torch.stack([table[name].double() for table in tables]).sum(0) / 3
        assert torch.equal(tensor, exact.to(torch.bfloat16)), name


def change(folder: Path, **tensors: torch.Tensor | None) -> None:
    """Other tensors in a checkpoint; None takes one away."""
    table = {**load_file(folder / "model.safetensors"), **tensors}
    save_file({n: t for n, t in table.items() if t is not None}, folder / "model.safetensors")


def test_integers_must_be_equal(folders, tmp_path):
    for folder in folders:
        change(folder, counts=torch.arange(7))
    average_checkpoints(folders, tmp_path / "mean")
    assert torch.equal(load_file(tmp_path / "mean" / "model.safetensors")["counts"], torch.arange(7))
    change(folders[2], counts=torch.arange(7) + 1)
    with pytest.raises(ValueError, match=r"counts \[7\] of .*run-2.* differs from .*: integers cannot be averaged"):
        average_checkpoints(folders, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_does_not_agree_is_named(folders, tmp_path):
    out, name = tmp_path / "mean", "model.norm.weight"
    change(folders[1], **{name: torch.ones(31)})
    with pytest.raises(ValueError, match=r"model\.norm\.weight \[31\] of .*run-1"):
        average_checkpoints(folders, out)
    change(folders[1], **{name: None})
    with pytest.raises(ValueError, match=r"run-1.checkpoint lacks tensor model\.norm\.weight, which .*run-0"):
        average_checkpoints(folders, out)
    raw = json.loads((folders[1] / "config.json").read_text())
    (folders[1] / "config.json").write_text(json.dumps(raw | {"rope_theta": 5.0, "torch_dtype": "bfloat16"}))
    with pytest.raises(ValueError, match=r"run-1.checkpoint.config\.json has rope_theta 5\.0, .*run-0.* has 10000\.0"):
        average_checkpoints(folders, out)
    (folders[2] / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run-2.checkpoint.tokenizer\.json differs"):
        average_checkpoints([folders[0], folders[2]], out)
    for wrong, message in (([1.0], "1 weights for 3"), ([1, 1, -1], "not be negative"), ([0, 0, 0], "positive sum")):
        with pytest.raises(ValueError, match=message):
            average_checkpoints(folders, out, wrong)
    for folder in folders:
        change(folder, **{name: torch.ones(32).to(torch.float8_e4m3fn)})
    with pytest.raises(ValueError, match="write the checkpoints in bfloat16 or float32 first"):
        average_checkpoints(folders[:1], out)
    assert not out.exists()


def test_models_of_other_shapes_are_refused(folders, tmp_path):
    other = Transformer(dataclasses.replace(SHAPE, intermediate_size=40))
    save_checkpoint(other, None, tmp_path / "other", eod=0)
    with pytest.raises(ValueError, match="intermediate_size 40"):
        average_checkpoints([folders[0], tmp_path / "other"], tmp_path / "mean")
