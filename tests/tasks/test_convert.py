"""An export that transformers reads alike, with the licences and the steps that led to it."""

import json

import pytest
import torch

from openseek.artifact import read_manifest, write_manifest
from openseek.data.tokenizer import Tokenize, train
from openseek.model.config import ModelConfig
from openseek.model.export import Export
from openseek.model.hf import load_checkpoint, save_checkpoint
from openseek.model.moe import routers
from openseek.model.transformer import Transformer
from tasks.convert import export

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
    monkeypatch.setattr("openseek.model.attention.LATENT_NORM_EPS", 0.1)
    with pytest.raises(ValueError, match="do not use this folder"):
        export(checkpoint)
    assert not list(checkpoint.parent.glob("export-*/manifest.json"))


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
