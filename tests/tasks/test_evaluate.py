from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from openseek import artifact
from openseek.artifact import read_manifest
from openseek.eval.config import Benchmark, Evaluate
from openseek.model.config import ModelConfig
from openseek.model.hf import save_checkpoint
from openseek.model.transformer import Transformer
from tasks.evaluate import evaluate
from tasks.where import Where


@pytest.fixture
def checkpoint(root: Where) -> Path:
    """A finished artifact with a random model over bytes."""
    folder = root.root / "pretrain"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    marks = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["a"], trainer)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "made.json"))
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2))
    save_checkpoint(model, folder / "made.json", folder / "checkpoint", eod=0)
    identity = {"task": "pretrain", "label": None, "version": 1, "fingerprint": "0" * 64, "inputs": {}}
    artifact.write_manifest(folder, **identity, config={}, facts={})
    return folder


def test_scores_are_an_artifact_found_again_and_tied_to_the_rows(
    checkpoint: Path, samples: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_bytes((samples / "benchmarks" / "arithmetic.jsonl").read_bytes())
    config = Evaluate((Benchmark("arithmetic", str(rows), limit=6, max_new_tokens=4, chat=True),))
    out = evaluate(checkpoint, config=config)
    manifest = read_manifest(out)
    assert manifest["facts"]["rows_in"] == manifest["facts"]["rows_out"] == 6
    assert {f["path"] for f in manifest["files"]} >= {"scores.json", "scores.png", "report.md", "data/00000.parquet"}
    assert manifest["facts"]["scores"].keys() == {"arithmetic"}
    assert evaluate(checkpoint, config=config) == out
    rows.write_text(rows.read_text() + '{"question": "1 + 1 = ?", "answer": "2"}\n')
    assert evaluate.prepare(checkpoint, config=config).fingerprint != manifest["fingerprint"], (
        "other rows, other scores"
    )


def test_a_broken_benchmark_row_ends_the_task_and_names_the_line(checkpoint: Path, tmp_path: Path) -> None:
    rows = tmp_path / "broken.jsonl"
    rows.write_text('{"question": "1 + 1 = ?", "answer": "2"}\n{"question": "1 + 2 = ?"}\n')
    with pytest.raises(ValueError, match=r"broken.jsonl:2 is no row of this benchmark: field 'answer'"):
        evaluate(checkpoint, config=Evaluate((Benchmark("arithmetic", str(rows)),)))
