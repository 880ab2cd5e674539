"""dedup_exact, dedup_minhash, dedup_substring: one of several copies stays. Hash each shard, decide, rewrite each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.exact import DedupExact
from openseek.data.keep import KeepPolicy
from openseek.data.minhash import MinHash
from openseek.data.substring import Substring
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards
from tasks.task import task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from openseek.data.document import ShardOutput


@dataclass(frozen=True)
class Leaving:
    """The rows of one shard that go, with the ids of the documents that stay in their place."""

    shard: Path
    rows: np.ndarray
    values: np.ndarray | None
    partners: list[str]


@task
def dedup_exact(out: Path, documents: Path, config: DedupExact = DedupExact()) -> Facts:
    """Keep one document of every set of equal texts."""
    import numpy as np

    from openseek.data.exact import first_copies
    from openseek.data.keep import keep_order
    from openseek.data.row_ids import row_ids

    shards = input_shards(documents)
    counts = _pass(out, ".hashes", shards, partial(_hash, config=config), title="dedup_exact: hash")
    hashes, priorities, sizes = _joined(out, ".hashes", len(shards))
    partner = first_copies(hashes.reshape(-1, 2), keep_order(config.keep, priorities, sizes))
    goes = np.flatnonzero(partner != np.arange(len(partner)))
    ids = row_ids(counts)
    leaving = _leaving(shards, ids[goes], ids[partner[goes]], None)
    rewrite = partial(_without, task="dedup_exact", rule="exact", limit=None)
    facts = map_shards(out, leaving, rewrite, title="dedup_exact: write")
    return report(out, facts, shards, title="dedup_exact")


@task
def dedup_minhash(out: Path, documents: Path, config: MinHash = MinHash()) -> Facts:
    """Keep one document of every near-duplicate cluster."""
    import numpy as np

    from openseek.data import union_find
    from openseek.data.arrays import read_arrays
    from openseek.data.keep import keep_order
    from openseek.data.minhash import candidates
    from openseek.data.row_ids import row_ids

    shards = input_shards(documents)
    counts = _pass(out, ".signatures", shards, partial(_sign, config=config), title="dedup_minhash: sign")
    parts = [read_arrays(_scratch(out, ".signatures", i)) for i in range(len(shards))]
    words, priorities, sizes = (np.concatenate([np.zeros(0, np.int64), *(p[k] for p in parts)]) for k in (2, 3, 4))
    order = keep_order(config.keep, priorities, sizes)
    bands = [[p[1][band] for p in parts] for band in range(config.num_bands)]
    found = candidates(bands, [p[0] for p in parts], words, order, config)
    ids = row_ids(counts)
    similarity = _similarities(out, shards, ids[order[found.left]], ids[order[found.right]], config)
    near = similarity >= config.threshold
    left, right = found.left[near], found.right[near]
    partner, value = union_find.star_partners(left, right, similarity[near], len(order))
    sizes = union_find.cluster_sizes(union_find.components(left, right, len(order)))
    goes = np.flatnonzero(partner >= 0)
    leaving = _leaving(shards, ids[order[goes]], ids[order[partner[goes]]], value[goes])
    rewrite = partial(_without, task="dedup_minhash", rule="minhash", limit=config.threshold)
    facts = map_shards(out, leaving, rewrite, title="dedup_minhash: write")
    facts = report(out, facts, shards, title="dedup_minhash")
    return {
        **facts,
        "pairs": {"proposed": found.proposed, "compared": len(similarity), "near": len(left)},
        "clusters": len(sizes),
        "largest_cluster": int(sizes.max(initial=0)),
        "runs_cut": found.runs_cut,
        "too_short": int((words < config.min_words).sum()),
    }


@task
def dedup_substring(out: Path, documents: Path, config: Substring = Substring()) -> Facts:
    """Cut passages that stand word for word in an earlier document."""
    import numpy as np

    from openseek.data.arrays import read_arrays
    from openseek.data.row_ids import document_ids, row_ids, row_of, shard_of
    from openseek.data.substring import repeated_spans

    shards = input_shards(documents)
    counts = _pass(out, ".anchors", shards, partial(_find_anchors, config=config), title="dedup_substring: anchors")
    hashes, rows, positions = _joined(out, ".anchors", len(shards))
    anchors_by_shard = [len(read_arrays(_scratch(out, ".anchors", i))[0]) for i in range(len(shards))]
    first_rows = np.cumsum([0, *counts])[:-1]
    data, offsets = _all_texts(out, shards)
    spans = repeated_spans(data, offsets, hashes, rows + np.repeat(first_rows, anchors_by_shard), positions, config)
    ids = row_ids(counts)
    partners = document_ids(shards, ids[spans[:, 3]])
    numbers = shard_of(ids[spans[:, 0]])
    spans[:, 0] = row_of(ids[spans[:, 0]])
    cuts = []
    for index, shard in enumerate(shards):
        chosen = np.flatnonzero(numbers == index)
        cuts.append((shard, spans[chosen, :3], [partners[i] for i in chosen]))
    map_files(out, "cut", cuts, _write_cuts, suffix=".parquet", title="dedup_substring: record")
    facts = map_shards(out, cuts, partial(_cut, config=config), title="dedup_substring: write")
    facts = report(out, facts, shards, title="dedup_substring")
    return {"bytes_cut": 0, "documents_cut": 0, **facts, "spans": len(spans)}


def _scratch(out: Path, folder: str, index: int) -> Path:
    return out / folder / f"{index:05d}.npy"


def _pass(out: Path, folder: str, shards: list[Path], function: Any, *, title: str) -> list[int]:
    """Run the first pass over the shards; returns the rows of each."""
    return [r["rows"] for r in map_files(out, folder, shards, function, suffix=".npy", title=title)]


def _joined(out: Path, folder: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three arrays that a first pass wrote for each shard, each joined over the shards."""
    import numpy as np

    from openseek.data.arrays import read_arrays

    parts = [read_arrays(_scratch(out, folder, i)) for i in range(count)]
    if not parts:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    first, second, third = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return first, second, third


