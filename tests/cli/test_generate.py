"""`openseek generate`: texts from an artifact and from a bare folder, the same samples in any batch, and resumption."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from cli.__main__ import main
from openseek.data import chat
from openseek.data.tokenizer import Tokenize, train
from openseek.inference.answers import stop_ids
from openseek.model.config import ModelConfig
from openseek.model.hf import load_checkpoint, save_checkpoint
from openseek.model.transformer import Transformer

TEXTS = ["Each piece becomes a number, and each number a vector. " * 5, "语言模型把文本切成小块。" * 5]
FEW = ("--max-new-tokens", "8")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's directory with a random model and a trained tokenizer in checkpoint/."""
    directory = tmp_path_factory.mktemp("pretrain")
    tokenizer = train(TEXTS, Tokenize(vocab_size=300))
    tokenizer.save(str(directory / "tokenizer.json"))
    torch.manual_seed(0)
    model = Transformer(
        ModelConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=2,
            max_position_embeddings=64,
            initializer_range=0.3,
        )
    )
    save_checkpoint(model, directory / "tokenizer.json", directory / "checkpoint", eod=0)
    return directory


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def greedy(folder: Path, ids: list[int], count: int) -> list[int]:
    """What the model says most likely, by whole forward passes, until it stops."""
    model, tokenizer = load_checkpoint(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    new: list[int] = []
    while len(new) < count and (not new or new[-1] not in stop_ids(folder, tokenizer)):
        with torch.no_grad():
            new.append(int(model(torch.tensor([ids + new])).logits_BTV[0, -1].argmax()))
    return new


def test_texts_are_printed_from_an_artifact_and_from_its_bare_folder(artifact, capsys) -> None:
    folder = artifact / "checkpoint"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = greedy(folder, tokenizer.encode("Each number").ids, 8)
    for directory in (artifact, folder):
        words = ["generate", "--checkpoint", str(directory), "--prompt", "Each number", "--temperature", "0", *FEW]
        assert main(words) == 0
        assert capsys.readouterr().out == tokenizer.decode(expected) + "\n"
    assert main([*words, "--logprobs"]) == 0
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert line["ids"] == expected
    assert len(line["logprobs"]) == len(expected)
    assert max(line["logprobs"]) < 0


def test_a_chat_asks_for_the_assistants_turn(artifact, tmp_path) -> None:
    folder = artifact / "checkpoint"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    messages = [{"role": "user", "content": "Each?"}]
    file, out = tmp_path / "prompts.jsonl", tmp_path / "out.jsonl"
    file.write_text(json.dumps({"messages": messages}) + "\n\n" + json.dumps({"prompt": "Each?"}) + "\n")
    words = ["generate", "--checkpoint", str(artifact), "--prompts", str(file), "--temperature", "0", *FEW]
    assert main([*words, "--out", str(out)]) == 0
    assert main([*words, "--chat", "--out", str(tmp_path / "chat.jsonl")]) == 0
    asked = greedy(folder, chat.prompt_ids(tokenizer, messages), 8)
    plain = greedy(folder, tokenizer.encode("Each?").ids, 8)
    assert asked != plain
    assert {line["prompt"]: line["ids"] for line in lines(out)} == {0: asked, 1: plain}
    assert {line["prompt"]: line["ids"] for line in lines(tmp_path / "chat.jsonl")} == {0: asked, 1: asked}


def test_samples_do_not_depend_on_batches_and_an_interrupted_file_goes_on(artifact, tmp_path, capsys) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in ("Each", "a number, and each", "")))
    words = ["generate", "--checkpoint", str(artifact), "--prompts", str(file), "--samples", "3", *FEW]
    whole, pieces = tmp_path / "whole.jsonl", tmp_path / "pieces.jsonl"
    assert main([*words, "--out", str(whole), "--top-k", "20"]) == 0
    expected = {(line["prompt"], line["sample"]): line for line in lines(whole)}
    assert len(expected) == 9
    assert len({tuple(line["ids"]) for line in expected.values()}) == 9

    cut = whole.read_bytes().splitlines(keepends=True)
    pieces.write_bytes(b"".join(cut[:4]) + cut[4][:20])
    capsys.readouterr()
    assert main([*words, "--out", str(pieces), "--top-k", "20", "--batch-size", "2"]) == 0
    assert "4 of 9 samples are there" in capsys.readouterr().err
    assert {(line["prompt"], line["sample"]): line for line in lines(pieces)} == expected
    size = pieces.stat().st_size
    assert main([*words, "--out", str(pieces), "--top-k", "20"]) == 0  # nothing is left to do
    assert pieces.stat().st_size == size

    assert main([*words, "--out", str(pieces), "--top-k", "21"]) == 1
    assert "other prompts, settings" in capsys.readouterr().err
    assert pieces.stat().st_size == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no prompt: give --prompt"),
        (("--prompt", "a", "--samples", "0"), "--samples is 0"),
        (("--prompt", "a", "--top-k", "-1"), "top_k is -1"),
        (("--prompt", "number " * 80), "--prompt 1 has"),
        (("--prompts", "BAD"), "line 2 is no JSON"),
        (("--prompts", "WRONG"), "line 1: give"),
        (("--prompts", "TURN"), "role 'robot'"),
        (("--checkpoint", "EMPTY", "--prompt", "a"), "holds no model"),
        (("--prompt", "a", "--device", "cuda:9"), "no usable GPU"),
    ],
)
def test_what_cannot_be_answered_says_why(options, message, artifact, tmp_path, capsys) -> None:
    (tmp_path / "BAD").write_text('{"prompt": "a"}\n{"prompt"\n')
    (tmp_path / "WRONG").write_text('{"text": "a"}\n')
    (tmp_path / "TURN").write_text('{"messages": [{"role": "robot", "content": "a"}]}\n')
    (tmp_path / "EMPTY").mkdir()
    if "cuda:9" in options and torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    words = [str(tmp_path / word) if word in ("BAD", "WRONG", "TURN", "EMPTY") else word for word in options]
    words = words if "--checkpoint" in words else ["--checkpoint", str(artifact), *words]
    assert main(["generate", *words]) == 1
    assert message in capsys.readouterr().err


def test_stops_are_those_of_the_folder_and_our_marks(artifact, tmp_path) -> None:
    folder = artifact / "checkpoint"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    marks = {tokenizer.token_to_id(mark) for mark in (chat.END, "<|endoftext|>")}
    assert stop_ids(folder, tokenizer) == marks | {0}
    (tmp_path / "config.json").write_text('{"eos_token_id": 5}')
    assert stop_ids(tmp_path, tokenizer) == marks | {5}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 8]}')
    assert stop_ids(tmp_path, tokenizer) == marks | {7, 8}


def test_a_foreign_chat_template_is_followed(artifact, tmp_path) -> None:
    """A folder whose template is not ours is rendered by transformers."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in (artifact / "checkpoint").iterdir():
        (folder / file.name).symlink_to(file)
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    out = tmp_path / "out.jsonl"
    words = ["--checkpoint", str(folder), "--prompt", "Each?", "--chat", "--temperature", "0", "--out", str(out)]
    assert main(["generate", *words, *FEW]) == 0
    assert lines(out)[0]["ids"] == greedy(folder, tokenizer.encode("user: Each?\nassistant:").ids, 8)
