"""Files as setups: OpenSeek's own experiments, config.json with weights and tokenizer beside it, recipes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openseek.model.hf import save_checkpoint
from openseek.model.presets import PRESETS
from openseek.model.transformer import Transformer
from openseek.recipes.config_report import report, reports_on
from openseek.recipes.published_setups import SETUPS
from openseek.recipes.setup_files import setups_at, source_names, stored_values
from openseek.recipes.training_setup import TrainingSetup

EXPERIMENTS = {
    "OpenSeek-Small-v1": "config_deepseek_v3_3b_1330B.yaml",
    "OpenSeek-Small-v1-Baseline": "config_deepseek_v3_1_4b.yaml",
}


def copied(shared: Path, tmp_path: Path, name: str, changes: dict[str, str] | None = None) -> Path:
    """OpenSeek's experiment below tmp_path, with texts of its training file replaced; the experiment file."""
    source = shared / "openseek_configs" / name
    for path in source.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for old, new in (changes or {}).items() if path.parent.name == "train" else ():
            assert old in text
            text = text.replace(old, new)
        target = tmp_path / name / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return tmp_path / name / EXPERIMENTS[name]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_openseeks_files_say_what_its_published_setup_says(shared: Path, name: str) -> None:
    (read,) = setups_at(str(shared / "openseek_configs" / name / EXPERIMENTS[name]))
    published = SETUPS[name]
    assert (read.name, read.layout, read.tokenizer_size) == (name, published.layout, published.tokenizer_size)
    assert read.model == published.model
    assert sorted(read.mixture) == sorted(published.mixture)
    assert read.training is not None
    assert published.training is not None
    for field in ("train_tokens", "sequence_length", "global_batch_size", "micro_batch_size", "warmup_tokens"):
        assert getattr(read.training, field) == getattr(published.training, field)
    ours, theirs = published.training.learning_rate(), read.training.learning_rate()
    assert [ours(step) for step in (0, 500, 9999)] == pytest.approx([theirs(step) for step in (0, 500, 9999)])


def test_the_folder_of_openseeks_files_brings_all_known_disagreements(shared: Path) -> None:
    reports = {each.name: each for each in reports_on(str(shared / "openseek_configs"))}
    said = {name: {check.claim.says for check in each.disagreements} for name, each in reports.items()}
    assert "3.18 GB in bfloat16" in said["OpenSeek-Small-v1-Baseline"]
    assert {"3b", "720B tokens", "learning rate 3.0e-3 with cosine decay"} <= said["OpenSeek-Small-v1"]
    assert said["scores: Phi4-Sampling"] == {"0.3992", "0.2538"}
    for name in ("OpenSeek-16B-default", "OpenSeek-16B-tuned", "Aquila-3B"):
        assert any("constant in effect" in each.message for each in reports[name].findings)
    sums = [each.message for report in reports.values() for each in report.findings if each.check == "mixture"]
    assert any("sum to 99.96" in message for message in sums)
    assert any("sum to 99.99" in message for message in sums)
    numbers = {each.key: each.value for each in reports["OpenSeek-Small-v1-Baseline"].numbers}
    assert numbers["parameters.total"] == 1_394_625_792
    assert numbers["start.loss"] == pytest.approx(11.9308, abs=1e-4)


def test_changed_files_are_told_apart_from_the_published_ones(shared: Path, tmp_path: Path) -> None:
    changes = {
        "- 7.76\n": "- 7.80\n",
        "lr: 3.0e-4": "lr: 3.0e-3",
        "pipeline_model_parallel_size: 2": "context_parallel_size: 1",
    }
    changes["  context_parallel_size: 1\n  disable"] = "  disable"
    (changed,) = setups_at(str(copied(shared, tmp_path, "OpenSeek-Small-v1", changes)))
    found = report(changed)
    assert not found.findings
    assert "learning rate 3.0e-3 with cosine decay" not in {check.claim.says for check in found.disagreements}
    assert next(each.value for each in found.numbers if each.key == "mixture.published") == "no published mixture"
    assert {check.claim.says for check in found.disagreements} == {"3b", "DeepSeek 16B", "2.4A Model", "720B tokens"}


def test_a_key_with_a_typing_error_is_told(shared: Path, tmp_path: Path) -> None:
    changed = copied(shared, tmp_path, "OpenSeek-Small-v1-Baseline", {"adam_beta2: 0.95": "adam_betta2: 0.95"})
    (setup,) = setups_at(str(changed))
    assert "adam_betta2" in setup.notes[0]