def _hash(shard: Path, target: Path, *, config: DedupExact) -> dict[str, Any]:
    from openseek.data.arrays import write_arrays
    from openseek.data.exact import content_hashes

    table = _read(shard, "text", "source")
    write_arrays(target, content_hashes(table["text"], config.normalise), *_preference(table, config.keep))
    return {"rows": table.num_rows}


def _sign(shard: Path, target: Path, *, config: MinHash) -> dict[str, Any]:
    from openseek.data.arrays import write_arrays
    from openseek.data.minhash import sign
    from openseek.data.shingles import band_keys

    table = _read(shard, "text", "source")
    signatures, words = sign(table["text"], config)
    keys = band_keys(signatures, config.rows_per_band)
    write_arrays(target, signatures, keys, words, *_preference(table, config.keep))
    return {"rows": table.num_rows}


def _preference(table: pa.Table, keep: KeepPolicy) -> tuple[np.ndarray, np.ndarray]:
    """(source priorities, text bytes) of the documents of a shard: what the keep policy looks at."""
    import numpy as np

    from openseek.data.keep import source_priorities
    from openseek.data.words import string_buffers

    _, offsets = string_buffers(table["text"])
    return source_priorities(keep, table["source"].to_pylist()), np.diff(offsets)


def _find_anchors(shard: Path, target: Path, *, config: Substring) -> dict[str, Any]:
    from openseek.data.anchors import anchors
    from openseek.data.arrays import write_arrays
    from openseek.data.words import string_buffers

    table = _read(shard, "text")
    data, offsets = string_buffers(table["text"])
    write_arrays(target, *anchors(data, offsets, config.anchor_size, config.window))
    return {"rows": table.num_rows}


def _read(shard: Path, *columns: str) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(shard, columns=list(columns) or None)


def _leaving(shards: list[Path], going: np.ndarray, staying: np.ndarray, values: np.ndarray | None) -> list[Leaving]:
    """What goes from each shard, by row ids of the documents that go and of those that stay in their place."""
    import numpy as np

    from openseek.data.row_ids import document_ids, row_of, shard_of

    order = np.argsort(going)
    names = document_ids(shards, staying[order])
    numbers, rows = shard_of(going[order]), row_of(going[order])
    bounds = np.searchsorted(numbers, np.arange(len(shards) + 1))
    parts = []
    for index, shard in enumerate(shards):
        part = slice(bounds[index], bounds[index + 1])
        parts.append(Leaving(shard, rows[part], None if values is None else values[order][part], names[part]))
    return parts


def _without(leaving: Leaving, *, task: str, rule: str, limit: float | None) -> Iterator[ShardOutput]:
    """A shard without the rows that go, and the record of each of them."""
    import numpy as np

    from openseek.data.document import ShardOutput, dropped_table, split_rows

    table = _read(leaving.shard)
    drop = np.zeros(table.num_rows, bool)
    drop[leaving.rows] = True
    kept, rows = split_rows(table, drop)
    ids = table["id"].take(rows).to_pylist()
    values = [None] * len(ids) if leaving.values is None else leaving.values.tolist()
    dropped = dropped_table(
        {"id": i, "task": task, "rule": rule, "value": v, "limit": limit, "partner": p, "first": True, "row": int(row)}
        for i, v, p, row in zip(ids, values, leaving.partners, rows, strict=True)
    )
    yield ShardOutput(kept=kept, rows_in=table.num_rows, dropped=dropped)


