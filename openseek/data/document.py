"""The Arrow schemas of documents, dropped rows and quarantined records, and what one shard's pass returns."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import xxhash

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("lang", pa.string()),
        ("script", pa.string()),
        ("licence", pa.string()),
        ("date", pa.string()),
        ("meta", pa.string()),
    ]
)
DROPPED = pa.schema(
    [
        ("id", pa.string()),
        ("task", pa.string()),
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("detail", pa.string()),
        ("partner", pa.string()),
        ("start", pa.int64()),
        ("stop", pa.int64()),
        ("first", pa.bool_()),
        ("shard", pa.int32()),
        ("row", pa.int64()),
    ]
)
QUARANTINE = pa.schema(
    [("path", pa.string()), ("position", pa.int64()), ("error", pa.string()), ("bytes", pa.binary())]
)
QUARANTINE_BYTES = 4096
ID_BYTES = 32
_DROPPED_DEFAULTS = {"value": None, "limit": None, "detail": "", "partner": None, "start": None, "stop": None}


@dataclasses.dataclass(frozen=True)
class ShardOutput:
    """A piece of what a shard becomes; over all pieces rows_in == kept rows + first drops + quarantined rows."""

    kept: pa.Table
    """Documents that stay: DOCUMENT columns, then score columns."""
    rows_in: int
    """Documents read."""
    dropped: pa.Table = dataclasses.field(default_factory=DROPPED.empty_table)
    """One row a broken rule (DROPPED); exactly one `first` a document. `shard` is filled in by map_shards."""
    quarantine: pa.Table = dataclasses.field(default_factory=QUARANTINE.empty_table)
    """Records that could not be read (QUARANTINE)."""
    facts: dict[str, int | float] = dataclasses.field(default_factory=dict)
    """Further counts, summed over the shards."""
    statistics: pa.Table | None = None
    """What a filter's rules read of the documents read, one row each."""


def document_id(source: str, relative_path: str, position: int | str) -> str:
    """32 hex: xxh3_128 of source name, NUL, path relative to the source root, NUL, position."""
    return xxhash.xxh3_128_hexdigest(f"{source}\0{relative_path}\0{position}".encode())


def synthetic_id(parent: str, recipe: str, index: int) -> str:
    """Id of a generated document: xxh3_128 of its parent's id, recipe and index."""
    return xxhash.xxh3_128_hexdigest(f"{parent}\0{recipe}\0{index}".encode())


def dropped_table(rows: Iterable[dict]) -> pa.Table:
    """A DROPPED table from dicts that hold at least id, task, rule, first and row; `shard` defaults to 0."""
    complete = [{**_DROPPED_DEFAULTS, "shard": 0, **row} for row in rows]
    return pa.Table.from_pylist(complete, schema=DROPPED)


def dropped_rows(
    task: str,
    rule: str,
    ids: pa.Array | pa.ChunkedArray,
    rows: np.ndarray,
    partners: np.ndarray,
    values: np.ndarray | None = None,
    limit: float | None = None,
) -> pa.Table:
    """A DROPPED table of documents that one rule drops for a partner: ids and partners (bytes, S32) by row [N]."""
    count = len(rows)
    filled = {
        "id": ids,
        "task": pa.repeat(task, count),
        "rule": pa.repeat(rule, count),
        "value": pa.nulls(count, pa.float64()) if values is None else pa.array(values, pa.float64()),
        "limit": pa.nulls(count, pa.float64()) if limit is None else pa.repeat(float(limit), count),
        "detail": pa.repeat("", count),
        "partner": pa.array(partners.tolist(), pa.binary()).cast(pa.string()),
        "start": pa.nulls(count, pa.int64()),
        "stop": pa.nulls(count, pa.int64()),
        "first": pa.repeat(True, count),
        "shard": np.zeros(count, np.int32),
        "row": np.asarray(rows, np.int64),
    }
    return pa.table(filled, schema=DROPPED)


def binary_ids(table: pa.Table) -> np.ndarray:
    """The id column as bytes S32 [N]; ValueError names an id that is longer than 32 characters."""
    names = table["id"].to_pylist()
    if longer := [name for name in names if len(name.encode()) > ID_BYTES]:
        raise ValueError(f"document id {longer[0]!r} has more than {ID_BYTES} bytes: ids are 32 hexadecimal digits")
    return np.array([name.encode() for name in names], f"S{ID_BYTES}")


def quarantine_table(rows: Iterable[tuple[str, int, str, bytes]]) -> pa.Table:
    """A QUARANTINE table from (path, position, error, record bytes); bytes beyond the first 4 KiB are cut."""
    items = [{"path": p, "position": n, "error": e, "bytes": b[:QUARANTINE_BYTES]} for p, n, e, b in rows]
    return pa.Table.from_pylist(items, schema=QUARANTINE)


def count_first(dropped: pa.Table) -> dict[str, int]:
    """Documents dropped, by the rule that each broke first."""
    first = dropped.filter(dropped["first"])
    counts = first["rule"].value_counts().to_pylist()
    return {str(item["values"]): int(item["counts"]) for item in sorted(counts, key=lambda c: str(c["values"]))}


def split_rows(table: pa.Table, drop: Sequence[bool] | np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """The rows of `table` to keep, and the row numbers of those to drop."""
    mask = np.asarray(drop, dtype=bool)
    return table.filter(pa.array(~mask)), np.flatnonzero(mask)
