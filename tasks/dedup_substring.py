"""dedup_substring: passages that stand elsewhere too are cut. Spill symbols, find anchors, compare them, cut."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.substring import Substring
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards, read_batches, repaired
from tasks.task import task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from openseek.data.document import ShardOutput
    from openseek.data.repeated_spans import Spans

TASK = "dedup_substring"


@task(version=3)
def dedup_substring(out: Path, documents: Path, config: Substring = Substring()) -> Facts:
    """Cut passages that stand word for word in another document."""
    shards = input_shards(documents)

    def passes() -> tuple[Facts, dict[str, int]]:
        call = partial(_spill, config=config)
        spilled = map_files(out, ".texts", shards, call, suffix=".bin", title=f"{TASK}: read")
        texts = [out / ".texts" / f"{i:05d}.bin" for i in range(len(shards))]
        total = sum(each["symbols"] for each in spilled)
        spans, anchors = _find(out, texts, total, config)
        parts = [(i, shard) for i, shard in enumerate(shards)]
        call = partial(_write_cuts, spans=spans, shards=shards, config=config)
        map_files(out, "cut", parts, call, suffix=".parquet", title=f"{TASK}: record")
        facts = map_shards(out, parts, partial(_cut, out=out, config=config), title=f"{TASK}: write")
        return facts, {"symbols": total, "anchors": anchors}

    facts, counts = repaired(out, passes)
    facts = report(out, facts, shards, title=TASK)
    # An anchor's record is its hash, its row and its position.
    return {"bytes_cut": 0, "documents_cut": 0, "spans": 0, **facts, **counts, "index_bytes": 16 * counts["anchors"]}


def _spill(shard: Path, target: Path, *, config: Substring) -> dict[str, Any]:
    """Write the symbols of a shard's texts, then where each begins, then the two numbers of these."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.substring import symbols

    ends, kind = [np.zeros(1, np.int64)], np.dtype(np.uint8)
    with open(target, "wb") as file:
        for batch in read_batches(shard):
            found, offsets = symbols(pa.chunked_array([batch.column("text")]), config)
            kind = found.dtype
            file.write(np.ascontiguousarray(found).data)
            ends.append(offsets[1:] + ends[-1][-1])
        offsets = np.concatenate(ends)
        size = int(offsets[-1]) * kind.itemsize
        file.write(b"\0" * (-size % 8) + offsets.tobytes() + np.array([offsets[-1], len(offsets)], np.int64).tobytes())
    return {"symbols": int(offsets[-1])}


def spilled(path: Path, config: Substring) -> tuple[np.ndarray, np.ndarray]:
    """(symbols, offsets) of a file that `_spill` wrote, mapped; DamagedFile where it is not whole."""
    import numpy as np

    from openseek.data.arrays import DamagedFile

    kind = np.dtype(np.uint8 if config.unit == "bytes" else np.uint32)
    size = path.stat().st_size if path.exists() else 0
    if size < 24 or size % 8:
        raise DamagedFile(str(path))
    count, places = np.memmap(path, np.int64, "r", offset=size - 16, shape=(2,)).tolist()
    begin = -(-count * kind.itemsize // 8) * 8
    if min(count, places) < 0 or begin + 8 * places + 16 != size:
        raise DamagedFile(str(path))
    offsets = np.memmap(path, np.int64, "r", offset=begin, shape=(places,)).view(np.ndarray)
    if not count:
        return np.zeros(1, kind), offsets
    return np.memmap(path, kind, "r", shape=(count,)).view(np.ndarray), offsets


def _find(out: Path, texts: list[Path], total: int, config: Substring) -> tuple[list[Path], int]:
    """Files of marked spans, by partition of the anchors; and the number of anchors."""
    from openseek.data.bands import partition_bits

    if config.engine == "suffix_array":
        call = partial(_by_suffixes, texts=texts, config=config)
        map_files(out, ".spans", [0], call, suffix=".npy", title=f"{TASK}: suffix array")
        return [out / ".spans" / "00000.npy"], 0
    expected = 2 * total // (config.length - config.anchor_size + 1)
    bits = partition_bits(expected, len(texts))
    call = partial(_write_anchors, bits=bits, config=config)
    found = map_files(out, ".anchors", texts, call, suffix=".npy", title=f"{TASK}: anchors")
    anchors = [out / ".anchors" / f"{i:05d}.npy" for i in range(len(texts))]
    call = partial(_compare, anchors=anchors, texts=texts, config=config)
    map_files(out, ".spans", range(1 << bits), call, suffix=".npy", title=f"{TASK}: compare")
    return [out / ".spans" / f"{i:05d}.npy" for i in range(1 << bits)], sum(each["anchors"] for each in found)


def _write_anchors(texts: Path, target: Path, *, bits: int, config: Substring) -> dict[str, Any]:
    import numpy as np

    from openseek.data.anchors import anchors
    from openseek.data.arrays import write_partitions

    hashes, rows, positions = anchors(*spilled(texts, config), config.anchor_size, config.length)
    partition = (hashes >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(hashes), np.int64)
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange((1 << bits) + 1))
    write_partitions(target, bounds, hashes[order], rows[order], positions[order])
    return {"anchors": len(hashes)}