def test_a_single_experiment_brings_its_own_scores(shared: Path) -> None:
    names = [each.name for each in reports_on(str(shared / "openseek_configs" / "OpenSeek-Small-v1"))]
    assert names == ["OpenSeek-Small-v1", "scores: Small-v1"]


def checkpoint(folder: Path, tied: bool = True, depth: int = 1) -> TrainingSetup:
    """A tiny checkpoint with a tokenizer of 500 tokens; with a head beside the embedding if it says it is tied."""
    torch.manual_seed(0)
    model = Transformer(replace(PRESETS["debug_small"], num_nextn_predict_layers=depth, tie_word_embeddings=tied))
    tokenizer = folder.parent / "tokenizer.json"
    vocabulary = {f"t{i}": i for i in range(499)}
    added = [{"id": 499, "content": "<eod>"}]
    tokenizer.write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": added}), encoding="utf-8")
    save_checkpoint(model, tokenizer, folder)
    return setups_at(str(folder))[0]


@pytest.mark.parametrize("depth", [0, 1])
def test_weights_beside_a_config_are_counted(tmp_path: Path, depth: int) -> None:
    setup = checkpoint(tmp_path / "model", depth=depth)
    assert (setup.name, setup.tokenizer_size) == ("model", 500)
    assert setups_at(str(tmp_path / "model" / "config.json")) == [setup]
    (check,) = report(setup).claims
    assert check.agrees, check
    assert not report(setup).findings


def test_a_head_written_out_though_the_config_ties_it_is_found(tmp_path: Path) -> None:
    setup = checkpoint(tmp_path / "model", tied=False, depth=0)
    assert report(setup).claims[0].agrees
    path = tmp_path / "model" / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | {"tie_word_embeddings": True}), encoding="utf-8")
    (check,) = report(setups_at(str(path))[0]).claims
    assert not check.agrees
    assert check.explanation == "true with an untied head"


def test_another_tokenizer_than_the_one_beside_the_weights(tmp_path: Path) -> None:
    checkpoint(tmp_path / "model")
    assert not reports_on(str(tmp_path / "model"))[0].findings
    (finding,) = reports_on(str(tmp_path / "model"), true_vocab_size=600)[0].findings
    assert (finding.check, "128 rows would be copies" in finding.message) == ("tokenizer", True)


def test_recipes_by_name_and_file(tmp_path: Path) -> None:
    (debug,) = setups_at("debug")
    assert debug.model.vocab_size == 4096
    assert debug.notes
    path = tmp_path / "mine.yaml"
    path.write_text("base: debug\npretrain:\n  model: {vocab_size: 1000, aux_loss_alpha: 0.02}\n", encoding="utf-8")
    (mine,) = reports_on(str(path))
    assert {finding.check for finding in mine.findings} == {"vocabulary", "router"}
    preset = tmp_path / "preset.yaml"
    preset.write_text("base: debug\npretrain:\n  model: {preset: deepseek_v3}\n", encoding="utf-8")
    assert setups_at(str(preset))[0].model == PRESETS["deepseek_v3"]


def test_what_is_no_config_is_refused_with_the_remedy(shared: Path, tmp_path: Path) -> None:
    lower = shared / "openseek_configs/OpenSeek-Small-v1/train/train_deepseek_v3_3b_1330B.yaml"
    with pytest.raises(ValueError, match="lower one of FlagScale's two files: give the experiment file"):
        setups_at(str(lower))
    with pytest.raises(ValueError, match="holds neither a config.json nor a FlagScale experiment"):
        setups_at(str(tmp_path))
    with pytest.raises(ValueError, match="no_such: give a FlagScale experiment file"):
        setups_at("no_such")
    bad = tmp_path / "model.safetensors"
    bad.write_bytes(b"not a header at all, but long enough")
    with pytest.raises(ValueError, match="model.safetensors is no safetensors file"):
        stored_values(bad)
    bad.write_bytes((4).to_bytes(8, "little") + b"[1]]")
    with pytest.raises(ValueError, match="its header cannot be read"):
        stored_values(bad)


def test_names_of_token_files() -> None:
    base = "../OpenSeek-Pretrain-100B"
    names = source_names([f"{base}/zh_cc-high/part_142_text_document", f"{base}/arxiv/007_00000_text_document"])
    assert names == ["zh_cc-high", "arxiv"]
    assert source_names([f"{base}/zh_cc_text_document", f"{base}/code_text_document"]) == ["zh_cc", "code"]
    assert source_names([f"{base}/zh_cc_text_document"]) == ["zh_cc"]
    assert source_names(["/a/x_text_document", "/b/x_text_document"]) == ["a", "b"]
    assert source_names([]) == []
