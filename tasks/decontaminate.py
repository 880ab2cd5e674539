"""decontaminate: index the benchmarks, find their items in documents, act on what was found."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts
from openseek.data.ngrams import Decontaminate, item_label, read_items
from tasks.contamination import contamination_report
from tasks.report import report
from tasks.shards import input_shards, map_files, map_shards, read_batches
from tasks.task import task

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.document import ShardOutput


@task(version=3)
def decontaminate(out: Path, documents: Path, config: Decontaminate = Decontaminate()) -> Facts:
    """Find benchmark items in documents; drop the documents, cut the items out, or tag them."""
    (built,) = map_files(out, ".index", [config], _index, suffix=".npy", title="decontaminate: index")
    for line in built["warnings"]:
        print(f"decontaminate: warning: {line}", flush=True)
    shards = input_shards(documents)
    find = partial(_find, index=out / ".index" / "00000.npy", counts=built["items"], config=config)
    map_files(out, "hits", shards, find, suffix=".parquet", title="decontaminate: find")
    parts = [(shard, out / "hits" / f"{number:05d}.parquet") for number, shard in enumerate(shards)]
    if config.policy == "cut":
        map_files(out, "cut", parts, _record_cuts, suffix=".parquet", title="decontaminate: record")
    act = partial(_act, config=config)
    facts = report(out, map_shards(out, parts, act, title="decontaminate"), shards, title="decontaminate")
    counted = {name: {key: built[key][name] for key in COUNTS} for name in built["items"]}
    return {**facts, "benchmarks": contamination_report(out, shards, counted, facts["rows_in"], config)}


COUNTS = ("items", "short_items", "ignored_items", "one_word_answers")


def _index(config: Decontaminate, target: Path) -> dict[str, Any]:
    """Write the index of all benchmarks; returns how many items of which kind each has."""
    import numpy as np

    from openseek.data.gram_index import build_index
    from openseek.data.words import hash_words

    items = {b.name: list(read_items(b)) for b in config.benchmarks}
    index = build_index([item for those in items.values() for item in those], config)
    index.write(target)
    short = np.zeros(len(index.answer_bounds), np.int64)
    short[index.short_items] = 1
    counts: dict[str, Any] = {name: {} for name in COUNTS}
    warnings, first = [], 0
    for name, those in items.items():
        ignored = sum(len(hash_words(item.question)) < 2 for item in those)
        answers = sum(len(hash_words(item.answer)) == 1 for item in those)
        values = (len(those), int(short[first : first + len(those)].sum()), ignored, answers)
        for key, value in zip(COUNTS, values, strict=True):
            counts[key][name] = value
        if not those:
            warnings.append(f"{name}: the file holds no items: nothing is looked for")
        if ignored:
            warnings.append(f"{name}: {ignored:,} of {len(those):,} items have no question or one of one word: ignored")
        if answers:
            warnings.append(f"{name}: {answers:,} answers of one word: they count only beside their question")
        first += len(those)
    return {**counts, "warnings": warnings}


def _find(shard: Path, target: Path, *, index: Path, counts: dict[str, int], config: Decontaminate) -> dict[str, Any]:
    """Write the table of hits of one shard."""
    import pyarrow as pa

    from openseek.data.contamination import find_items
    from openseek.data.contamination_policies import HITS, hits_table
    from openseek.data.gram_index import GramIndex
    from tasks.shards import write_table

    names = [item_label(name, number) for name, count in counts.items() for number in range(count)]
    read, tables, row = GramIndex.read(index), [HITS.empty_table()], 0
    for batch in read_batches(shard):
        hits = find_items(pa.chunked_array([batch.column("text")]), read, config)
        tables.append(hits_table(batch, row, hits, names, config))
        row += batch.num_rows
    write_table(pa.concat_tables(tables), target)
    return {}


def _record_cuts(part: tuple[Path, Path], target: Path) -> dict[str, Any]:
    """The side table of what is cut: id, start, stop (bytes in the input text), the items."""
    import pyarrow.parquet as pq

    from openseek.data.contamination_policies import cut_table
    from tasks.shards import write_table

    write_table(cut_table(pq.read_table(part[1])), target)
    return {}


def _act(part: tuple[Path, Path], *, config: Decontaminate) -> Iterator[ShardOutput]:
    """A shard after the policy, batch by batch."""
    import pyarrow.parquet as pq

    from openseek.data.contamination_policies import apply_policy

    shard, found = part
    hits: pa.Table = pq.read_table(found)
    rows, row = hits["row"].to_numpy(), 0
    for batch in read_batches(shard):
        first, last = rows.searchsorted((row, row + batch.num_rows)).tolist()
        yield apply_policy(batch, row, hits.slice(first, last - first), config)
        row += batch.num_rows
