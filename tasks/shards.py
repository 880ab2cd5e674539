"""map_shards and map_files: the only Dask graphs of the project. A shard is done once, whoever works on it."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from openseek.artifact import Facts, rename_into_place, write_text
from tasks import where
from tasks.task import progress

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.document import ShardOutput

T = TypeVar("T")
DONE = ".shards"
FOLDERS = ("quarantine", "dropped", "data")
STATISTICS = "statistics"
COMPRESSION = "zstd"
# Columns whose values hardly repeat: looking them up in a dictionary costs a fifth of writing, and saves nothing.
DISTINCT = {"id", "text", "meta", "url", "bytes", "partner"}
# A row group is written before either is passed: its size follows from the rows alone, whoever computes them.
GROUP_ROWS = 8192
GROUP_BYTES = 32 << 20
BATCH_ROWS = 4096
MOST_REPAIRS = 16


def input_shards(directory: Path) -> list[Path]:
    """The document shards of a finished artifact, in order."""
    return sorted((directory / "data").glob("*.parquet"))


def read_batches(shard: Path, rows: int = BATCH_ROWS) -> "Iterator[pa.RecordBatch]":
    """The rows of a shard in order, never more than one row group in memory; an empty shard gives one empty batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(shard) as file:
        given = 0
        for group in range(file.num_row_groups):
            for batch in file.read_row_group(group).combine_chunks().to_batches(max_chunksize=rows):
                given += batch.num_rows
                yield batch
        if not given:
            yield pa.RecordBatch.from_pylist([], schema=file.schema_arrow)


def map_shards(
    out: Path, shards: Sequence[T], function: "Callable[[T], Iterator[ShardOutput]]", *, title: str
) -> Facts:
    """Run `function` on every shard and write out/{data,dropped,quarantine}/NNNNN.parquet; returns summed facts.

    Pieces that come with statistics fill out/statistics/NNNNN.parquet, too.

    `function` must pickle; it yields its shard in pieces, at least one, which are written as they come, so that a shard
    never is in memory as a whole. Shards done by an earlier, interrupted run are not done again. Each shard is checked:
    rows in = kept + first-dropped + quarantined.
    """
    for name in FOLDERS:
        (out / name).mkdir(parents=True, exist_ok=True)
    results = _run(out, DONE, shards, partial(_write_shard, out, function), title)
    total: Facts = {"rows_in": 0, "rows_out": 0, "dropped": {}, "quarantined": 0}
    for facts in results:
        for key, value in facts.items():
            if key == "dropped":
                for rule, count in value.items():
                    total["dropped"][rule] = total["dropped"].get(rule, 0) + count
            else:
                total[key] = total.get(key, 0) + value
    total["dropped"] = dict(sorted(total["dropped"].items()))
    return total


def map_files(
    out: Path,
    folder: str,
    shards: Sequence[T],
    function: Callable[[T, Path], dict[str, Any]],
    *,
    suffix: str,
    title: str,
) -> list[dict[str, Any]]:
    """Run `function(shard, temporary path)` on every shard; the file it writes becomes out/folder/NNNNN+suffix.

    Returns the small JSON dicts that the calls return, in shard order. A folder whose name begins with "." is scratch.
    """
    (out / folder).mkdir(parents=True, exist_ok=True)
    call = partial(_write_file, out / folder, suffix, function)
    return _run(out, f"{DONE}/{folder.strip('.')}", shards, call, title)


def forget(out: Path, damaged: Path) -> None:
    """Delete a file that map_files wrote, and its marker: the next call with that folder makes it again."""
    mark = out / DONE / damaged.parent.name.strip(".") / f"{int(damaged.stem):05d}.json"
    mark.unlink(missing_ok=True)
    damaged.unlink(missing_ok=True)


def repaired(out: Path, passes: Callable[[], T]) -> T:
    """What `passes` returns; where a pass finds a damaged file of an earlier one, that file is made again first.

    `passes` runs the passes in order; what is done is not done again.
    """
    from openseek.data.arrays import DamagedFile

    for _ in range(MOST_REPAIRS):
        try:
            return passes()
        except DamagedFile as error:
            damaged = Path(str(error))
            if not damaged.is_relative_to(out):
                raise ValueError(f"{damaged} is missing or damaged: run the task that made its folder again") from error
            print(f"{damaged} is missing or damaged: it is made again", flush=True)
            forget(out, damaged)
    return passes()


def _run(
    out: Path, done_folder: str, shards: Sequence[Any], call: Callable[[int, Any], dict], title: str
) -> list[dict[str, Any]]:
    """Each shard's facts, from its marker when an earlier run finished it, else from a call (Dask or this process)."""
    marks = out / done_folder
    marks.mkdir(parents=True, exist_ok=True)
    run = partial(_once, marks, call)
    results: dict[int, dict[str, Any]] = {}
    with progress(title, len(shards)) as advance:
        for index in range(len(shards)):
            if (found := _read_mark(marks, index)) is not None:
                results[index] = found
                advance(1)
        todo = [i for i in range(len(shards)) if i not in results]
        address = where.current().dask
        if address is None or not todo:
            for index in todo:
                results[index] = run(index, shards[index])
                advance(1)
        else:
            _fan_out(address(), run, shards, todo, results, advance)
    return [results[i] for i in range(len(shards))]


