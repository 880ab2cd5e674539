"""map_shards and map_files: the only Dask graphs of the project. A shard is done once, whoever works on it."""

import json
import os
from collections.abc import Callable, Sequence
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
COMPRESSION = "zstd"


def input_shards(directory: Path) -> list[Path]:
    """The document shards of a finished artifact, in order."""
    return sorted((directory / "data").glob("*.parquet"))


def map_shards(out: Path, shards: Sequence[T], function: Callable[[T], "ShardOutput"], *, title: str) -> Facts:
    """Run `function` on every shard and write out/{data,dropped,quarantine}/NNNNN.parquet; returns summed facts.

    `function` must pickle. Shards done by an earlier, interrupted run are not done again. Each shard is checked:
    rows in = kept + first-dropped + quarantined.
    """
    for name in ("data", "dropped", "quarantine"):
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


def _write_shard(out: Path, function: Callable[[Any], "ShardOutput"], index: int, shard: Any) -> dict[str, Any]:
    import pyarrow as pa

    from openseek.data.document import count_first

    result = function(shard)
    numbers = pa.array([index] * result.dropped.num_rows, pa.int32())
    dropped = result.dropped.set_column(result.dropped.schema.get_field_index("shard"), "shard", numbers)
    by_rule = count_first(dropped)
    accounted = result.kept.num_rows + sum(by_rule.values()) + result.quarantine.num_rows
    if result.rows_in != accounted:
        raise AssertionError(f"shard {shard}: {result.rows_in} rows in, {accounted} accounted for")
    write_table(result.quarantine, out / "quarantine" / f"{index:05d}.parquet")
    write_table(dropped, out / "dropped" / f"{index:05d}.parquet")
    write_table(result.kept, out / "data" / f"{index:05d}.parquet")
    rows = {"rows_in": result.rows_in, "rows_out": result.kept.num_rows}
    return {**rows, "dropped": by_rule, "quarantined": result.quarantine.num_rows, **result.facts}


def _write_file(
    folder: Path, suffix: str, function: Callable[[Any, Path], dict[str, Any]], index: int, shard: Any
) -> dict[str, Any]:
    final = folder / f"{index:05d}{suffix}"
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp{suffix}")
    facts = function(shard, temporary)
    rename_into_place(temporary, final)
    return facts


def write_table(table: "pa.Table", final: Path) -> None:
    """Write a zstd parquet file, all or nothing."""
    import pyarrow.parquet as pq

    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(table, temporary, compression=COMPRESSION)
    except OSError as error:
        if not error.errno:
            raise
        # Arrow's error names no file; a full disk is to be found.
        raise OSError(error.errno, os.strerror(error.errno), str(final)) from error
    rename_into_place(temporary, final)
