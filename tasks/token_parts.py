"""One part of the documents -> token shards by source, each with the table that leads back to its documents."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.data.tokenizer import CHECK_SEED, HELDOUT_SEED, Tokenize
from tasks.shards import write_table
from tasks.token_sample import Part, batches

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from tokenizers import Tokenizer

    from openseek.data.encoders import Encoded, Engine
    from openseek.data.token_shards import TokenShardWriter

HELDOUT = "heldout"
PARENT_RULE = "parent_held_out"
BATCH_ROWS = 1024
COUNTED = ("lang", "licence", "domain")
_KEPT = threading.local()


class OtherIds(Exception):
    """An engine gave a checked document other ids than the judge."""


@dataclasses.dataclass(frozen=True)
class Context:
    """What all parts have in common."""

    out: Path
    config: Tokenize
    engine: str
    vocab_size: int
    eod: int


def encode_part(part: Part, target: Path, *, context: Context) -> dict[str, Any]:
    """Write the token shards of a part, and to `target` how often each token stands in them.

    The counts [2, vocabulary] are those of training and of held-out tokens. Synthetic documents are never held out, and
    those made from a held-out document are dropped, or training would see what it is measured on.
    """
    from openseek.data.encoders import ENGINES, JUDGE

    # Processes share the cores already; the library's own threads would fight over them.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer, engine = _engine(context)
    try:
        return _write_part(part, target, context, engine, tokenizer)
    except OtherIds as error:
        print(f"tokenize: {context.engine} gives other ids for {error}: tokenizers encodes its part", flush=True)
        again = _write_part(part, target, context, ENGINES[JUDGE](tokenizer), tokenizer)
        return {**again, "encoded_again": 1, "documents_with_other_ids": [str(error)]}


def _engine(context: Context) -> tuple[Tokenizer, Engine]:
    """The tokenizer and its encoder, kept for the next part of the same artifact in this thread."""
    from openseek.data.encoders import ENGINES
    from openseek.data.tokenizer import load

    path = context.out / "tokenizer.json"
    key = (path, path.stat().st_mtime_ns, context.engine)
    if getattr(_KEPT, "key", None) != key:
        tokenizer = load(path, context.config.special_tokens)
        _KEPT.key, _KEPT.found = key, (tokenizer, ENGINES[context.engine](tokenizer))
    return _KEPT.found


def _write_part(part: Part, target: Path, context: Context, engine: Engine, tokenizer: Tokenizer) -> dict[str, Any]:
    import numpy as np

    from openseek.data.document import dropped_table
    from openseek.data.encoders import Judge
    from openseek.data.token_shards import dtype_for

    counts = np.zeros((2, context.vocab_size), np.int64)
    judge, row, dropped, checked = Judge(tokenizer), 0, [], 0
    with _Outputs(context, part, dtype_for(context.vocab_size)) as outputs:
        for batch in batches(part, _columns(part, context.config), BATCH_ROWS):
            held, kept = _held(batch, part, context.config.heldout_fraction)
            for place in np.flatnonzero(~kept).tolist():
                parent = _parents(batch)[place]
                dropped.append(
                    {"id": batch["id"][place].as_py(), "partner": parent, "row": part.first_row + row + place}
                )
            rows, some = part.first_row + row + np.flatnonzero(kept), _filtered(batch, kept)
            encoded = engine.encode(some["text"])
            checked += _check(judge, encoded, some, context.config.check_fraction)
            ids, lengths = _with_end(encoded, context.eod)
            held = held[kept]
            outputs.add(some, rows, ids, lengths, _destinations(some, held, context.config))
            in_held = np.repeat(held, lengths)
            counts[0] += np.bincount(ids[~in_held], minlength=context.vocab_size)
            counts[1] += np.bincount(ids[in_held], minlength=context.vocab_size)
            row += batch.num_rows
    every = {"task": "tokenize", "rule": PARENT_RULE, "first": True, "shard": part.number}
    write_table(dropped_table({**every, **d} for d in dropped), context.out / "dropped" / f"{part.number:05d}.parquet")
    np.save(target, counts)
    return {"rows": row, "written": outputs.written, "dropped": len(dropped), "checked": checked}


def _columns(part: Part, config: Tokenize) -> list[str]:
    """The columns that are read; ValueError names one that is not there."""
    import pyarrow.parquet as pq

    wanted = ["id", "text", "source", "lang", "licence", *(["meta"] if part.synthetic else [])]
    for field, name in (("domain_column", config.domain_column), ("quality_column", config.quality_column)):
        there = pq.read_schema(part.shard).names
        if name and name not in there and not part.synthetic:
            raise ValueError(
                f"{part.shard} has no column {name!r} (tokenize.{field}); it has {', '.join(there)}: "
                f"run the task that adds it, or name another"
            )
        wanted += [name] if name in there and name not in wanted else []
    return wanted


def _filtered(batch: pa.RecordBatch, mask: np.ndarray) -> pa.RecordBatch:
    import pyarrow as pa

    return batch if mask.all() else batch.filter(pa.array(mask))


def _parents(batch: pa.RecordBatch) -> list[str]:
    """Ids of the documents that synthetic ones were made from; "" where the meta names none."""
    return [str(json.loads(meta or "{}").get("parent", "")) for meta in batch["meta"].to_pylist()]


def _held(batch: pa.RecordBatch, part: Part, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """(held out, kept) [rows] bool."""
    import numpy as np

    from openseek.data.tokenizer import chosen

    if not part.synthetic:
        return chosen(batch["id"].to_pylist(), fraction, HELDOUT_SEED), np.ones(batch.num_rows, bool)
    parents = _parents(batch)
    # A synthetic document without a parent has nothing to give away.
    gone = chosen(parents, fraction, HELDOUT_SEED) & np.array([p != "" for p in parents], bool)
    return np.zeros(batch.num_rows, bool), ~gone


def _check(judge: Engine, encoded: Encoded, batch: pa.RecordBatch, fraction: float) -> int:
    """Encode some documents with the judge, too; how many. OtherIds names the first that differs."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.tokenizer import chosen

    ids = batch["id"].to_pylist()
    taken = np.flatnonzero(chosen(ids, fraction, CHECK_SEED))
    if not len(taken):
        return 0
    starts, ends = encoded.spans()
    theirs = judge.encode(batch["text"].take(pa.array(taken)))
    for place, start, end in zip(taken.tolist(), *theirs.spans(), strict=True):
        if not np.array_equal(encoded.ids[starts[place] : ends[place]], theirs.ids[start:end]):
            raise OtherIds(ids[place])
    return len(taken)


