"""The report of a decontamination: what of each benchmark was found, and examples read back from the documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import write_text
from openseek.data.ngrams import BenchmarkItem, Decontaminate, read_items

if TYPE_CHECKING:
    from openseek.data.contamination_page import Pair

PAGE, TEXT = "contamination.html", "contamination.md"
EXAMPLES = 6
"""Items of a benchmark that are shown: half of them with the least overlap, half with the most."""

Hit = dict[str, Any]


def contamination_report(
    out: Path,
    documents: Sequence[Path],
    counted: Mapping[str, Mapping[str, int]],
    rows: int,
    config: Decontaminate,
) -> dict[str, dict[str, int]]:
    """Write the page about the hits of a finished pass; returns for each benchmark what it is and what was found.

    `counted` is what is known of each benchmark's items, `rows` the number of documents.
    """
    from openseek.data.contamination_page import markdown, page

    found = _hits(out, len(documents), list(counted))
    table = {name: {**counted[name], **_counts(hits)} for name, hits in found.items()}
    pairs = _pairs(documents, found, config)
    title = f"contamination: {len(found)} benchmarks, {rows:,} documents"
    write_text(out / PAGE, page(title, table, pairs, config))
    write_text(out / TEXT, markdown(title, table, pairs, config))
    return table


def _hits(out: Path, shards: int, names: Sequence[str]) -> dict[str, list[Hit]]:
    """The hits of each benchmark, in order of documents."""
    import pyarrow.parquet as pq

    found: dict[str, list[Hit]] = {name: [] for name in names}
    for shard in range(shards):
        for hit in pq.read_table(out / "hits" / f"{shard:05d}.parquet").to_pylist():
            found[hit["benchmark"]].append({**hit, "shard": shard})
    return found


def _counts(hits: Sequence[Hit]) -> dict[str, int]:
    return {
        "items_hit": len({hit["item"] for hit in hits}),
        "documents_hit": len({(hit["shard"], hit["row"]) for hit in hits}),
        "with_answer": len({(hit["shard"], hit["row"]) for hit in hits if hit["with_answer"]}),
    }


def _examples(hits: Sequence[Hit]) -> list[Hit]:
    """The most doubtful and the plainest hits, each of another item."""
    by_overlap = sorted(hits, key=lambda h: (h["overlap"], h["shard"], h["row"], h["item"]))
    chosen: dict[int, Hit] = {}
    for ordered, limit in ((by_overlap, EXAMPLES // 2), (by_overlap[::-1], EXAMPLES)):
        for hit in ordered:
            if len(chosen) < limit:
                chosen.setdefault(hit["item"], hit)
    return sorted(chosen.values(), key=lambda h: (h["overlap"], h["item"]))


def _pairs(documents: Sequence[Path], found: Mapping[str, Sequence[Hit]], config: Decontaminate) -> list[Pair]:
    from openseek.data.contamination_page import Pair, excerpts

    chosen = {name: _examples(hits) for name, hits in found.items() if hits}
    texts = _documents(documents, {(hit["shard"], hit["row"]) for hits in chosen.values() for hit in hits})
    pairs = []
    for benchmark in config.benchmarks:
        hits = chosen.get(benchmark.name, [])
        items = _items(benchmark, {hit["item"] for hit in hits})
        for hit in hits:
            document = texts[hit["shard"], hit["row"]]
            spans = excerpts(document["text"], hit["start"], hit["stop"])
            names = (benchmark.name, hit["item"], hit["overlap"], hit["with_answer"])
            pairs.append(Pair(*names, *items[hit["item"]], hit["id"], document["url"] or "", *spans))
    return pairs


def _items(benchmark: Any, wanted: set[int]) -> dict[int, BenchmarkItem]:
    if not wanted:
        return {}
    return {number: item for number, item in enumerate(read_items(benchmark)) if number in wanted}


def _documents(shards: Sequence[Path], wanted: set[tuple[int, int]]) -> dict[tuple[int, int], dict[str, Any]]:
    """Text and URL of some documents, of which only the row groups that hold one are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = {}
    for shard in sorted({shard for shard, _ in wanted}):
        rows = sorted(row for where, row in wanted if where == shard)
        with pq.ParquetFile(shards[shard]) as file:
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                here = [row for row in rows if first <= row < first + count]
                if here:
                    table = file.read_row_group(group, columns=["text", "url"])
                    taken = table.take(pa.array([row - first for row in here])).to_pylist()
                    found |= {(shard, row): document for row, document in zip(here, taken, strict=True)}
                first += count
    return found