def _similarities(out: Path, shards: list[Path], left: np.ndarray, right: np.ndarray, config: MinHash) -> np.ndarray:
    """Exact Jaccard similarity of pairs of row ids; two shards' n-gram sets are in memory at a time."""
    import numpy as np

    from openseek.data.arrays import read_arrays
    from openseek.data.row_ids import row_of, shard_of
    from openseek.data.shingles import jaccard

    wanted = np.unique(np.concatenate((left, right)))
    numbers = shard_of(wanted)
    rows = [row_of(wanted[numbers == i]) for i in range(len(shards))]
    sets = partial(_write_sets, config=config)
    pairs = list(zip(shards, rows, strict=True))
    map_files(out, ".sets", pairs, sets, suffix=".npy", title="dedup_minhash: compare")
    result = np.zeros(len(left))
    combined = np.stack((shard_of(left), shard_of(right)), axis=1)
    for a, b in np.unique(combined, axis=0):
        chosen = np.flatnonzero((combined == (a, b)).all(axis=1))
        (left_values, left_offsets), (right_values, right_offsets) = (
            read_arrays(_scratch(out, ".sets", i)) for i in (a, b)
        )
        left_places = np.searchsorted(rows[a], row_of(left[chosen]))
        right_places = np.searchsorted(rows[b], row_of(right[chosen]))
        result[chosen] = jaccard(left_values, left_offsets, left_places, right_values, right_offsets, right_places)
    return result


def _write_sets(part: tuple[Path, np.ndarray], target: Path, *, config: MinHash) -> dict[str, Any]:
    from openseek.data.arrays import write_arrays
    from openseek.data.shingles import gram_sets
    from openseek.data.words import string_buffers, word_table

    shard, rows = part
    data, offsets = string_buffers(_read(shard, "text")["text"])
    write_arrays(target, *gram_sets(data, offsets, rows, config.ngram, *word_table()))
    return {"rows": len(rows)}


def _all_texts(out: Path, shards: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """(bytes of all texts, mapped from a scratch file; where each text begins [N + 1])."""
    import numpy as np

    from openseek.data.words import string_buffers

    lengths = [np.zeros(1, np.int64)]
    path = out / ".anchors" / "texts.bin"
    with open(path, "wb") as file:
        for shard in shards:
            data, offsets = string_buffers(_read(shard, "text")["text"])
            file.write(data[offsets[0] : offsets[-1]].data)
            lengths.append(np.diff(offsets))
    offsets = np.cumsum(np.concatenate(lengths))
    return (np.memmap(path, np.uint8, "r").view(np.ndarray) if offsets[-1] else np.zeros(1, np.uint8)), offsets


def _write_cuts(part: tuple[Path, np.ndarray, list[str]], target: Path) -> dict[str, Any]:
    """The side table of what was cut: id, start, stop (bytes in the input text), id of the document that keeps it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shard, spans, partners = part
    ids = _read(shard, "id")["id"].take(pa.array(spans[:, 0])).to_pylist()
    starts, stops = spans[:, 1].tolist(), spans[:, 2].tolist()
    kinds = pa.schema([("id", pa.string()), ("start", pa.int64()), ("stop", pa.int64()), ("partner", pa.string())])
    table = pa.table({"id": ids, "start": starts, "stop": stops, "partner": partners}, schema=kinds)
    pq.write_table(table, target, compression="zstd")
    return {"spans": len(partners)}


def _cut(part: tuple[Path, np.ndarray, list[str]], *, config: Substring) -> Iterator[ShardOutput]:
    """A shard whose texts have lost their repeats; what is left too short goes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from openseek.data.document import ShardOutput, dropped_table, split_rows
    from openseek.data.substring import cut_spans
    from openseek.data.words import string_buffers

    shard, spans, partners = part
    table = _read(shard)
    if not len(spans):
        yield ShardOutput(kept=table, rows_in=table.num_rows)
        return
    data, offsets = cut_spans(*string_buffers(table["text"]), spans)
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    text = pa.Array.from_buffers(pa.large_string(), table.num_rows, buffers)
    table = table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), text)
    remaining = pc.call_function("binary_length", [pc.call_function("utf8_trim_whitespace", [text])]).to_numpy()
    drop = np.zeros(table.num_rows, bool)
    drop[spans[:, 0]] = remaining[spans[:, 0]] < config.min_remaining
    kept, rows = split_rows(table, drop)
    records = []
    for row, name in zip(rows.tolist(), table["id"].take(rows).to_pylist(), strict=True):
        own = np.flatnonzero(spans[:, 0] == row)
        longest = own[np.argmax(spans[own, 2] - spans[own, 1])]
        records.append(
            {
                "id": name,
                "task": "dedup_substring",
                "rule": "substring",
                "value": float(remaining[row]),
                "limit": float(config.min_remaining),
                "partner": partners[longest],
                "start": int(spans[longest, 1]),
                "stop": int(spans[longest, 2]),
                "first": True,
                "row": row,
            }
        )
    stays = ~drop[spans[:, 0]]
    facts: dict[str, int | float] = {
        "bytes_cut": int((spans[stays, 2] - spans[stays, 1]).sum()),
        "documents_cut": len(np.unique(spans[stays, 0])),
    }
    yield ShardOutput(kept=kept, rows_in=table.num_rows, dropped=dropped_table(records), facts=facts)
