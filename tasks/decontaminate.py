"""decontaminate: an n-gram index of the benchmarks; documents that hold an item go, each with the item's name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.ngrams import Decontaminate, item_label, label_benchmark, read_items
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards
from tasks.task import task

if TYPE_CHECKING:
    from openseek.data.document import ShardOutput


@task
def decontaminate(out: Path, documents: Path, config: Decontaminate = Decontaminate()) -> Facts:
    """Drop documents that hold an item of a benchmark."""
    (built,) = map_files(out, ".index", [config], _index, suffix=".npy", title="decontaminate: index")
    index = out / ".index" / "00000.npy"
    drop = partial(_drop, index=index, labels=_labels(built["items"]), config=config)
    shards = input_shards(documents)
    facts = report(out, map_shards(out, shards, drop, title="decontaminate"), shards, title="decontaminate")
    return {**facts, "benchmarks": _table(out, built)}


def _index(config: Decontaminate, target: Path) -> dict[str, Any]:
    """Write the index of all benchmarks; returns how many items each has, and how many of these are too short."""
    from openseek.data.gram_index import build_index

    items = {b.name: list(read_items(b)) for b in config.benchmarks}
    index = build_index([text for texts in items.values() for text in texts], config)
    index.write(target)
    counts = {name: len(texts) for name, texts in items.items()}
    short = dict.fromkeys(counts, 0)
    for label, words in zip(_labels(counts), index.item_words.tolist(), strict=True):
        short[label_benchmark(label)] += words < config.min_words
    return {"items": counts, "short_items": short}


def _labels(counts: dict[str, int]) -> list[str]:
    return [item_label(name, number) for name, count in counts.items() for number in range(count)]


def _drop(shard: Path, *, index: Path, labels: list[str], config: Decontaminate) -> Iterator[ShardOutput]:
    import numpy as np
    import pyarrow.parquet as pq

    from openseek.data.document import ShardOutput, dropped_table, split_rows
    from openseek.data.gram_index import GramIndex, find_items

    table = pq.read_table(shard)
    hits = find_items(table["text"], GramIndex.read(index), config.min_overlap)
    drop = np.zeros(table.num_rows, bool)
    drop[hits.rows] = True
    kept, _ = split_rows(table, drop)
    ids = table["id"].take(hits.rows).to_pylist()
    records = []
    for i, (name, row, item) in enumerate(zip(ids, hits.rows.tolist(), hits.items.tolist(), strict=True)):
        records.append(
            {
                "id": name,
                "task": "decontaminate",
                "rule": "contaminated",
                "value": float(hits.overlaps[i]),
                "limit": config.min_overlap,
                "detail": labels[item],
                "start": int(hits.starts[i]),
                "stop": int(hits.stops[i]),
                "first": i == 0 or row != hits.rows[i - 1],
                "row": row,
            }
        )
    yield ShardOutput(kept=kept, rows_in=table.num_rows, dropped=dropped_table(records))


def _table(out: Path, built: dict[str, Any]) -> dict[str, dict[str, int]]:
    """For each benchmark: its items, those too short for n-grams, items found, documents that hold one."""
    import pyarrow.parquet as pq

    documents: dict[str, set[str]] = {name: set() for name in built["items"]}
    items: dict[str, set[str]] = {name: set() for name in built["items"]}
    for path in sorted((out / "dropped").glob("*.parquet")):
        records = pq.read_table(path, columns=["id", "detail"])
        for document, label in zip(records["id"].to_pylist(), records["detail"].to_pylist(), strict=True):
            documents[label_benchmark(label)].add(document)
            items[label_benchmark(label)].add(label)
    return {
        name: {
            "items": count,
            "short_items": built["short_items"][name],
            "items_hit": len(items[name]),
            "documents_hit": len(documents[name]),
        }
        for name, count in built["items"].items()
    }
