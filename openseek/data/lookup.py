"""A few documents out of many shards, by row or by id: only row groups that hold one are read whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Clean = Callable[[pa.RecordBatch], pa.RecordBatch]


def read_rows(shard: Path, rows: Sequence[int], clean: Clean | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The documents in some rows (ascending) of a shard, rewritten by `clean`."""
    with pq.ParquetFile(shard) as file:
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            here = [row for row in rows if first <= row < first + count]
            if here:
                taken = file.read_row_group(group).take(pa.array([row - first for row in here])).combine_chunks()
                batch = taken.to_batches()[0]
                yield from zip(here, (clean(batch) if clean else batch).to_pylist(), strict=True)
            first += count


def find_in_shard(shard: Path, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The documents of a shard that have one of the ids, by id."""
    if not ids:
        return {}
    column = pq.read_table(shard, columns=["id"])["id"]
    wanted = pc.SetLookupOptions(pa.array(sorted(ids), pa.string()))
    rows = np.flatnonzero(pc.call_function("is_in", [column], wanted).to_numpy())
    return {document["id"]: document for _, document in read_rows(shard, rows.tolist())}


def find_documents(shards: Iterable[Path], ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The documents that have one of the ids, by id; shards are read until all are found."""
    found: dict[str, dict[str, Any]] = {}
    for shard in shards:
        if len(found) == len(set(ids)):
            break
        found |= find_in_shard(shard, [name for name in ids if name not in found])
    return found
