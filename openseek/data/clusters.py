"""The largest clusters of copies, told from the dropped rows alone: which document stays for how many others."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from openseek.data.words import string_buffers

MOST = 20
ROWS_AT_A_TIME = 1 << 23
"""Dropped rows whose partners are counted at a time; more are counted in several rounds."""
MOST_ROUNDS = 256


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A document that stays, and those that went for it."""

    partner: str
    documents: int
    """Documents that went."""
    members: dict[str, int] = dataclasses.field(default_factory=dict)
    """Source -> how many of them."""
    source: str = ""
    """Source of the document that stays; empty where it was not found."""
    text: str = ""
    """Its first words."""


def largest(tables: Sequence[Path], most: int = MOST, rows_at_a_time: int = ROWS_AT_A_TIME) -> dict[str, int]:
    """Partner -> documents that it stands for, the greatest `most` of them, from the tables of dropped rows.

    The counts are exact. What is held in memory are the partners of one round.
    """
    whole = sum(pq.read_metadata(table).num_rows for table in tables)
    rounds = min(MOST_ROUNDS, max(1, -(-whole // rows_at_a_time)))
    found: list[tuple[int, str]] = []
    for number in range(rounds):
        counts = pa.table({"partner": pa.array([], pa.string()), "count": pa.array([], pa.int64())})
        for table in tables:
            mine = _partners(table, number, rounds)
            if len(mine):
                ones = pa.table({"partner": mine, "count": pa.array(np.ones(len(mine), np.int64))})
                counts = _added(pa.concat_tables([counts, ones]))
        if counts.num_rows:
            edge = np.sort(counts["count"].to_numpy())[-min(most, counts.num_rows)]
            counts = counts.filter(pc.call_function("greater_equal", [counts["count"], pa.scalar(edge)]))
            rows = zip(counts["count"].to_pylist(), counts["partner"].to_pylist(), strict=True)
            found = sorted([*found, *((-count, partner) for count, partner in rows)])[:most]
    return {partner: -count for count, partner in found}


def _added(table: pa.Table) -> pa.Table:
    return table.group_by("partner").aggregate([("count", "sum")]).rename_columns(["partner", "count"])


def _partners(table: Path, number: int, rounds: int) -> pa.Array:
    """Partners of the documents of one table that are counted in this round: told by their last two bytes."""
    rows = pq.read_table(table, columns=["partner", "first"])
    names = rows.filter(rows["first"])["partner"].drop_null().combine_chunks()
    if rounds == 1 or not len(names):
        return names
    data, offsets = string_buffers(names)
    last, before = data[offsets[1:] - 1], data[np.maximum(offsets[1:] - 2, offsets[:-1])]
    chosen = (_value(last) + 16 * _value(before)) % rounds == number
    return names.filter(pa.array(chosen))


def _value(characters: np.ndarray) -> np.ndarray:
    """The value of hexadecimal digits; some number below 256 of other characters."""
    wide = characters.astype(np.int64)
    return np.where(wide > 64, wide - 87, wide - 48) % 256


def member_sources(dropped: Path, shard: Path, partners: Collection[str]) -> dict[str, dict[str, int]]:
    """Partner -> source -> documents of one shard that went for it."""
    rows = pq.read_table(dropped, columns=["partner", "first", "row"])
    wanted = pc.SetLookupOptions(pa.array(sorted(partners), pa.string()))
    mine = pc.call_function("and", [pc.call_function("is_in", [rows["partner"]], wanted), rows["first"]])
    rows = rows.filter(mine)
    if not rows.num_rows:
        return {}
    sources = pq.read_table(shard, columns=["source"])["source"].take(rows["row"]).to_pylist()
    found: dict[str, Counter[str]] = {}
    for partner, source in zip(rows["partner"].to_pylist(), sources, strict=True):
        found.setdefault(partner, Counter())[source or "unknown"] += 1
    return {partner: dict(sorted(counts.items())) for partner, counts in sorted(found.items())}


def clusters(
    counts: dict[str, int], members: Sequence[dict[str, dict[str, int]]], kept: dict[str, dict[str, str]]
) -> list[Cluster]:
    """The clusters of `largest`, with what `member_sources` tells of each shard, and the documents that stay by id."""
    found = []
    for partner, documents in counts.items():
        sources: Counter[str] = Counter()
        for shard in members:
            sources.update(shard.get(partner, {}))
        stays = kept.get(partner, {})
        ordered = dict(sorted(sources.items(), key=lambda item: (-item[1], item[0])))
        found.append(Cluster(partner, documents, ordered, stays.get("source") or "", stays.get("text") or ""))
    return found