def _with_end(encoded: Encoded, eod: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids with the end of the document behind each text, lengths)."""
    import numpy as np

    lengths = encoded.lengths + 1
    ids = np.full(len(encoded.ids) + len(lengths), eod, np.int32)
    text = np.ones(len(ids), bool)
    text[np.cumsum(lengths) - 1] = False
    ids[text] = encoded.ids
    return ids, lengths


def _destinations(batch: pa.RecordBatch, held: np.ndarray, config: Tokenize) -> list[str]:
    """The token shard of each document: SOURCE, SOURCE@BUCKET or heldout.SOURCE."""
    import numpy as np

    sources = [checked(source, config) for source in batch["source"].to_pylist()]
    names = sources
    if config.quality_column:
        if config.quality_column in batch.schema.names:
            scores = batch[config.quality_column].to_numpy(zero_copy_only=False).astype(np.float64)
        else:
            scores = np.full(batch.num_rows, np.nan)
        buckets = np.searchsorted(np.array(config.quality_bounds), scores, side="right").tolist()
        known = np.isfinite(scores).tolist()
        names = [
            f"{s}@q{bucket}" if scored else f"{s}@unscored"
            for s, bucket, scored in zip(sources, buckets, known, strict=True)
        ]
    return [f"{HELDOUT}.{s}" if h else n for s, n, h in zip(sources, names, held.tolist(), strict=True)]


def checked(source: str, config: Tokenize) -> str:
    """A source's name; ValueError where it cannot name a token shard, or not tell it from another one."""
    reserved = source == HELDOUT or source.startswith(f"{HELDOUT}.") or (config.quality_column and "@" in source)
    if reserved or not source or "/" in source or source.startswith("."):
        raise ValueError(f"the source name {source!r} cannot name a token shard: rename it in the recipe's ingest")
    return source


