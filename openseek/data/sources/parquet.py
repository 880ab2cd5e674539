"""Parquet files, a batch of rows at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Skipped
from openseek.data.sources.rows import needed_columns, to_item
from openseek.data.sources.streams import BOMB_FLOOR_BYTES
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from openseek.data.sources import Source

MAGIC = b"PAR1"
BATCH_ROWS = 512


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The rows of a parquet file. Position: the row number."""
    with path.open() as raw:
        yield from _rows(_open(path, raw, source, limits), source, limits)


def _rows(file: "pq.ParquetFile", source: "Source", limits: Limits) -> Iterator[Item]:
    row = 0
    batches = file.iter_batches(batch_size=BATCH_ROWS)
    while True:
        try:
            batch = next(batches, None)
        except OSError as error:
            raise BrokenStream(row, f"the row group is damaged ({error})") from error
        if batch is None:
            return
        for record in _records(batch):
            yield _bounded(row, record, source, limits)
            row += 1


def _open(path: RawFile, raw: BinaryIO, source: "Source", limits: Limits) -> "pq.ParquetFile":
    """The file, once its footer, its columns and its expansion are found to be in order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = path.size
    head = raw.read(4)
    raw.seek(max(size - 4, 0))
    tail = raw.read(4)
    if head != MAGIC[: len(head)]:
        raise ValueError(f"{path} is no parquet file (it begins with {head!r}): set the format of its source")
    if size < 12 or tail != MAGIC:
        raise BrokenStream(size, "the parquet file has no footer: it is cut off", head)
    try:
        file = pq.ParquetFile(raw)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} has a damaged parquet footer ({error}): fetch the file again") from error
    columns = set(file.schema_arrow.names)
    needed = needed_columns(source)
    if not any(columns.issuperset(names) for names in needed):
        wanted = " or ".join(" + ".join(map(repr, names)) for names in needed)
        raise ValueError(
            f"{path} has no column {wanted}; it has {', '.join(sorted(columns))}: "
            f"set the *_column fields of the source {source.name!r}"
        )
    expanded = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    if expanded > max(BOMB_FLOOR_BYTES, limits.expansion * size):
        raise ValueError(
            f"{path}: {size} bytes expand to {expanded}, beyond max_expansion {limits.expansion:g}: "
            f"leave the file out, or raise max_expansion if you trust it"
        )
    return file


def _records(batch: Any) -> Iterator[Any]:
    """The rows of a batch as dicts; a row whose strings are no UTF-8 comes as the error."""
    try:
        yield from batch.to_pylist()
        return
    except UnicodeDecodeError:
        # One bad row spoils the whole batch's conversion: find it row by row.
        pass
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist()[0]
        except UnicodeDecodeError as error:
            yield error


def _bounded(row: int, record: Any, source: "Source", limits: Limits) -> Item:
    if isinstance(record, UnicodeDecodeError):
        return Bad(row, f"a column is no UTF-8 ({record.reason} at byte {record.start})", record.object)
    item = to_item(row, record, source, str(record)[:1024].encode("utf-8", "replace"))
    if isinstance(item, Row) and len(item.text.encode("utf-8", "surrogatepass")) > limits.record_bytes:
        return Skipped(row, "record_bytes", len(item.text.encode("utf-8", "surrogatepass")), limits.record_bytes)
    return item
