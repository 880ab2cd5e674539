"""`openseek average`: folders and artifacts become an artifact."""

from pathlib import Path

import torch

from cli.__main__ import main
from openseek.artifact import read_manifest
from openseek.model.config import ModelConfig
from openseek.model.hf import load_checkpoint, save_checkpoint
from openseek.model.transformer import Transformer

SHAPE = ModelConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48)


def test_averages_are_artifacts_that_can_be_averaged_again(tmp_path: Path, capsys):
    steps = [tmp_path / "run/snapshots" / f"step-{n:08d}" for n in (2, 4)]
    models = []
    for seed, folder in enumerate(steps):
        torch.manual_seed(seed)
        models.append(Transformer(SHAPE).state_dict())
        save_checkpoint(Transformer(SHAPE), None, folder, eod=0)
        models[-1] = load_checkpoint(folder).state_dict()
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["average", "--checkpoints", *map(str, steps), "--weights", "3", "1", "--out", str(one)]) == 0
    manifest = read_manifest(one)
    assert manifest["task"] == "average" and manifest["config"]["weights"] == [3.0, 1.0]
    assert [record["path"] for record in manifest["inputs"].values()] == [str(step) for step in steps]
    assert main(["average", "--checkpoints", str(one), str(steps[1]), "--out", str(two)]) == 0
    assert read_manifest(two)["inputs"]["checkpoint_0"]["fingerprint"] == manifest["fingerprint"]
    average = load_checkpoint(two / "checkpoint").state_dict()
    for name, tensor in average.items():
        torch.testing.assert_close(tensor, (3 * models[0][name] + 5 * models[1][name]) / 8, msg=name)
    capsys.readouterr()
    assert main(["average", "--checkpoints", str(tmp_path), "--out", str(tmp_path / "no")]) == 1
    assert "has no config.json: give artifacts with checkpoint/" in capsys.readouterr().err
