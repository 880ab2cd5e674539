"""Row ids: `shard << 32 | row` as uint64, the only name a document has inside deduplication."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def row_ids(counts: Sequence[int]) -> np.ndarray:
    """Ids [N] uint64 of all rows of shards with these row counts, in order."""
    parts = [
        (np.uint64(shard) << np.uint64(32)) + np.arange(count, dtype=np.uint64) for shard, count in enumerate(counts)
    ]
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted values [D], each once; quicker than numpy's `unique`, which fills a hash table."""
    ordered = np.sort(values, axis=None)
    changed = np.ones(len(ordered), bool)
    changed[1:] = ordered[1:] != ordered[:-1]
    return ordered[changed]


def joined(counts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Row ids [N] uint64 of rows that stand shard by shard, so many of each."""
    return (np.repeat(np.arange(len(counts), dtype=np.uint64), counts) << np.uint64(32)) | rows.astype(np.uint64)


def shard_of(ids: np.ndarray) -> np.ndarray:
    """Shard numbers int64 of row ids."""
    return (ids >> np.uint64(32)).astype(np.int64)


def row_of(ids: np.ndarray) -> np.ndarray:
    """Row numbers int64 of row ids."""
    return (ids & np.uint64(0xFFFFFFFF)).astype(np.int64)


def document_ids(shards: Sequence[Path], ids: np.ndarray) -> list[str]:
    """The documents' own ids (32 hex) for row ids, in their order; reads the id column of the shards concerned."""
    numbers, rows = shard_of(ids), row_of(ids)
    names = np.empty(len(ids), object)
    for shard in np.unique(numbers):
        column = pq.read_table(shards[shard], columns=["id"])["id"]
        chosen = numbers == shard
        names[chosen] = column.take(rows[chosen]).to_pylist()
    return names.tolist()


def gathered(parts: Sequence[np.ndarray], ids: np.ndarray) -> np.ndarray:
    """The rows, by row id, of an array that lies in one (mapped) part a shard; ids in any order, at least one."""
    numbers = shard_of(ids)
    order = np.argsort(numbers, kind="stable")
    shards = distinct(numbers)
    result: np.ndarray | None = None
    for shard, places in zip(
        shards.tolist(), np.split(order, np.searchsorted(numbers[order], shards[1:])), strict=True
    ):
        values = parts[shard][row_of(ids[places])]
        result = np.empty((len(ids), *values.shape[1:]), values.dtype) if result is None else result
        result[places] = values
    if result is None:
        raise ValueError("no row ids were given")
    return result
