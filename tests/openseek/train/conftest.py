"""A small mixture of real text, written byte by byte so that no code under test makes its own input."""

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest


def write_shard(prefix: Path, documents: Sequence[Sequence[int]]) -> None:
    """Megatron .bin/.idx of uint16 documents."""
    lengths = np.array([len(document) for document in documents])
    offsets = np.cumsum([0, *lengths[:-1]]) * 2
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(prefix.name + ".bin").write_bytes(np.concatenate(documents).astype("<u2").tobytes())
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