def _fan_out(
    address: str,
    run: Callable[[int, Any], dict[str, Any]],
    shards: Sequence[Any],
    todo: list[int],
    results: dict[int, dict[str, Any]],
    advance: Callable[[int], None],
) -> None:
    from distributed import Client, KilledWorker, as_completed

    with Client(address, set_as_default=False) as client:
        futures = {client.submit(run, i, shards[i], pure=False): i for i in todo}
        try:
            for future in as_completed(list(futures), loop=client.loop):
                results[futures[future]] = future.result()
                advance(1)
        except KilledWorker as error:
            raise RuntimeError(
                f"a worker died again and again on one shard ({error}); it may lack memory: "
                f"give fewer workers or smaller input files"
            ) from error
        finally:
            client.cancel(list(futures))


def _read_mark(marks: Path, index: int) -> dict[str, Any] | None:
    mark = marks / f"{index:05d}.json"
    return json.loads(mark.read_text()) if mark.exists() else None


def _once(marks: Path, call: Callable[[int, Any], dict], index: int, shard: Any) -> dict[str, Any]:
    """The marker is written after the shard's files: a shard with a marker is whole."""
    if (found := _read_mark(marks, index)) is not None:
        return found
    facts = call(index, shard)
    write_text(marks / f"{index:05d}.json", json.dumps(facts))
    return facts


def _write_shard(
    out: Path, function: "Callable[[Any], Iterator[ShardOutput]]", index: int, shard: Any
) -> dict[str, Any]:
    import pyarrow as pa

    from openseek.data.document import count_first

    rows, by_rule, facts = Counter(rows_in=0, rows_out=0, quarantined=0), Counter(), Counter()
    name, counted = f"{index:05d}.parquet", None
    with ExitStack() as stack:
        quarantine, gone, kept = (stack.enter_context(TableFile(out / f / name)) for f in FOLDERS)
        for piece in function(shard):
            numbers = pa.array([index] * piece.dropped.num_rows, pa.int32())
            dropped = piece.dropped.set_column(piece.dropped.schema.get_field_index("shard"), "shard", numbers)
            by_rule.update(count_first(dropped))
            rows.update(rows_in=piece.rows_in, rows_out=piece.kept.num_rows, quarantined=piece.quarantine.num_rows)
            facts.update(piece.facts)
            quarantine.write(piece.quarantine)
            gone.write(dropped)
            kept.write(piece.kept)
            if piece.statistics is not None:
                if counted is None:
                    (out / STATISTICS).mkdir(exist_ok=True)
                    counted = stack.enter_context(TableFile(out / STATISTICS / name))
                counted.write(piece.statistics)
        accounted = rows["rows_out"] + by_rule.total() + rows["quarantined"]
        if rows["rows_in"] != accounted:
            raise AssertionError(f"shard {shard}: {rows['rows_in']} rows in, {accounted} accounted for")
    return {**rows, "dropped": dict(sorted(by_rule.items())), **facts}


def _write_file(
    folder: Path, suffix: str, function: Callable[[Any, Path], dict[str, Any]], index: int, shard: Any
) -> dict[str, Any]:
    final = folder / f"{index:05d}{suffix}"
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp{suffix}")
    facts = function(shard, temporary)
    rename_into_place(temporary, final)
    return facts


class TableFile:
    """A zstd parquet file that grows by pieces and gets its name when its `with` block ends without an error."""

    def __init__(self, final: Path) -> None:
        self._final = final
        self._temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        self._writer: Any = None
        self._pending: list[pa.Table] = []
        self._rows = self._bytes = 0

    def __enter__(self) -> "TableFile":
        return self

    def write(self, table: "pa.Table") -> None:
        """Take rows; they are written once they fill a row group."""
        step = max(1, min(GROUP_ROWS, table.num_rows * GROUP_BYTES // max(1, table.nbytes)))
        for start in range(0, max(1, table.num_rows), step):
            part = table.slice(start, step)
            rows, size = self._rows + part.num_rows, self._bytes + part.nbytes
            if self._pending and (rows > GROUP_ROWS or size > GROUP_BYTES):
                self._flush()
            self._pending.append(part)
            self._rows, self._bytes = self._rows + part.num_rows, self._bytes + part.nbytes

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table, self._pending, self._rows, self._bytes = pa.concat_tables(self._pending), [], 0, 0
        try:
            if self._writer is None:
                few = [name for name in table.column_names if name not in DISTINCT]
                options: dict[str, Any] = {"compression": COMPRESSION, "use_dictionary": few}
                self._writer = pq.ParquetWriter(self._temporary, table.schema, **options)
            if table.num_rows:
                self._writer.write_table(table, row_group_size=table.num_rows)
        except OSError as error:
            raise self._named(error) from error

    def _named(self, error: OSError) -> OSError:
        """Arrow's error names no file; a full disk is to be found."""
        return OSError(error.errno, os.strerror(error.errno), str(self._final)) if error.errno else error

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            if kind is None and self._pending:
                self._flush()
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            raise self._named(error) from error
        finally:
            if kind is not None:
                self._temporary.unlink(missing_ok=True)
        if kind is None:
            rename_into_place(self._temporary, self._final)


def write_table(table: "pa.Table", final: Path) -> None:
    """Write a zstd parquet file, all or nothing."""
    with TableFile(final) as file:
        file.write(table)
