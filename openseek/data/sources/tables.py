"""Batches of Arrow tables to items: texts stay Arrow, and rows that are not sound are taken out one by one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openseek.data.sources.record import Bad, Item, Limits, Row, Rows
from openseek.data.sources.rows import blank_rows, interleave, needed_columns, plain_columns, text_column, to_item
from openseek.raw_files import RawFile

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.sources import Source

# A batch is asked for with this many rows, or fewer where rows are long.
BATCH_ROWS = 4096
BATCH_BYTES = 16 << 20


def check_columns(path: RawFile, columns: list[str], source: "Source") -> None:
    """ValueError, with the columns found and the setting to change, when a table lacks what the source needs."""
    needed = needed_columns(source)
    if not any(set(names).issubset(columns) for names in needed):
        wanted = " or ".join(" + ".join(map(repr, names)) for names in needed)
        raise ValueError(
            f"{path} has no column {wanted}; it has {', '.join(sorted(columns)) or 'none'}: "
            f"set the *_column fields of the source {source.name!r}"
        )


def batch_rows(rows: int, size: int) -> int:
    """How many rows of a table of `rows` rows and `size` bytes to take at a time."""
    return max(1, min(BATCH_ROWS, BATCH_BYTES * rows // max(1, size)))


def batch_items(batch: "pa.RecordBatch", first: int, source: "Source", limits: Limits) -> Iterator[Item]:
    """The items of a batch whose first row has the number `first`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    text = _text(batch, source)
    if text is None:
        for index, record in enumerate(_records(batch)):
            yield _single(first + index, record, source, limits)
        return
    _, offsets, _ = text.buffers()
    sizes = np.diff(np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1])
    odd = (sizes > limits.record_bytes) | np.asarray(pc.call_function("is_null", [text]))
    rest = batch.drop_columns([text_column(source)])
    try:
        records = rest.to_pylist()
    except UnicodeDecodeError:
        records = list(_records(rest))
        odd |= np.array([isinstance(record, UnicodeDecodeError) for record in records])
    sound = np.flatnonzero(~odd)
    if len(sound) < len(odd):
        text = text.take(pa.array(sound))
        kept = [records[i] for i in sound.tolist()]
    else:
        kept = records
    rows = Rows((sound + first).tolist(), text, **plain_columns(kept, source))
    before = np.cumsum(~odd)
    others = (
        (int(before[i]), 0, _single(first + i, next(_records(batch.slice(i, 1))), source, limits))
        for i in np.flatnonzero(odd).tolist()
    )
    yield from interleave(rows, blank_rows(rows), others)


def _text(batch: "pa.RecordBatch", source: "Source") -> Any:
    """The text column as valid large strings (nulls included); None when rows have to be looked at one by one."""
    import pyarrow as pa

    if source.kind != "document":
        return None
    if batch.schema.names.count(text_column(source)) != 1:
        return None
    column = batch.column(text_column(source))
    kinds = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if column.type not in kinds:
        return None
    try:
        column = column.cast(pa.large_string())
        column.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return column


def _records(batch: "pa.RecordBatch") -> Iterator[Any]:
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


def _single(row: int, record: Any, source: "Source", limits: Limits) -> Item:
    if isinstance(record, UnicodeDecodeError):
        return Bad(row, f"a column is no UTF-8 ({record.reason} at byte {record.start})", record.object)
    item = to_item(row, record, source, str(record)[:1024].encode("utf-8", "replace"))
    if isinstance(item, Row) and (size := len(item.text.encode("utf-8", "surrogatepass"))) > limits.record_bytes:
        return limits.too_long(row, size, item.text[:1024].encode("utf-8", "replace"))
    return item
