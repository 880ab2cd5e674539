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

# A piece is given on when either is reached.
PIECE_ROWS = 1024
PIECE_BYTES = 16 << 20


class _Piece:
    """Items of a file until they are given on together."""

    def __init__(self, first_row: int) -> None:
        self.first_row = first_row
        self.rows: list[Row] = []
        self.skipped: list[tuple[int, Skipped]] = []
        self.bad: list[Bad] = []
        self.count = self.size = 0

    def add(self, item: Item) -> None:
        """Take the next item of the file."""
        if isinstance(item, Row):
            self.rows.append(item)
            self.size += len(item.text)
        elif isinstance(item, Skipped):
            self.skipped.append((self.first_row + self.count, item))
        else:
            self.bad.append(item)
        self.count += 1

    @property
    def full(self) -> bool:
        """Whether it is time to give the piece on."""
        return self.count >= PIECE_ROWS or self.size >= PIECE_BYTES


def read_file(file: tuple[Source, RawFile], config: Ingest, task: str = "ingest") -> Iterator[ShardOutput]:
    """One raw file in pieces. ValueError when the file as a whole cannot be used."""
    source, path = file
    piece = _Piece(0)
    sound = missing = 0
    error = ""
    for item in _items(path, source, config):
        piece.add(item)
        if isinstance(item, Bad) and item.missing_column:
            missing, error = missing + 1, item.error
        else:
            sound += not isinstance(item, Skipped)
        if piece.full:
            yield _output(piece, source, path, task)
            piece = _Piece(piece.first_row + piece.count)
    if missing and not sound:
        raise ValueError(f"{path}: {error} in all {missing} records: set the *_column fields of {source.name!r}")
    yield _output(piece, source, path, task)


def _output(piece: _Piece, source: Source, path: RawFile, task: str) -> ShardOutput:
    kept = pa.Table.from_batches([_batch(piece.rows, source, path.relative)], DOCUMENT)
    dropped = dropped_table(
        _drop(item, document_id(source.name, path.relative, item.position), task, row) for row, item in piece.skipped
    )
    quarantine = quarantine_table((path.relative, b.position, b.error, b.head) for b in piece.bad)
    facts: dict[str, int | float] = {
        "bytes_in": 0 if piece.first_row else path.size,
        "characters": sum(len(row.text) for row in piece.rows),
    }
    return ShardOutput(kept, piece.count, dropped, quarantine, facts)


def _items(path: RawFile, source: Source, config: Ingest) -> Iterator[Item]:
    """What becomes of the file's records: read, then fetched, then held against the suppression list."""
    return _read(path, source, config)


def _read(path: RawFile, source: Source, config: Ingest) -> Iterator[Item]:
    """The reader's items; a break in the file ends them as the config says."""
    limits = Limits(config.max_record_bytes, config.max_expansion)
    try:
        yield from READERS[source.format_of(path)](path, source, limits)
    except BrokenStream as broken:
        if config.on_truncated == "fail":
            raise ValueError(
                f"{path} is not whole: {broken.reason}, at position {broken.position}. Fetch the file again and rerun, "
                f"or set on_truncated=quarantine to keep the sound records"
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
