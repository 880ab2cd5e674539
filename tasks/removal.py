"""The last pass of deduplication: shards without the documents that go, each with the one that stays in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.shards import read_batches

if TYPE_CHECKING:
    import numpy as np

    from openseek.data.document import ShardOutput


@dataclass(frozen=True)
class Leaving:
    """The rows [N] of one shard that go, in order, with the ids S32 [N] of the documents that stay in their place."""

    shard: Path
    rows: np.ndarray
    partners: np.ndarray
    values: np.ndarray | None = None


def without(leaving: Leaving, *, task: str, rule: str, limit: float | None) -> Iterator[ShardOutput]:
    """A shard without the rows that go, and the record of each of them."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.document import ShardOutput, dropped_rows

    first = 0
    for batch in read_batches(leaving.shard):
        part = slice(*np.searchsorted(leaving.rows, (first, first + batch.num_rows)).tolist())
        rows = leaving.rows[part]
        stays = np.ones(batch.num_rows, bool)
        stays[rows - first] = False
        ids = batch.column("id").take(pa.array(rows - first))
        values = None if leaving.values is None else leaving.values[part]
        dropped = dropped_rows(task, rule, ids, rows, leaving.partners[part], values, limit)
        kept = pa.Table.from_batches([batch]).filter(pa.array(stays))
        yield ShardOutput(kept=kept, rows_in=batch.num_rows, dropped=dropped)
        first += batch.num_rows