def _compare(partition: int, target: Path, *, anchors: list[Path], texts: list[Path], config: Substring) -> dict:
    """Write what is marked around the anchors of one partition, by shard."""
    import numpy as np

    from openseek.data.arrays import gather_partition
    from openseek.data.bands import met_again
    from openseek.data.repeated_spans import repeated_spans
    from openseek.data.row_ids import joined

    found, counts = gather_partition(anchors, partition)
    hashes, rows, positions = found or (np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint32))
    places = met_again(hashes)
    mapped = [spilled(path, config) for path in texts]
    spans = repeated_spans(mapped, hashes[places], joined(counts, rows)[places], positions[places], config)
    _write_spans(target, spans, len(texts))
    return {}


def _by_suffixes(_: int, target: Path, *, texts: list[Path], config: Substring) -> dict[str, Any]:
    from openseek.data.repeated_spans import suffix_spans

    _write_spans(target, suffix_spans([spilled(path, config) for path in texts], config), len(texts))
    return {}


def _write_spans(target: Path, spans: Spans, shards: int) -> None:
    import numpy as np

    from openseek.data.arrays import write_partitions
    from openseek.data.row_ids import row_of, shard_of

    bounds = np.searchsorted(shard_of(spans.documents), np.arange(shards + 1))
    write_partitions(target, bounds, row_of(spans.documents), spans.starts, spans.stops, spans.partners)


CUTS = ("row", "start", "stop")


def _write_cuts(
    part: tuple[int, Path], target: Path, *, spans: list[Path], shards: list[Path], config: Substring
) -> dict:
    """The side table of what is cut: id, row, start, stop (bytes in the input text), a document that has it too."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.data.arrays import gather_partition
    from openseek.data.row_ids import document_ids
    from openseek.data.substring import cut_of
    from openseek.data.words import string_buffers

    index, shard = part
    (rows, starts, stops, partners), _ = gather_partition(spans, index)
    order = np.argsort(rows, kind="stable")
    marked, partners = np.stack((rows, starts, stops), axis=1)[order], partners[order]
    found: list[np.ndarray] = [np.zeros((0, 4), np.int64)]
    ids, first = [], 0
    for batch in read_batches(shard) if len(rows) else ():
        low, high = np.searchsorted(marked[:, 0], (first, first + batch.num_rows)).tolist()
        cuts = cut_of(*string_buffers(batch.column("text")), marked[low:high] - (first, 0, 0), config)
        ids += batch.column("id").take(pa.array(cuts[:, 0])).to_pylist()
        found.append(cuts + (first, 0, 0, low))
        first += batch.num_rows
    cuts = np.concatenate(found)
    columns = {"id": pa.array(ids, pa.string()), **{name: cuts[:, i] for i, name in enumerate(CUTS)}}
    names = document_ids(shards, partners[cuts[:, 3]])
    table = pa.table({**columns, "partner": pa.array(names, pa.string())})
    pq.write_table(table, target, compression="zstd")
    return {}


def _cut(part: tuple[int, Path], *, out: Path, config: Substring) -> Iterator[ShardOutput]:
    """A shard whose texts have lost their repeats; what is left too short goes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from openseek.data.document import ShardOutput

    index, shard = part
    cuts = pq.read_table(out / "cut" / f"{index:05d}.parquet")
    rows, first = cuts["row"].to_numpy(), 0
    for batch in read_batches(shard):
        low, high = np.searchsorted(rows, (first, first + batch.num_rows)).tolist()
        table = pa.Table.from_batches([batch])
        if low == high:
            yield ShardOutput(kept=table, rows_in=table.num_rows)
        else:
            yield _without(table, cuts.slice(low, high - low), first, config)
        first += batch.num_rows


def _without(table: pa.Table, cuts: pa.Table, first: int, config: Substring) -> ShardOutput:
    """Documents without what is cut, from row `first` of their shard on."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from openseek.data.anchors import cut_spans
    from openseek.data.document import ShardOutput, dropped_table, split_rows
    from openseek.data.words import string_buffers

    spans: np.ndarray = np.stack([cuts[name].to_numpy() for name in CUTS], axis=1) - (first, 0, 0)
    data, offsets = cut_spans(*string_buffers(table["text"]), spans)
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    text = pa.Array.from_buffers(pa.large_string(), table.num_rows, buffers)
    table = table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), text)
    remaining = pc.call_function("binary_length", [pc.call_function("utf8_trim_whitespace", [text])]).to_numpy()
    drop = np.zeros(table.num_rows, bool)
    drop[spans[:, 0]] = remaining[spans[:, 0]] < config.min_remaining
    kept, rows = split_rows(table, drop)
    partners, records = cuts["partner"].to_pylist(), []
    for row, name in zip(rows.tolist(), table["id"].take(rows).to_pylist(), strict=True):
        own = np.arange(*np.searchsorted(spans[:, 0], (row, row + 1)))
        longest = own[np.argmax(spans[own, 2] - spans[own, 1])]
        record = {"id": name, "task": TASK, "rule": "substring", "first": True, "row": first + row}
        record |= {"value": float(remaining[row]), "limit": float(config.min_remaining)}
        record |= {"partner": partners[longest], "start": int(spans[longest, 1]), "stop": int(spans[longest, 2])}
        records.append(record)
    stays = ~drop[spans[:, 0]]
    facts: dict[str, int | float] = {
        "bytes_cut": int((spans[stays, 2] - spans[stays, 1]).sum()),
        "documents_cut": len(np.unique(spans[stays, 0])),
        "spans": len(spans),
    }
    return ShardOutput(kept=kept, rows_in=table.num_rows, dropped=dropped_table(records), facts=facts)
