"""Arrow IPC, the file format (Feather 2) and the stream format (`datasets`' save_to_disk): a batch at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from openseek.data.sources.record import Bad, BrokenStream, Item, Limits
from openseek.data.sources.tables import batch_items, batch_rows, check_columns
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.sources import Source

MAGIC = b"ARROW1"
# The magic number and its padding; behind them a file is a stream.
FILE_HEAD_BYTES = 8
CONTINUATION = b"\xff\xff\xff\xff"


def read(path: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
    """The rows of an Arrow file or stream. Position: the row number, rows of damaged batches not counted."""
    with path.open() as raw:
        row = 0
        for batch in _batches(path, raw, source, limits):
            if isinstance(batch, str):
                yield Bad(row, batch)
                continue
            step = batch_rows(batch.num_rows, batch.nbytes)
            for start in range(0, batch.num_rows, step):
                yield from batch_items(batch.slice(start, step), row + start, source, limits)
            row += batch.num_rows


def _batches(path: RawFile, raw: BinaryIO, source: "Source", limits: Limits) -> "Iterator[pa.RecordBatch | str]":
    """The batches, checked; the reason instead of a damaged one, where the file says where the next one begins."""
    import pyarrow as pa

    head = raw.read(FILE_HEAD_BYTES)
    is_file = head.startswith(MAGIC)
    if not is_file and head[:4] != CONTINUATION[: len(head)]:
        raise ValueError(f"{path} is no Arrow file (it begins with {head!r}): set the format of its source")
    raw.seek(max(path.size - len(MAGIC), 0))
    whole = is_file and raw.read() == MAGIC and path.size > 2 * FILE_HEAD_BYTES
    raw.seek(0 if whole or not is_file else FILE_HEAD_BYTES)
    try:
        reader: Any = pa.ipc.open_file(raw) if whole else pa.ipc.open_stream(raw)
    except (pa.ArrowInvalid, OSError) as error:
        raise BrokenStream(0, f"the Arrow schema cannot be read ({error})", head) from error
    check_columns(path, reader.schema.names, source)
    yield from _of_file(reader, limits) if whole else _of_stream(reader)
    if is_file and not whole:
        raise BrokenStream(path.size, "the Arrow file has no footer: it is cut off")


def _of_file(reader: Any, limits: Limits) -> "Iterator[pa.RecordBatch | str]":
    import pyarrow as pa

    for index in range(reader.num_record_batches):
        try:
            yield _sound(reader.get_batch(index))
        except (pa.ArrowException, OSError, MemoryError) as error:
            reason = f"the record batch {index} is damaged ({error})"
            if not limits.resync:
                raise BrokenStream(index, reason) from error
            yield reason


def _of_stream(reader: Any) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    index = 0
    while True:
        try:
            batch = _sound(reader.read_next_batch())
        except StopIteration:
            return
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise BrokenStream(index, f"the record batch {index} is damaged or cut off ({error})") from error
        yield batch
        index += 1


def _sound(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """The batch, if its offsets point into its buffers; text that is no UTF-8 is looked for later, row by row."""
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        binary = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
        for column in batch.columns:
            (column.view(binary[column.type]) if column.type in binary else column).validate(full=True)
    return batch
