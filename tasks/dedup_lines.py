"""dedup_lines: repeated paragraphs or lines go.

Four passes: hash the units of each shard, compare them by parts of the hashes, record what is cut, rewrite each shard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.artifact import Facts
from openseek.data.repeated_lines import DedupLines
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards, read_batches
from tasks.task import task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from openseek.data.document import ShardOutput

UNITS, REPEATS, CUT = ".units", ".repeats", "cut"


@task(version=2)
def dedup_lines(out: Path, documents: Path, config: DedupLines = DedupLines()) -> Facts:
    """Cut paragraphs or lines that stand in earlier documents, or that many documents of a site share."""
    shards = input_shards(documents)
    first = config.mode == "first"
    write, compare = (_write_units, _find_repeats) if first else (_count_units, _find_boilerplate)
    read = map_files(out, UNITS, shards, partial(write, config=config), suffix=".npy", title="dedup_lines: hash")
    search = partial(compare, out=out, shards=shards, config=config)
    parts = list(range(config.num_partitions))
    found = map_files(out, REPEATS, parts, search, suffix=".arrow", title="dedup_lines: compare")
    numbered = list(enumerate(shards))
    record = partial(_record_cuts, out=out, config=config)
    map_files(out, CUT, numbered, record, suffix=".parquet", title="dedup_lines: record")
    facts = map_shards(out, numbered, partial(_cut, out=out, config=config), title="dedup_lines: write")
    facts = report(out, facts, shards, title="dedup_lines")
    total = Counter()
    for part in found:
        total.update(part)
    return {
        "bytes_cut": 0,
        "documents_cut": 0,
        **facts,
        "units": sum(part["units"] for part in read),
        "compared": sum(part["compared"] for part in read),
        **{name: round(value, 6) for name, value in total.items()},
    }


def _file(out: Path, folder: str, index: int, suffix: str) -> Path:
    return out / folder / f"{index:05d}{suffix}"


def _write_units(shard: Path, target: Path, *, config: DedupLines) -> dict[str, int]:
    """Keys of a shard's units by partition, in order within each; rows; bounds of the partitions."""
    import numpy as np

    from openseek.data.arrays import write_arrays
    from openseek.data.repeated_lines import by_partition

    keys, rows, units = _keys(shard, config)
    order, bounds = by_partition(keys, config.num_partitions)
    write_arrays(target, keys[order], rows[order].astype(np.uint32), bounds)
    return {"units": units, "compared": len(keys)}


def _count_units(shard: Path, target: Path, *, config: DedupLines) -> dict[str, int]:
    """Distinct keys of a shard by partition, documents that have each, the first of them, bounds of the partitions."""
    import numpy as np

    from openseek.data.arrays import write_arrays
    from openseek.data.repeated_lines import by_partition, document_counts

    keys, rows, units = _keys(shard, config)
    distinct, counts, first = document_counts(keys, rows)
    order, bounds = by_partition(distinct, config.num_partitions)
    write_arrays(target, distinct[order], first[order].astype(np.uint32), bounds, counts[order])
    return {"units": units, "compared": len(keys)}


def _keys(shard: Path, config: DedupLines) -> tuple[np.ndarray, np.ndarray, int]:
    """(keys, rows of their documents, number of units) of a shard in text order."""
    import numpy as np

    from openseek.data.line_kernels import ROW
    from openseek.data.repeated_lines import compared

    keys, rows, row, units = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0, 0
    for batch in read_batches(shard):
        found = compared(batch, config)
        keys.append(found.keys)
        rows.append(found.units[found.chosen, ROW] + row)
        row, units = row + batch.num_rows, units + len(found.units)
    return np.concatenate(keys), np.concatenate(rows), units


def _part(out: Path, index: int, partition: int) -> list[np.ndarray]:
    """The arrays of one shard and partition that the first pass wrote, mapped."""
    from openseek.data.arrays import read_arrays

    keys, rows, bounds, *counts = read_arrays(_file(out, UNITS, index, ".npy"))
    part = slice(int(bounds[partition]), int(bounds[partition + 1]))
    return [array[part] for array in (keys, rows, *counts)]


