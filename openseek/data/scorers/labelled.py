"""Labelled documents for the quality model: a fixed sample of the sources on either side, split by document id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openseek.data.scorers import Classify

COLUMNS = ["id", "text", "lang", "script", "source"]


def sample(shards: Sequence[Path], config: Classify) -> pa.Table:
    """At most max_documents_per_class documents of either side, with a column `label`, sorted by id.

    Ids are hashes, so those with the least ids are a random sample, the same for any number of shards. ValueError when
    a side has too few.
    """
    chosen: set[str] = set()
    for side, sources in (("positive", config.positive_sources), ("negative", config.negative_sources)):
        ids: list[str] = []
        for shard in shards:
            table = pq.read_table(shard, columns=["id", "source"])
            ids += table.filter(pc.is_in(table["source"], pa.array(sources, pa.string())))["id"].to_pylist()  # type: ignore[attr-defined]
        if len(ids) < config.min_documents_per_class:
            raise ValueError(
                f"classify: {len(ids)} documents of Classify.{side}_sources ({', '.join(sources)}), fewer than "
                f"min_documents_per_class {config.min_documents_per_class}: name sources that the input holds"
            )
        chosen.update(sorted(ids)[: config.max_documents_per_class])
    wanted = pa.array(sorted(chosen), pa.string())
    parts = []
    for shard in shards:
        table = pq.read_table(shard, columns=COLUMNS)
        parts.append(table.filter(pc.is_in(table["id"], wanted)))  # type: ignore[attr-defined]
    table = pa.concat_tables(parts).sort_by("id").combine_chunks()
    return table.append_column("label", pc.is_in(table["source"], pa.array(config.positive_sources)))  # type: ignore[attr-defined]


def held_out(ids: Sequence[str], fraction: float) -> np.ndarray:
    """Documents that do not train, bool [rows]; by digits of the id other than those that `sample` goes by."""
    return np.array([int(identity[-8:], 16) < fraction * 2**32 for identity in ids], bool)
