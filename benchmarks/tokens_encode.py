"""Texts to token ids beside tokenizers, tiktoken and kitoken, and documents to token shards beside datatrove."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.rows import Row, cpu_name, cpu_seconds

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

COMMAND = "openseek bench tokens"
BATCH, EVERY = 1000, 2
"""Documents of a batch, and which batches are encoded by all engines."""
JUDGE = "tokenizers encode_batch"
VOCABULARY, TRAIN_EVERY = 32_000, 8
DATATROVE = """
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.tokens import DocumentTokenizer
from loguru import logger
import datatrove, os, tempfile
logger.remove()
os.environ["TOKENIZERS_PARALLELISM"] = "false"
with tempfile.TemporaryDirectory() as folder:
    steps = [
        ParquetReader(arguments["documents"], glob_pattern="*.parquet"),
        DocumentTokenizer(f"{folder}/out", local_working_dir=f"{folder}/work", shuffle_documents=False,
                          tokenizer_name_or_path=arguments["tokenizer"], eos_token="<|endoftext|>"),
    ]
    before = spent()
    LocalPipelineExecutor(steps, tasks=1, logging_dir=f"{folder}/log").run()
    seconds = spent() - before
    size = sum(os.path.getsize(f"{folder}/out/{name}") for name in os.listdir(f"{folder}/out") if name.endswith(".ds"))
print(json.dumps({"seconds": seconds, "tokens": size // 2}))
"""


def rows() -> list[Row]:
    """Encoding with two tokenizers, then the whole task."""
    from benchmarks.dedup_corpus import build

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    folder = build()
    with tempfile.TemporaryDirectory() as work:
        trained = _trained(_texts(folder), Path(work))
        found = [
            *_encoding("BPE of 32,000, GPT-2's pattern", trained, folder),
            *_end_to_end(trained, folder, Path(work)),
        ]
        return [*found, *_deepseek(folder)]


def _texts(folder: Path) -> "Iterator[pa.Array]":
    """The corpus (English and Chinese prose, code, mathematics) in batches, as Arrow columns."""
    import pyarrow.parquet as pq

    for shard in sorted((folder / "documents" / "data").glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(BATCH, columns=["text"]):
            yield batch["text"]


def _trained(texts: "Iterator[pa.Array]", work: Path) -> Path:
    """A tokenizer.json that every peer can read."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((t for some in texts for t in some[::TRAIN_EVERY].to_pylist()), trainer)
    tokenizer.save(str(work / "tokenizer.json"))
    return work / "tokenizer.json"


def _deepseek(folder: Path) -> list[Row]:
    from benchmarks.deepseek_tokenizer import Absent, fetch

    case = "DeepSeek-V3's tokenizer"
    try:
        path = fetch(folder.parent / "deepseek_v3")
    except Absent as error:
        print(f"{case}: {error}")
        return []
    return _encoding(case, path / "tokenizer.json", folder)


def _encoding(case: str, path: Path, folder: Path) -> list[Row]:
    """Million tokens a CPU second and documents with equal ids, for every engine."""
    from openseek.data.encoders import CompiledBPE, Encoded, differing
    from openseek.data.tokenizer import load

    tokenizer = load(path, ())
    CompiledBPE(tokenizer).encode(next(_texts(folder)).slice(0, 10))
    peers = _peers(tokenizer, path)
    seconds = dict.fromkeys(["ours", *peers], 0.0)
    equal, documents, tokens = dict.fromkeys(seconds, 0), 0, 0
    # A fresh engine remembers no words.
    engine = CompiledBPE(tokenizer)
    for some in islice(_texts(folder), 0, None, EVERY):
        texts = some.to_pylist()
        spent, ours = cpu_seconds(lambda some=some: engine.encode(some))
        seconds["ours"] += spent
        encoded = {"ours": ours}
        for name, (call, ids) in peers.items():
            spent, found = cpu_seconds(lambda call=call, texts=texts: call(texts))
            seconds[name] += spent
            encoded[name] = Encoded.of(ids(found))
        wanted = encoded[JUDGE]
        for name, found in encoded.items():
            equal[name] += len(some) - len(differing(found, wanted))
        documents, tokens = documents + len(some), tokens + len(wanted.ids)
    every: dict[str, Any] = {"bench": "tokens", "case": case, "device": cpu_name(), "command": COMMAND}
    measured = [
        *(("speed", tokens / seconds["ours"] / 1e6, "M tokens/CPU s", n, tokens / seconds[n] / 1e6) for n in peers),
        *(("equal ids", equal["ours"], f"of {documents} documents", n, equal[n]) for n in peers),
        ("left to tokenizers", engine.judged, f"of {documents} documents", "", None),
    ]
    return [
        Row(metric=metric, value=value, unit=unit, peer=peer, peer_value=theirs, **every)
        for metric, value, unit, peer, theirs in measured
    ]


def _peers(tokenizer: "Tokenizer", path: Path) -> dict[str, tuple[Callable[[list[str]], Any], Callable[[Any], Any]]]:
    """How each peer encodes a list of texts, and how its answer becomes lists of ids."""
    import kitoken

    from openseek.data.encoders import Tiktoken
    from openseek.data.split_patterns import NotUnderstood

    tokenizer.encode_special_tokens = True
    read = kitoken.Kitoken.from_file(str(path))
    peers: dict[str, Any] = {
        JUDGE: (
            lambda texts: tokenizer.encode_batch(texts, add_special_tokens=False),
            lambda found: [one.ids for one in found],
        ),
        "kitoken": (lambda texts: read.encode_all(texts, False), lambda found: found),
    }
    try:
        theirs = Tiktoken(tokenizer)
    except NotUnderstood as error:
        print(f"tiktoken: {error}")
        return peers
    peers["tiktoken"] = (
        lambda texts: theirs.package.encode_ordinary_batch(texts, num_threads=1),
        lambda found: [theirs.ids[ids].tolist() for ids in found],
    )
    return peers


def _end_to_end(tokenizer: Path, folder: Path, work: Path) -> list[Row]:
    """Documents in parquet -> token shards: the whole task, its checks and tables included."""
    from benchmarks.peers import peer
    from openseek.artifact import read_manifest
    from openseek.data.tokenizer import Tokenize
    from tasks.tokens import tokenize
    from tasks.where import Where, using

    config = Tokenize(tokenizer=str(tokenizer), heldout_fraction=0.0)
    with using(Where(root=work / "warm")):
        tokenize(folder / "documents", config=config)
    with using(Where(root=work / "runs")):
        began = time.monotonic()
        seconds, out = cpu_seconds(lambda: tokenize(folder / "documents", config=config))
        wall = time.monotonic() - began
    facts = read_manifest(out)["facts"]
    arguments = {"documents": str(folder / "documents" / "data"), "tokenizer": str(tokenizer)}
    theirs = peer(DATATROVE, arguments)
    every: dict[str, Any] = {"bench": "tokens", "case": "documents to token shards", "device": cpu_name()}
    every |= {"command": COMMAND, "peer": "datatrove DocumentTokenizer"}
    tokens = facts["tokens"]
    speed = theirs["tokens"] / theirs["seconds"] / 1e6 if theirs else None
    return [
        Row(metric="speed", value=tokens / seconds / 1e6, unit="M tokens/CPU s", peer_value=speed, **every),
        Row(metric="tokens", value=tokens, unit="tokens", peer_value=theirs["tokens"] if theirs else None, **every),
        Row(metric="wall time", value=wall, unit="s", **{**every, "peer": ""}),
    ]
