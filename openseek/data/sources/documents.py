"""A raw file to a shard of documents: reads it, identifies languages, accounts for every record."""

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from openseek.data.document import DOCUMENT, ShardOutput, document_id, dropped_table, quarantine_table
from openseek.data.scorers.language import identify
from openseek.data.sources import READERS, Ingest, Source
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Skipped
from openseek.raw_files import RawFile

BATCH_ROWS = 1024


def read_file(file: tuple[Source, RawFile], config: Ingest, task: str = "ingest") -> ShardOutput:
    """All of one raw file. ValueError when the file as a whole cannot be used."""
    source, path = file
    relative = path.relative
    batches: list[pa.RecordBatch] = []
    rows: list[Row] = []
    dropped: list[dict[str, Any]] = []
    bad: list[Bad] = []
    rows_in = 0
    for item in _items(path, source, config):
        if isinstance(item, Row):
            rows.append(item)
            if len(rows) == BATCH_ROWS:
                batches.append(_batch(rows, source, relative))
                rows = []
        elif isinstance(item, Skipped):
            dropped.append(_drop(item, document_id(source.name, relative, item.position), task, rows_in))
        else:
            bad.append(item)
        rows_in += 1
    batches.append(_batch(rows, source, relative))
    kept = pa.Table.from_batches(batches, DOCUMENT)
    if bad and kept.num_rows == 0 and all(b.missing_column for b in bad):
        raise ValueError(
            f"{path}: {bad[0].error} in all {len(bad)} records: set the *_column fields of {source.name!r}"
        )
    quarantine = quarantine_table((relative, b.position, b.error, b.head) for b in bad)
    characters = sum(len(text) for text in kept["text"].to_pylist())
    facts: dict[str, int | float] = {"bytes_in": path.size, "characters": characters}
    return ShardOutput(kept, rows_in, dropped_table(dropped), quarantine, facts)


def _items(path: RawFile, source: Source, config: Ingest) -> Iterator[Item]:
    """The reader's items; a break in the file ends them as the config says."""
    limits = Limits(config.max_record_bytes, config.max_expansion)
    try:
        yield from READERS[source.format_of(path)](path, source, limits)
    except BrokenStream as broken:
        if config.on_truncated == "fail":
            raise ValueError(
                f"{path} is not whole: {broken.reason}, at position {broken.position}. Fetch the file again and rerun, "
                f"or set on_truncated=quarantine to keep the records before the break"
            ) from broken
        yield Bad(broken.position, broken.reason, broken.head)


def _drop(item: Skipped, identity: str, task: str, row: int) -> dict[str, Any]:
    told = {"rule": item.rule, "value": item.value, "limit": item.limit, "detail": item.detail}
    return {"id": identity, "task": task, "first": True, "row": row, **told}


def _batch(rows: list[Row], source: Source, relative: str) -> pa.RecordBatch:
    """Rows as DOCUMENT; a language that the source does not fix is identified from the text."""
    # A lone surrogate cannot be stored; it is replaced, as a browser would.
    texts = [row.text.encode("utf-8", "replace").decode("utf-8") for row in rows]
    found = identify(texts)
    columns = {
        "id": [document_id(source.name, relative, row.position) for row in rows],
        "text": texts,
        "source": [source.name] * len(rows),
        "url": [row.url for row in rows],
        "lang": [row.lang or guess.lang for row, guess in zip(rows, found, strict=True)],
        "script": [guess.script for guess in found],
        "licence": [row.licence or source.licence for row in rows],
        "date": [row.date for row in rows],
        "meta": [_json(row.meta) for row in rows],
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT)


def _json(meta: dict[str, Any]) -> str:
    """Whatever else the source gave, as JSON; what JSON does not know is written as text."""
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
    return orjson.dumps(meta, default=_as_text, option=options).decode()


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
