"""tokenize: documents (and synthetic ones) -> one tokenizer, token shards by source, some documents held out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts, raw_files, rename_into_place, write_json
from openseek.data.tokenizer import HELDOUT_SEED, SAMPLE_SEED, Tokenize
from tasks.shards import input_shards, map_files, write_table
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.token_shards import TokenShardWriter

HELDOUT = "heldout"
BATCH_ROWS = 256
COUNTS = ".counts"
PARENT_RULE = "parent_held_out"


@dataclass(frozen=True)
class Part:
    """A shard of documents and its number in the names of token shards."""

    shard: Path
    number: int
    synthetic: bool


@task
def tokenize(out: Path, documents: Path, synthetic: Path | None = None, config: Tokenize = Tokenize()) -> Facts:
    """Train a BPE tokenizer (or take a given one) and write Megatron token shards by source."""
    from openseek.data.token_shards import dtype_for
    from openseek.data.tokenizer import END_OF_DOCUMENT, load, vocabulary_size

    real, made = input_shards(documents), input_shards(synthetic) if synthetic else []
    parts = [Part(shard, number, number >= len(real)) for number, shard in enumerate([*real, *made])]
    _make_tokenizer(out / "tokenizer.json", parts, config)
    tokenizer = load(out / "tokenizer.json")
    vocab_size, eod = vocabulary_size(tokenizer), tokenizer.token_to_id(END_OF_DOCUMENT)
    for folder in ("data", "dropped"):
        (out / folder).mkdir(exist_ok=True)
    results = map_files(
        out, COUNTS, parts, partial(_encode, out=out, fraction=config.heldout_fraction), suffix=".npy", title="tokenize"
    )
    sources: dict[str, Any] = {}
    heldout: dict[str, Any] = {"prefixes": [], "documents": 0, "tokens": 0}
    for result in results:
        for name, written in result["written"].items():
            entry = (
                heldout if name == HELDOUT else sources.setdefault(name, {"prefixes": [], "documents": 0, "tokens": 0})
            )
            entry["prefixes"].append(written["prefix"])
            entry["documents"] += written["documents"]
            entry["tokens"] += written["tokens"]
    summary = {
        "vocab_size": vocab_size,
        "eod": eod,
        "dtype": dtype_for(vocab_size).name,
        "sources": dict(sorted(sources.items())),
        "heldout": heldout,
        "unigram_entropy_nats": _entropy(out, len(parts)),
    }
    write_json(out / "tokens.json", summary)
    rows = sum(result["rows"] for result in results)
    written = [*sources.values(), heldout]
    return {
        "rows_in": rows,
        "rows_out": sum(entry["documents"] for entry in written),
        "dropped": {PARENT_RULE: orphans} if (orphans := sum(result["dropped"] for result in results)) else {},
        "tokens": sum(entry["tokens"] for entry in sources.values()),
        "heldout_tokens": heldout["tokens"],
        "heldout_documents": heldout["documents"],
        "bytes_per_token": round(sum(r["bytes"] for r in results) / max(1, sum(e["tokens"] for e in written)), 4),
        "vocab_size": vocab_size,
        "unigram_entropy_nats": summary["unigram_entropy_nats"],
    }


def _make_tokenizer(path: Path, parts: list[Part], config: Tokenize) -> None:
    """Write tokenizer.json: the given one, or one trained on a sample of the documents that are not held out."""
    from openseek.data.tokenizer import load, train

    if path.exists():
        return
    if config.tokenizer:
        given = raw_files(config.tokenizer)[1]
        if len(given) != 1:
            raise ValueError(
                f"tokenize.tokenizer {config.tokenizer!r} matches {len(given)} files: give one tokenizer.json"
            )
        tokenizer = load(given[0])
    else:
        if not sum(_rows(part.shard) for part in parts):
            raise ValueError("tokenize: there are no documents to train a tokenizer on: look at the tasks before it")
        print("tokenize: training the tokenizer", flush=True)
        tokenizer = train(_sample(parts, config), config)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    tokenizer.save(str(temporary))
    rename_into_place(temporary, path)


def _sample(parts: list[Part], config: Tokenize) -> Iterator[str]:
    """About `sample_bytes` of text, of documents chosen by their ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.data.tokenizer import chosen

    fraction = config.sample_bytes / max(1, sum(_text_bytes(part.shard) for part in parts))
    for part in parts:
        with pq.ParquetFile(part.shard) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["id", "text"]):
                ids = batch["id"].to_pylist()
                held = chosen(ids, 0.0 if part.synthetic else config.heldout_fraction, HELDOUT_SEED)
                take = chosen(ids, fraction, SAMPLE_SEED) & ~held
                yield from batch["text"].filter(pa.array(take)).to_pylist()


