"""A small mixture of real text, written byte by byte so that no code under test makes its own input."""

import gzip
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from openseek.model.config import ModelConfig
from openseek.model.hf import save_checkpoint
from openseek.model.transformer import Transformer


def write_shard(prefix: Path, documents: Sequence[Sequence[int]]) -> None:
    """Megatron .bin/.idx of uint16 documents."""
    lengths = np.array([len(document) for document in documents], np.int64)
    offsets = (np.cumsum(lengths) - lengths) * 2
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(prefix.name + ".bin").write_bytes(np.concatenate([[], *documents]).astype("<u2").tobytes())
    header = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, len(documents), len(documents) + 1)
    body = lengths.astype("<i4").tobytes() + offsets.astype("<i8").tobytes()
    body += np.arange(len(documents) + 1, dtype="<i8").tobytes()
    prefix.with_name(prefix.name + ".idx").write_bytes(header + body)


def write_mixture(root: Path, sources: dict[str, list[list[list[int]]]], heldout: list[list[int]], vocab: int) -> Path:
    """Artifacts tokenize-1 and mix-1 below `root`, as tokenize and mix leave them; the path of mix-1."""
    tokens = root / "tokenize-1"
    counts = np.ones(vocab)
    entries, total = [], sum(len(d) for shards in sources.values() for shard in shards for d in shard)
    for name, shards in sources.items():
        size = sum(len(document) for shard in shards for document in shard)
        prefixes = [f"data/{name}-{number:05d}" for number in range(len(shards))]
        for prefix, shard in zip(prefixes, shards, strict=True):
            write_shard(tokens / prefix, shard)
            counts += np.bincount(np.concatenate(shard), minlength=vocab)
        entries.append({"source": name, "prefixes": prefixes, "weight": size / total, "tokens": size, "epochs": 1.0})
    write_shard(tokens / "data/heldout-00000", heldout)
    flat = np.concatenate(heldout)
    content = {
        "tokens": "../tokenize-1",
        "entries": entries,
        "heldout": {"prefixes": ["data/heldout-00000"], "documents": len(heldout), "tokens": len(flat)},
        "unigram_entropy_nats": float(-np.log(counts / counts.sum())[flat].mean()),
        "vocab_size": vocab,
        "eod": 0,
    }
    mixture = root / "mix-1"
    mixture.mkdir()
    (mixture / "mixture.json").write_text(json.dumps(content))
    return mixture


@pytest.fixture
def shards(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes each given list of documents as a token shard; their prefixes."""

    def write(*parts: Sequence[Sequence[int]], folder: str = "shards") -> list[Path]:
        prefixes = [tmp_path / folder / f"part.{number}" for number in range(len(parts))]
        for prefix, documents in zip(prefixes, parts, strict=True):
            write_shard(prefix, documents)
        return prefixes

    return write


@pytest.fixture
def make_mixture(tmp_path: Path) -> Callable[[], Path]:
    """Makes a mixture of random tokens: source a in two shards of 20 documents, source b in one."""

    def make() -> Path:
        generator = np.random.default_rng(0)

        def documents(count: int) -> list[list[int]]:
            return [[*generator.integers(1, 60, generator.integers(1, 30)).tolist(), 0] for _ in range(count)]

        sources = {"a": [documents(20), documents(20)], "b": [documents(15)]}
        mixture = write_mixture(tmp_path, sources, documents(12), 60)
        (tmp_path / "tokenize-1" / "tokenizer.json").write_text("{}")
        return mixture

    return make


@pytest.fixture(scope="session")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of long documents, each of which counts upwards by a step of its own, as a tiny model soon can."""
    generator = np.random.default_rng(0)

    def document() -> list[int]:
        start, step = generator.integers(0, 59), generator.integers(1, 4)
        return [*((start + step * np.arange(400)) % 59 + 1).tolist(), 0]

    root = tmp_path_factory.mktemp("counting")
    sources = {"counting": [[document() for _ in range(60)]]}
    mixture = write_mixture(root, sources, [document() for _ in range(12)], 60)
    (root / "tokenize-1" / "tokenizer.json").write_text("{}")
    return mixture


def write_documents(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """An artifact of documents, one shard: each row gives text, source and meta (a dict)."""
    table = pa.Table.from_pylist([{**r, "id": f"{i:032x}", "meta": json.dumps(r["meta"])} for i, r in enumerate(rows)])
    (folder / "data").mkdir(parents=True)
    pq.write_table(table, folder / "data" / "00000.parquet")
    return folder


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file, gzipped or not."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


@dataclass(frozen=True)
class Arithmetic:
    """What post-training starts from: a checkpoint with random weights, chat rows and problems."""

    checkpoint: Path
    chats: Path
    problems: Path


@pytest.fixture(scope="session")
def arithmetic(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Arithmetic:
    """The bundled arithmetic task, for a model so small that it is learned in seconds.

    Its tokenizer is trained on the task's own words, so that a conversation has few tokens.
    """
    root = tmp_path_factory.mktemp("arithmetic")
    chats = [row["messages"] for row in read_lines(samples / "sft/arithmetic.jsonl.gz")]
    problems = read_lines(samples / "rl/arithmetic.jsonl")
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split: Any = pre_tokenizers.Sequence([digits, bytes_only])
    decoder: Any = decoders.ByteLevel()
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoder
    marks = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(
        ["user\n", "assistant\n"] * 99 + [turn["content"] for m in chats for turn in m], trainer
    )
    tokenizer.save(str(root / "tokenizer.json"))
    shape = ModelConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        kv_lora_rank=32,
        qk_nope_head_dim=16,
        qk_rope_head_dim=8,
        v_head_dim=16,
        intermediate_size=128,
        moe_intermediate_size=48,
        n_routed_experts=4,
        num_nextn_predict_layers=1,
        max_position_embeddings=128,
        initializer_range=0.08,
    )
    torch.manual_seed(0)
    save_checkpoint(Transformer(shape), root / "tokenizer.json", root / "pretrain" / "checkpoint", eod=0)
    rows = [{"text": "", "source": "arithmetic", "meta": {"messages": m}} for m in chats]
    asked = [{"text": p["question"], "source": "arithmetic", "meta": {"answer": p["answer"]}} for p in problems]
    return Arithmetic(root / "pretrain", write_documents(root / "sft", rows), write_documents(root / "rl", asked))
