"""A raw file to a shard of documents: reads it, identifies languages, accounts for every record."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from openseek.data.document import DOCUMENT, ShardOutput, document_id, dropped_table, quarantine_table
from openseek.data.scorers.language import identify
from openseek.data.sources import READERS, Ingest, Source
from openseek.data.sources.content import fetch
from openseek.data.sources.record import Bad, Bomb, BrokenStream, Item, Limits, Row, Rows, Skipped
from openseek.data.sources.suppression import held, load
from openseek.raw_files import RawFile

# A piece is given on when either is reached.
PIECE_ROWS = 4096
PIECE_BYTES = 16 << 20


class _Piece:
    """Items of a file until they are given on together."""

    def __init__(self, first_row: int) -> None:
        self.first_row = first_row
        self.skipped: list[tuple[int, Skipped]] = []
        self.bad: list[Bad] = []
        self.count = self.size = 0
        self._parts: list[Rows] = []
        self._single: list[Row] = []

    def add(self, item: Item) -> None:
        """Take the next item of the file."""
        if isinstance(item, Rows):
            self._gather()
            self._parts.append(item)
            self.size += item.text.nbytes
            self.count += len(item)
            return
        if isinstance(item, Row):
            self._single.append(item)
            self.size += len(item.text)
        elif isinstance(item, Skipped):
            self.skipped.append((self.first_row + self.count, item))
        else:
            self.bad.append(item)
        self.count += 1

    def _gather(self) -> None:
        if self._single:
            self._parts.append(Rows.of(self._single))
            self._single = []

    def rows(self) -> Rows:
        """The documents, in order."""
        self._gather()
        return Rows.join(self._parts)

    @property
    def full(self) -> bool:
        """Whether it is time to give the piece on."""
        return self.count >= PIECE_ROWS or self.size >= PIECE_BYTES


def read_files(files: tuple[Source, Sequence[RawFile]], config: Ingest) -> Iterator[ShardOutput]:
    """Some raw files of a source, one after the other, as one shard."""
    source, paths = files
    row = 0
    for path in paths:
        for output in read_file((source, path), config, first_row=row):
            row += output.rows_in
            yield output


def read_file(
    file: tuple[Source, RawFile], config: Ingest, task: str = "ingest", first_row: int = 0
) -> Iterator[ShardOutput]:
    """One raw file in pieces, its rows counted from `first_row`. ValueError when the file as a whole cannot be used."""
    source, path = file
    piece = _Piece(first_row)
    sound, missing, error, unread = False, 0, "", path.bytes_to_read
    for item in _items(path, source, config):
        piece.add(item)
        if isinstance(item, Bad) and item.missing_column:
            missing, error = missing + 1, item.error
        else:
            sound = sound or not isinstance(item, Skipped)
        if piece.full:
            yield _output(piece, source, path, task, unread)
            unread = 0
            piece = _Piece(piece.first_row + piece.count)
    # Of a split file the first part speaks for all: whether a later one holds a good record, one part cannot tell.
    if missing and not sound and not (path.span and path.span[0]):
        raise ValueError(f"{path}: {error} in all {missing} records: set the *_column fields of {source.name!r}")
    yield _output(piece, source, path, task, unread)


def _output(piece: _Piece, source: Source, path: RawFile, task: str, bytes_in: int) -> ShardOutput:
    rows = piece.rows()
    kept = pa.Table.from_batches([_batch(rows, source, path.relative)], DOCUMENT)
    dropped = dropped_table(
        _drop(item, document_id(source.name, path.relative, item.position), task, row) for row, item in piece.skipped
    )
    quarantine = quarantine_table((path.relative, b.position, b.error, b.head) for b in piece.bad)
    facts: dict[str, int | float] = {
        "bytes_in": bytes_in,
        "characters": pc.call_function("sum", [pc.call_function("utf8_length", [rows.text])]).as_py() or 0,
    }
    return ShardOutput(kept, piece.count, dropped, quarantine, facts)


def _items(path: RawFile, source: Source, config: Ingest) -> Iterator[Item]:
    """What becomes of the file's records: read, then held against the suppression list, then fetched."""
    items = _read(path, source, config)
    if config.suppression:
        items = held(items, load(config.suppression), source.name, path.relative)
    return fetch(items, source) if source.content.column else items


def _read(path: RawFile, source: Source, config: Ingest) -> Iterator[Item]:
    """The reader's items; a break in the file ends them as the config says."""
    resync = config.on_truncated == "quarantine"
    cost = (config.page_seconds, config.page_memory_bytes)
    limits = Limits(config.max_record_bytes, config.max_expansion, resync, *cost)
    try:
        yield from READERS[source.format_of(path)](path, source, limits)
    except BrokenStream as broken:
        if config.on_truncated == "fail" and not isinstance(broken, Bomb):
            raise ValueError(
                f"{path} is not whole: {broken.reason}, at position {broken.position}. Fetch the file again and rerun, "
                f"or set on_truncated=quarantine to keep the sound records"
            ) from broken
        yield Bad(broken.position, broken.reason, broken.head)


def _drop(item: Skipped, identity: str, task: str, row: int) -> dict[str, Any]:
    told = {"rule": item.rule, "value": item.value, "limit": item.limit, "detail": item.detail}
    return {"id": identity, "task": task, "first": True, "row": row, **told}


def _batch(rows: Rows, source: Source, relative: str) -> pa.RecordBatch:
    """Rows as DOCUMENT; a language that the source does not fix is identified from the text."""
    count = len(rows)
    found = identify(rows.text, rows.lang or None)
    prefix, digest = f"{source.name}\0{relative}\0", xxhash.xxh3_128_hexdigest
    columns = {
        "id": [digest(f"{prefix}{position}".encode()) for position in rows.positions],
        "text": rows.text,
        "source": pa.repeat(source.name, count),
        "url": rows.url or pa.repeat("", count),
        "lang": found.langs,
        "script": found.scripts,
        "licence": [licence or source.licence for licence in rows.licence] or pa.repeat(source.licence, count),
        "date": rows.date or pa.repeat("", count),
        "meta": rows.meta or pa.repeat("{}", count),
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT)
