"""Parquet files, a batch of rows at a time; a damaged row group costs no other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from openseek.data.sources.record import Bad, BrokenStream, Item, Limits
from openseek.data.sources.streams import BOMB_FLOOR_BYTES
from openseek.data.sources.tables import batch_items, batch_rows, check_columns
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from openseek.data.sources import Source

MAGIC = b"PAR1"
# Columns are read in pieces of this size: a row group is never in memory as a whole.
BUFFER_BYTES = 1 << 20


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The rows of a parquet file, or of the row groups of its span. Position: the row number in the whole file."""
    with path.open() as raw:
        file = _open(path, raw, source)
        groups = range(*path.span) if path.span else range(file.num_row_groups)
        row = sum(file.metadata.row_group(i).num_rows for i in range(groups.start))
        for group in groups:
            told = file.metadata.row_group(group)
            if told.total_byte_size > max(BOMB_FLOOR_BYTES, limits.expansion * path.size):
                reason = f"{path.size} bytes expand to {told.total_byte_size} in the row group {group}, beyond"
                remedy = "raise max_expansion if you trust the file"
                yield Bad(row, f"{reason} max_expansion {limits.expansion:g}: {told.num_rows} rows not read; {remedy}")
            else:
                yield from _group(file, group, row, source, limits)
            row += told.num_rows


def _group(file: "pq.ParquetFile", group: int, row: int, source: "Source", limits: Limits) -> Iterator[Item]:
    import pyarrow as pa

    told = file.metadata.row_group(group)
    batches = file.iter_batches(batch_rows(told.num_rows, told.total_byte_size), row_groups=[group])
    end = row + told.num_rows
    while True:
        try:
            batch = next(batches, None)
        except (OSError, pa.ArrowInvalid) as error:
            reason = f"the row group {group} is damaged ({' '.join(str(error).split())})"
            if not limits.resync:
                raise BrokenStream(row, reason) from error
            yield Bad(row, f"{reason}: {end - row} rows are lost")
            return
        if batch is None:
            return
        yield from batch_items(batch, row, source, limits)
        row += batch.num_rows


def _open(path: RawFile, raw: BinaryIO, source: "Source") -> "pq.ParquetFile":
    """The file, once its footer and its columns are found to be in order."""
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
        file = pq.ParquetFile(raw, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise BrokenStream(size, f"the parquet footer is damaged ({error})", head) from error
    check_columns(path, file.schema_arrow.names, source)
    return file
