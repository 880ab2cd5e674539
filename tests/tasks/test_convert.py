"""An export that transformers reads alike, with its licences and history; a conversion of any folder, run once."""

import dataclasses
import json

import pytest
import torch

from openseek.artifact import read_manifest, write_manifest
from openseek.data.tokenizer import Tokenize, train
from openseek.model.config import ModelConfig
from openseek.model.convert import Convert
from openseek.model.export import Export
from openseek.model.hf import load_checkpoint, save_checkpoint
from openseek.model.moe import routers
from openseek.model.presets import PRESETS
from openseek.model.transformer import Transformer
from tasks.__main__ import find
from tasks.command import run
from tasks.convert import convert, export

TEXTS = ["Each piece becomes a number, and each number a vector. " * 5, "语言模型把文本切成小块。" * 5]
SHAPE = ModelConfig(hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48, initializer_range=0.3)


def finished(directory, task: str, config: dict, facts: dict, before: dict | None = None) -> None:
    write_manifest(
        directory,
        task=task,
        label=None,
        version=1,
        fingerprint=f"{task:0<64}",
        inputs=before or {},
        config=config,
        facts=facts,
    )


@pytest.fixture
def checkpoint(root):
    """A finished `pretrain` artifact of a random model that came from an `ingest` artifact."""
    ingest, directory = root.root / "ingest-1", root.root / "pretrain-1"
    ingest.mkdir(parents=True)
    sources = [{"name": "en_web", "licence": "permissive"}, {"name": "zh", "licence": "by-sa"}]
    finished(ingest, "ingest", {"sources": sources}, {"rows_in": 9, "rows_out": 9})
    tokenizer = train(TEXTS, Tokenize(vocab_size=300))
    (directory / "checkpoint").mkdir(parents=True)
    tokenizer.save(str(root.root / "tokenizer.json"))
    torch.manual_seed(0)
    model = Transformer(ModelConfig(**{**SHAPE.__dict__, "vocab_size": tokenizer.get_vocab_size()}))
    for router in routers(model):
        router.e_score_correction_bias.normal_(std=0.3)
    save_checkpoint(model, root.root / "tokenizer.json", directory / "checkpoint", eod=0)
    before = {"documents": {"path": "ingest-1", "fingerprint": f"{'ingest':0<64}"}}
    finished(directory, "pretrain", {}, {"tokens": 1234, "heldout_loss": 5.5}, before)
    return directory


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_transformers_reads_the_export_alike(dtype, checkpoint):
    out = export(checkpoint, config=Export(dtype=dtype))
    facts = read_manifest(out)["facts"]
    assert facts["max_difference"] <= 1e-5
    assert facts["compared_tokens"] > 50
    assert (facts["rounding_difference"] == 0) == (dtype == "float32")
    names = {path.name for path in (out / "checkpoint").iterdir()}
    assert names >= {
        *("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"),
        *("chat_template.jinja", "README.md"),
    }


def test_the_card_names_licences_and_steps_and_the_tokenizer_knows_its_marks(checkpoint):
    from transformers import AutoTokenizer

    out = export(checkpoint, config=Export(name="Example"))
    card = (out / "checkpoint" / "README.md").read_text()
    assert "# Example" in card
    assert "| en_web | permissive |" in card
    assert "- zh: share-alike (`by-sa`)" in card
    assert card.index("| ingest |") < card.index("| pretrain |")
    assert "heldout_loss 5.5" in card
    tokenizer = AutoTokenizer.from_pretrained(out / "checkpoint")
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|endoftext|>", "<|pad|>")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    settings = json.loads((out / "checkpoint" / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [0, 3]
    load_checkpoint(out / "checkpoint")


def test_a_folder_that_computes_otherwise_fails_and_leaves_no_artifact(checkpoint, monkeypatch):
    monkeypatch.setattr("openseek.model.latent_attention.LATENT_NORM_EPS", 0.1)
    with pytest.raises(ValueError, match="do not use this folder"):
        export(checkpoint)
    assert not list(checkpoint.parent.glob("export-*/manifest.json"))


def test_a_model_that_transformers_does_not_compute_is_refused_with_what_is_in_the_way(checkpoint):
    folder = checkpoint / "checkpoint"
    model = load_checkpoint(folder)
    save_checkpoint(Transformer(dataclasses.replace(model.config, scoring_func="sqrtsoftplus")), None, folder)
    with pytest.raises(ValueError, match="deepseek_v3 is nearest, but scoring_func='sqrtsoftplus' is not 'sigmoid'"):
        export(checkpoint)


def test_a_dense_model_is_exported_as_one_of_its_own_class(checkpoint):
    folder = checkpoint / "checkpoint"
    dense = dataclasses.replace(PRESETS["debug_aquila"], vocab_size=load_checkpoint(folder).config.vocab_size)
    save_checkpoint(Transformer(dense), folder / "tokenizer.json", folder)
    out = export(checkpoint)
    assert read_manifest(out)["facts"]["max_difference"] <= 1e-5
    card = (out / "checkpoint" / "README.md").read_text()
    assert "A Qwen2 model: hidden_size 64" in card
    assert "Multi-token" not in card


def test_a_checkpoint_without_its_tokenizer_is_named(checkpoint):
    (checkpoint / "checkpoint" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="tokenizer.json is missing"):
        export(checkpoint)


@pytest.mark.parametrize(
    ("fields", "message"), [({"dtype": "int8"}, "dtype='int8'"), ({"max_difference": 0}, "max_difference=0")]
)
def test_a_wrong_field_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Export(**fields)


def test_an_artifact_goes_to_ranks_and_back_with_its_tokenizer(checkpoint):
    ranks = convert(checkpoint, config=Convert(tp=2, pp=2, ep=2, etp=1))
    facts = read_manifest(ranks)["facts"]
    assert facts["logits_max_difference"] == facts["mtp_logits_max_difference"] == 0.0
    assert facts["files"] == 4 and facts["padding_rows"] > 0
    back = convert(ranks, config=Convert(to="hf"))
    for name in ("config.json", "tokenizer.json"):
        assert (back / "checkpoint" / name).read_bytes() == (checkpoint / "checkpoint" / name).read_bytes()
    # The result is an artifact like any other.
    assert read_manifest(export(back))["facts"]["max_difference"] <= 1e-5


def test_any_folder_is_taken_and_counts_by_its_files(checkpoint, root):
    folder = checkpoint / "checkpoint"
    words = ["--checkpoint", str(folder), "--root", str(root.root), "--config.tp", "2", "--config.etp", "1"]
    first = run(find("convert"), words)
    assert run(find("convert"), words) == first
    assert read_manifest(first)["inputs"]["checkpoint"]["path"] == "pretrain-1/checkpoint"
    (folder / "generation_config.json").write_text("{}")
    again = run(find("convert"), words)
    assert again != first
    assert (again / "checkpoint" / "hf" / "generation_config.json").read_text() == "{}"


def test_what_a_killed_conversion_left_is_done_again(checkpoint):
    out = convert(checkpoint)
    (out / "manifest.json").unlink()
    (out / "checkpoint" / "release" / "mp_rank_00" / "model_optim_rng.pt").write_bytes(b"half")
    assert convert(checkpoint) == out
    assert read_manifest(out)["facts"]["logits_max_difference"] == 0.0


def test_an_unfinished_artifact_is_no_folder_of_another_program(checkpoint):
    (checkpoint / "manifest.json").unlink()
    (checkpoint / ".started").write_text("x")
    with pytest.raises(ValueError, match="is unfinished: run its task again"):
        convert(checkpoint)