def _find_repeats(
    partition: int, target: Path, *, out: Path, shards: list[Path], config: DedupLines
) -> dict[str, int | float]:
    """Which units of a partition came before: shard, place among the shard's units of it, document of the first."""
    import numpy as np

    sizes = [len(_part(out, index, partition)[0]) for index in range(len(shards))]
    facts: dict[str, int | float] = {"filter_bits": 0, "expected_errors": 0.0, "errors_found": 0}
    if config.error_rate == 0:
        numbers, places, partners = _exact_repeats(out, partition, sizes)
    else:
        numbers, places, facts = _bloom_repeats(out, partition, sizes, config)
        partners = np.zeros(0, np.uint64)
        if config.name_partners:
            partners, wrong = _first_occurrences(out, partition, numbers, places, len(shards))
            numbers, places, partners = numbers[~wrong], places[~wrong], partners[~wrong]
            facts["errors_found"] = int(wrong.sum())
    _write_repeats(target, numbers, places, _names(shards, partners, len(numbers)))
    return {"repeats": len(numbers), **facts}


def _exact_repeats(out: Path, partition: int, sizes: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import numpy as np

    from openseek.data.repeated_lines import repeats_in_order

    parts = [_part(out, index, partition) for index in range(len(sizes))]
    keys = np.concatenate([np.zeros(0, np.uint64), *(part[0] for part in parts)])
    rows = np.concatenate([np.zeros(0, np.uint32), *(part[1] for part in parts)])
    starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    later, first = repeats_in_order(keys)
    shard_of = np.repeat(np.arange(len(sizes)), sizes)
    partners = (shard_of[first].astype(np.uint64) << np.uint64(32)) | rows[first].astype(np.uint64)
    numbers = shard_of[later]
    return numbers, later - starts[numbers], partners


def _bloom_repeats(
    out: Path, partition: int, sizes: list[int], config: DedupLines
) -> tuple[np.ndarray, np.ndarray, dict[str, int | float]]:
    """(shards, places, facts) of the units that a Bloom filter takes for repeats, shard after shard."""
    import numpy as np

    from openseek.data import bloom

    units = sum(sizes)
    blocks, probes = bloom.size(units, config.error_rate)
    bits = bloom.empty(blocks)
    numbers, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for index in range(len(sizes)):
        seen = np.flatnonzero(bloom.seen_before(bits, probes, np.array(_part(out, index, partition)[0])))
        numbers.append(np.full(len(seen), index))
        places.append(seen)
    found = np.concatenate(numbers)
    expected = bloom.expected_errors(units - len(found), blocks, probes)
    facts: dict[str, int | float] = {"filter_bits": bits.size * 64, "expected_errors": expected, "errors_found": 0}
    return found, np.concatenate(places), facts


def _first_occurrences(
    out: Path, partition: int, numbers: np.ndarray, places: np.ndarray, shards: int
) -> tuple[np.ndarray, np.ndarray]:
    """(row ids of the documents of the first occurrences; whether a unit is its own, bool) of the units found."""
    import numpy as np

    mine = np.zeros(len(numbers), np.uint64)
    bounds = np.searchsorted(numbers, np.arange(shards + 1))
    for index in range(shards):
        part = slice(bounds[index], bounds[index + 1])
        mine[part] = _part(out, index, partition)[0][places[part]]
    wanted, inverse = np.unique(mine, return_inverse=True)
    unit = np.full(len(wanted), -1, np.int64)
    owner = np.zeros(len(wanted), np.uint64)
    shard = np.zeros(len(wanted), np.int64)
    for index in range(shards):
        keys, rows = _part(out, index, partition)[:2]
        where = np.searchsorted(wanted, keys)
        where[where == len(wanted)] = 0
        held = np.flatnonzero(wanted[where] == keys if len(wanted) else np.zeros(len(keys), bool))
        held = held[unit[where[held]] < 0][::-1]  # from the last on: the first one overwrites the others
        unit[where[held]], shard[where[held]] = held, index
        owner[where[held]] = (np.uint64(index) << np.uint64(32)) | rows[held].astype(np.uint64)
    return owner[inverse], (shard[inverse] == numbers) & (unit[inverse] == places)


def _names(shards: list[Path], partners: np.ndarray, count: int) -> list[str | None]:
    """The documents' own ids for their row ids, none where no partner was looked up."""
    import numpy as np

    from openseek.data.row_ids import document_ids

    if len(partners) < count:
        return [None] * count
    distinct, inverse = np.unique(partners, return_inverse=True)
    names = np.array(document_ids(shards, distinct), object)
    return names[inverse].tolist() if count else []


def _write_repeats(target: Path, numbers: np.ndarray, places: np.ndarray, names: list[str | None]) -> None:
    import pyarrow as pa

    table = pa.table({"shard": numbers, "place": places, "partner": pa.array(names, pa.large_string())})
    with pa.OSFile(str(target), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def _find_boilerplate(
    partition: int, target: Path, *, out: Path, shards: list[Path], config: DedupLines
) -> dict[str, int]:
    """Keys of a partition that enough documents of one group have: (key, documents, id of the first of them)."""
    import numpy as np
    import pyarrow as pa

    parts = [_part(out, index, partition) for index in range(len(shards))]
    keys = np.concatenate([np.zeros(0, np.uint64), *(part[0] for part in parts)])
    owners = [np.zeros(0, np.uint64)]
    owners += [(np.uint64(i) << np.uint64(32)) | p[1].astype(np.uint64) for i, p in enumerate(parts)]
    counts = np.concatenate([np.zeros(0, np.int64), *(part[2] for part in parts)])
    order = np.argsort(keys, kind="stable")
    distinct, heads = np.unique(keys[order], return_index=True)
    sums = np.add.reduceat(counts[order], heads) if len(heads) else np.zeros(0, np.int64)
    common = np.flatnonzero(sums >= config.min_documents)
    first = np.concatenate(owners)[order[heads[common]]]
    names = _names(shards, first, len(first))
    table = pa.table(
        {"key": distinct[common], "documents": sums[common], "partner": pa.array(names, pa.large_string())}
    )
    with pa.OSFile(str(target), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return {"boilerplate": len(common)}


def _mapped(path: Path) -> pa.Table:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


class _Repeats:
    """What was found in the partitions, for one shard whose units are asked for in text order."""

    def __init__(self, out: Path, index: int, config: DedupLines) -> None:
        import numpy as np

        self._config = config
        self._tables = [_mapped(_file(out, REPEATS, i, ".arrow")) for i in range(config.num_partitions)]
        if config.mode == "first":
            for i, table in enumerate(self._tables):
                low, high = np.searchsorted(table["shard"].to_numpy(), [index, index + 1])
                self._tables[i] = table.slice(low, high - low)
        self._columns = [t["place" if config.mode == "first" else "key"].to_numpy() for t in self._tables]
        self._done = [0] * config.num_partitions

    def __bool__(self) -> bool:
        return any(table.num_rows for table in self._tables)

    def among(self, keys: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
        """(indices of those of the keys that go, ascending; partner of each)."""
        import numpy as np

        from openseek.data.repeated_lines import by_partition

        order, bounds = by_partition(keys, self._config.num_partitions)
        goes: list[np.ndarray] = [np.zeros(0, np.int64)]
        names: list[str | None] = []
        for i, (table, column) in enumerate(zip(self._tables, self._columns, strict=True)):
            part = order[bounds[i] : bounds[i + 1]]
            if self._config.mode == "first":
                low, high = np.searchsorted(column, [self._done[i], self._done[i] + len(part)])
                goes.append(part[column[low:high] - self._done[i]])
                self._done[i] += len(part)
                names += table["partner"].slice(low, high - low).to_pylist()
            elif len(column):
                places = np.minimum(np.searchsorted(column, keys[part]), len(column) - 1)
                held = column[places] == keys[part]
                goes.append(part[held])
                names += table["partner"].take(places[held]).to_pylist()
        indices = np.concatenate(goes)
        in_order = np.argsort(indices)
        return indices[in_order], [names[i] for i in in_order.tolist()]


def _record_cuts(part: tuple[int, Path], target: Path, *, out: Path, config: DedupLines) -> dict[str, int]:
    """The side table of what is cut: id, start, stop (bytes of the input text), the document that keeps it, row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.data.line_kernels import ROW
    from openseek.data.repeated_lines import compared, spans_of
    from openseek.data.words import string_buffers

    index, shard = part
    names = [("id", pa.string()), ("start", pa.int64()), ("stop", pa.int64()), ("partner", pa.string())]
    schema = pa.schema([*names, ("row", pa.int64())])
    repeats, row, cuts = _Repeats(out, index, config), 0, 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in read_batches(shard) if repeats else ():
            found = compared(batch, config)
            places, partners = repeats.among(found.keys)
            goes = found.chosen[places]
            _, offsets = string_buffers(batch.column("text"))
            spans = spans_of(found.units, goes, offsets)
            rows = found.units[goes, ROW]
            begins = offsets[rows]
            ids = batch.column("id").take(pa.array(rows))
            columns = [ids, spans[:, 0] - begins, spans[:, 1] - begins, pa.array(partners, pa.string()), rows + row]
            writer.write_table(pa.table(columns, schema=schema))
            row, cuts = row + batch.num_rows, cuts + len(goes)
    return {"spans": cuts}


def _cut(part: tuple[int, Path], *, out: Path, config: DedupLines) -> Iterator[ShardOutput]:
    """A shard whose texts have lost what is recorded; what is left too short goes."""
    import numpy as np
    import pyarrow.parquet as pq

    index, shard = part
    cuts = pq.read_table(_file(out, CUT, index, ".parquet"))
    rows, first = cuts["row"].to_numpy(), 0
    for batch in read_batches(shard):
        low, high = np.searchsorted(rows, [first, first + batch.num_rows])
        yield _without(batch, cuts.slice(low, high - low), first, config)
        first += batch.num_rows


def _without(batch: pa.RecordBatch, cuts: pa.Table, first: int, config: DedupLines) -> ShardOutput:
    """A batch, whose first row has the number `first` in its shard, without what is cut."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from openseek.data.document import ShardOutput, dropped_table, split_rows
    from openseek.data.spans import splice
    from openseek.data.transform import replace_column
    from openseek.data.words import string_buffers

    if not cuts.num_rows:
        return ShardOutput(kept=pa.Table.from_batches([batch]), rows_in=batch.num_rows)
    rows, starts, stops = (cuts[name].to_numpy() for name in ("row", "start", "stop"))
    rows = rows - first
    begins = string_buffers(batch.column("text"))[1][rows]
    nothing = pa.array([""] * len(rows), pa.large_string())
    text = splice(batch.column("text"), begins + starts, begins + stops, nothing)
    table = pa.Table.from_batches([replace_column(batch, "text", text)])
    remaining = pc.call_function("binary_length", [pc.call_function("utf8_trim_whitespace", [text])]).to_numpy()
    drop = np.zeros(batch.num_rows, bool)
    drop[rows] = remaining[rows] < config.min_remaining
    kept, gone = split_rows(table, drop)
    records = []
    for row in gone.tolist():
        own = slice(*np.searchsorted(rows, [row, row + 1]))
        longest = own.start + int(np.argmax(stops[own] - starts[own]))
        record = cuts.slice(longest, 1).select(["id", "start", "stop", "partner"]).to_pylist()[0]
        value, limit = float(remaining[row]), float(config.min_remaining)
        record |= {"task": "dedup_lines", "rule": config.rule, "value": value, "limit": limit}
        records.append({**record, "detail": f"{own.stop - own.start} cut", "first": True, "row": row + first})
    stays = ~drop[rows]
    facts: dict[str, int | float] = {
        "bytes_cut": int((stops[stays] - starts[stays]).sum()),
        "documents_cut": len(np.unique(rows[stays])),
    }
    return ShardOutput(kept, batch.num_rows, dropped_table(records), facts=facts)