def _rows(shard: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(shard).num_rows


def _text_bytes(shard: Path) -> int:
    """Bytes of the text column before compression, from the file's metadata."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(shard)
    column = metadata.schema.to_arrow_schema().get_field_index("text")
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(group).column(column).total_uncompressed_size for group in groups)


def _encode(part: Part, target: Path, *, out: Path, fraction: float) -> dict[str, Any]:
    """Write the token shards of one shard of documents, and to `target` how often each token stands in them.

    The counts [2, vocabulary] are those of training and of held-out tokens. Synthetic documents are never held out, and
    those made from a held-out document are dropped, or training would see what it is measured on.
    """
    import numpy as np
    import pyarrow.parquet as pq

    from openseek.data.token_shards import dtype_for
    from openseek.data.tokenizer import END_OF_DOCUMENT, chosen, encode, load, vocabulary_size

    # Processes share the cores already; the library's own threads would fight over them.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = load(out / "tokenizer.json")
    size, eod = vocabulary_size(tokenizer), tokenizer.token_to_id(END_OF_DOCUMENT)
    counts = np.zeros((2, size), np.int64)
    rows, text_bytes, dropped = 0, 0, []
    with _Writers(out, part.number, dtype_for(size)) as writers, pq.ParquetFile(part.shard) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=["id", "text", "source", "meta"]):
            ids, texts = batch["id"].to_pylist(), batch["text"].to_pylist()
            parents = _parents(batch["meta"].to_pylist()) if part.synthetic else ids
            # A synthetic document without a parent has nothing to give away.
            held = chosen(parents, fraction, HELDOUT_SEED) & np.array([p != "" for p in parents], bool)
            encoded = encode(tokenizer, ["" if part.synthetic and h else t for h, t in zip(held, texts, strict=True)])
            for i, source in enumerate(batch["source"].to_pylist()):
                if part.synthetic and held[i]:
                    dropped.append({"id": ids[i], "partner": parents[i], "row": rows + i})
                    continue
                tokens = np.array([*encoded[i], eod])
                writers.of(HELDOUT if held[i] else _checked(source)).add_document(tokens)
                counts[int(held[i])] += np.bincount(tokens, minlength=size)
                text_bytes += len(texts[i].encode())
            rows += batch.num_rows
    _write_dropped(out, part.number, dropped)
    np.save(target, counts)
    return {"rows": rows, "bytes": text_bytes, "written": writers.written, "dropped": len(dropped)}


def _parents(metas: list[str | None]) -> list[str]:
    """Ids of the documents that synthetic ones were made from; "" where the meta names none."""
    return [str(json.loads(meta or "{}").get("parent", "")) for meta in metas]


def _write_dropped(out: Path, number: int, rows: list[dict[str, Any]]) -> None:
    from openseek.data.document import dropped_table

    every = {"task": "tokenize", "rule": PARENT_RULE, "first": True, "shard": number}
    write_table(dropped_table({**every, **row} for row in rows), out / "dropped" / f"{number:05d}.parquet")


def _checked(source: str) -> str:
    if source == HELDOUT or not source or "/" in source or source.startswith("."):
        raise ValueError(f"the source name {source!r} cannot name a token shard: rename it in the recipe's ingest")
    return source


class _Writers:
    """One writer for each source met in a shard; all files appear when the shard is through."""

    def __init__(self, out: Path, number: int, dtype: Any) -> None:
        self._out, self._number, self._dtype = out, number, dtype
        self._open: dict[str, TokenShardWriter] = {}
        self.written: dict[str, dict[str, Any]] = {}

    def of(self, source: str) -> TokenShardWriter:
        from openseek.data.token_shards import TokenShardWriter

        if source not in self._open:
            self._open[source] = TokenShardWriter(self._out / self._prefix(source), self._dtype)
        return self._open[source]

    def _prefix(self, source: str) -> str:
        return f"data/{source}-{self._number:05d}"

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *error: Any) -> None:
        for source, writer in sorted(self._open.items()):
            writer.__exit__(*error)
            counts = {"documents": writer.documents, "tokens": writer.tokens}
            self.written[source] = {"prefix": self._prefix(source), **counts}


def _entropy(out: Path, count: int) -> float | None:
    import numpy as np

    from openseek.data.tokenizer import unigram_entropy

    if not count:
        return None
    totals = np.sum([np.load(out / COUNTS / f"{i:05d}.npy") for i in range(count)], axis=0)
    return unigram_entropy(totals[0], totals[1])