class _Outputs:
    """A token shard and its table for each destination met in a part; all appear when the part is through."""

    def __init__(self, context: Context, part: Part, dtype: Any) -> None:
        self._out, self._part, self._dtype = context.out, part, dtype
        self._domain = context.config.domain_column
        self._origin = "/".join(part.shard.parts[-3:])
        self._open: dict[str, tuple[TokenShardWriter, list[pa.Table]]] = {}
        self.written: dict[str, dict[str, Any]] = {}

    def add(
        self, batch: pa.RecordBatch, rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray, names: list[str]
    ) -> None:
        """Append each document's ids to the shard of its name."""
        import numpy as np

        from openseek.data.words import string_buffers

        sizes = np.diff(string_buffers(batch["text"])[1])
        kinds = sorted(set(names))
        codes = np.array([kinds.index(name) for name in names], np.int64)
        for code, name in enumerate(kinds):
            mine = codes == code
            writer, tables = self._of(name)
            before = writer.tokens
            writer.add_documents(ids if mine.all() else ids[np.repeat(mine, lengths)], lengths[mine])
            tables.append(self._lineage(_filtered(batch, mine), rows[mine], sizes[mine], lengths[mine], before))

    def _lineage(
        self, batch: pa.RecordBatch, rows: np.ndarray, sizes: np.ndarray, lengths: np.ndarray, before: int
    ) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        from openseek.data.token_lineage import LINEAGE

        columns: dict[str, Any] = {name: batch[name] for name in ("id", "source", "lang", "licence")}
        domain = batch[self._domain].cast(pa.string()) if self._domain in batch.schema.names else [""] * batch.num_rows
        columns["domain"] = pa.array(domain, pa.string())
        columns |= {
            "bytes": sizes,
            "tokens": lengths,
            "first_token": before + np.cumsum(lengths) - lengths,
            "row": rows,
        }
        columns["shard"] = pa.array([self._origin] * batch.num_rows)
        return pa.table([columns[field.name] for field in LINEAGE], schema=LINEAGE)

    def _of(self, name: str) -> tuple[TokenShardWriter, list[pa.Table]]:
        from openseek.data.token_shards import TokenShardWriter

        if name not in self._open:
            self._open[name] = (TokenShardWriter(self._out / self._prefix(name), self._dtype), [])
        return self._open[name]

    def _prefix(self, name: str) -> str:
        return f"data/{name}-{self._part.number:05d}"

    def __enter__(self) -> _Outputs:
        return self

    def __exit__(self, kind: Any, *error: Any) -> None:
        import pyarrow as pa

        from openseek.data.token_lineage import lineage_of

        for name, (writer, tables) in sorted(self._open.items()):
            writer.__exit__(kind, *error)
            if kind is not None:
                continue
            table, prefix = pa.concat_tables(tables), self._prefix(name)
            write_table(table, lineage_of(self._out / prefix))
            self.written[name] = {"prefix": prefix, "source": table["source"][0].as_py(), **_sums(table)}


def _sums(table: pa.Table) -> dict[str, Any]:
    """Documents, tokens and bytes of a shard, and its documents and tokens by language, licence and domain."""
    import pyarrow.compute

    total: Any = pyarrow.compute
    sums: dict[str, Any] = {"documents": table.num_rows}
    sums |= {name: total.sum(table[name]).as_py() for name in ("tokens", "bytes")}
    for column in COUNTED:
        rows = table.group_by(column).aggregate([("tokens", "count"), ("tokens", "sum")]).to_pylist()
        sums[column] = {
            row[column] or "": {"documents": row["tokens_count"], "tokens": row["tokens_sum"]} for row in rows
        }
    return sums
