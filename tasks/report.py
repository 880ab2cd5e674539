"""report: the page about a finished pass over documents, written by every task that drops some.

Each shard is counted by itself, from the columns and small tables beside the texts; texts are read of a few documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts, write_text
from tasks.shards import map_files
from tasks.task import REPORT

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.clusters import Cluster
    from openseek.data.report import Example, Summary
    from openseek.data.transform import Judged

    Judge = Callable[[Path, Path], Iterator[tuple[pa.RecordBatch, list[Judged]]]]
    Clean = Callable[[pa.RecordBatch], pa.RecordBatch]

PAGE = "report.html"
EXAMPLE_SHARDS = 16
EXAMPLE_ROWS = 4096
EXCERPT_CHARACTERS = 280
# A longer text is compared with its partner up to here.
COMPARED_CHARACTERS = 500_000
PIECES, PIECE_CHARACTERS = 12, 240
CLUSTER_CHARACTERS = 100
# Documents that their owners took back appear by number only.
UNSHOWN_RULES = "suppress"


def report(
    out: Path,
    facts: Facts,
    documents: Sequence[Path],
    *,
    title: str,
    judge: Judge | None = None,
    clean: Clean | None = None,
    partners: Sequence[Path] = (),
) -> Facts:
    """Write the page about a pass over document shards; returns `facts` with what is alarming.

    `judge` knows the values of documents that stay, too: from an input shard and a shard of the statistics table it
    gives batches with id and lang, and every rule over each. `clean` gives the text that the rules read. A partner for
    which a document went is looked up in `documents`, then in the shards `partners`.
    """
    step = max(1, -(-len(documents) // EXAMPLE_SHARDS))
    parts = [(index, shard, index % step == 0) for index, shard in enumerate(documents)]
    function = partial(_count_documents, out=out, judge=judge, clean=clean)
    total = _total(out, parts, function, title)
    # Elsewhere a partner is no document that stays in the place of others.
    found = _compare(out, total, documents, partners, title) if title.startswith("dedup") else []
    return _write(out, facts, total, found, title)


def report_files(out: Path, facts: Facts, files: Sequence[tuple[str, str]], *, title: str) -> Facts:
    """Write the page about raw files that became documents, each given by its source and its relative path."""
    parts = [(index, *names) for index, names in enumerate(files)]
    return _write(out, facts, _total(out, parts, partial(_count_file, out=out), title), [], title)


def _total(out: Path, parts: Sequence[Any], function: Callable[..., Facts], title: str) -> Summary:
    """Count every part by itself; returns the sum."""
    from openseek.data.report import Summary

    map_files(out, ".report", parts, function, suffix=".json", title=f"{title}: report")
    total = Summary()
    for index in range(len(parts)):
        total.add(Summary.read(json.loads((out / ".report" / f"{index:05d}.json").read_text(encoding="utf-8"))))
    return total


def _write(out: Path, facts: Facts, total: Summary, clusters: list[Cluster], title: str) -> Facts:
    from openseek.data import report_page
    from openseek.data.report import alarms

    found = alarms(total)
    write_text(out / REPORT, report_page.markdown(title, total, facts, found, clusters))
    write_text(out / PAGE, report_page.page(title, total, facts, found, clusters))
    for line in found.values():
        print(f"{title}: ALARM: {line}; see {out / PAGE}", flush=True)
    return {**facts, "alarms": list(found.values())}


def _count_documents(
    part: tuple[int, Path, bool],
    target: Path,
    *,
    out: Path,
    judge: Judge | None,
    clean: Clean | None,
) -> Facts:
    """Count one shard of documents: by its statistics where a judge reads them, else by what was dropped."""
    import numpy as np
    import pyarrow.parquet as pq

    from openseek.data.report import Summary

    index, shard, show = part
    name = f"{index:05d}.parquet"
    summary = Summary()
    dropped = pq.read_table(out / "dropped" / name)
    gone = np.zeros(pq.read_metadata(shard).num_rows, bool)
    gone[dropped["row"].to_numpy()] = True
    example_rows = EXAMPLE_ROWS if show else 0
    if judge is None:
        summary.count_dropped(dropped, index, example_rows)
    else:
        row = 0
        for batch, judged in judge(shard, out / "statistics" / name):
            summary.count_rules(judged, batch, row, index, examples=row < example_rows)
            row += batch.num_rows
    row = 0
    for batch in columns(shard, ("source", "lang")):
        part_gone = gone[row : row + batch.num_rows]
        for kind, column in (("source", "source"), ("language", "lang")):
            summary.count_groups(kind, batch.column(column), part_gone)
        row += batch.num_rows
    _count_quarantine(summary, out / "quarantine" / name)
    _excerpts(summary, shard, clean)
    target.write_text(json.dumps(summary.json()), encoding="utf-8")
    return {}


def columns(shard: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a shard, batch by batch."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(shard) as file:
        yield from file.iter_batches(columns=list(names))


def _count_file(part: tuple[int, str, str], target: Path, *, out: Path) -> Facts:
    """Count what one raw file became."""
    import numpy as np
    import pyarrow.parquet as pq

    from openseek.data.report import Summary

    index, source, file = part
    name = f"{index:05d}.parquet"
    summary = Summary()
    dropped = pq.read_table(out / "dropped" / name)
    summary.count_dropped(dropped, index, EXAMPLE_ROWS)
    for rule, found in summary.rules.items():
        if rule.startswith(UNSHOWN_RULES):
            found.failed.clear()
    for batch in columns(out / "data" / name, ("lang", "licence")):
        for kind, column in (("language", "lang"), ("licence", "licence")):
            summary.count_groups(kind, batch.column(column), np.zeros(batch.num_rows, bool))
    bad = _count_quarantine(summary, out / "quarantine" / name)
    kept = pq.read_metadata(out / "data" / name).num_rows
    first = int(np.count_nonzero(dropped["first"].to_numpy()))
    for kind, group in (("source", source), ("file", f"{source}: {file}")):
        for outcome, count in (("kept", kept), ("dropped", first), ("quarantined", bad)):
            summary.count_group(kind, group, outcome, count)
    target.write_text(json.dumps(summary.json()), encoding="utf-8")
    return {}


def _count_quarantine(summary: Summary, path: Path) -> int:
    """Count the records that could not be read, by reason; returns their number."""
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["path", "position", "error"]).to_pylist()
    for row in rows:
        # The file's own name: a page that is passed on tells no folder, and no key of a signed address.
        summary.count_quarantine(row["path"].partition("?")[0].rpartition("/")[2], row["position"], row["error"])
    return len(rows)


def _excerpts(summary: Summary, shard: Path, clean: Clean | None) -> None:
    """Give the examples their URLs and a part of their texts."""
    from openseek.data.lookup import read_rows

    wanted: dict[int, list[Example]] = {}
    for rule in summary.rules.values():
        for example in (*rule.passed, *rule.failed):
            wanted.setdefault(example["row"], []).append(example)
    for row, document in read_rows(shard, sorted(wanted), clean):
        for example in wanted[row]:
            example["url"] = document["url"]
            example["text"] = _excerpt(document["text"], example.get("start"))


def _excerpt(text: str, start: int | None) -> str:
    """The beginning of a text, or what stands at byte `start` of it; on one line."""
    cut = text[: 4 * EXCERPT_CHARACTERS]
    if start:
        cut = "… " + text.encode()[start : start + 8 * EXCERPT_CHARACTERS].decode(errors="ignore")
    line = " ".join(cut.split())
    return line if len(line) < EXCERPT_CHARACTERS else line[:EXCERPT_CHARACTERS] + " …"


def _compare(
    out: Path, total: Summary, documents: Sequence[Path], further: Sequence[Path], title: str
) -> list[Cluster]:
    """Show the examples beside their partners; returns the largest clusters."""
    from openseek.data.clusters import clusters, largest

    tables = [out / "dropped" / f"{index:05d}.parquet" for index in range(len(documents))]
    counts = largest(tables)
    examples = [e for rule in total.rules.values() for e in rule.failed if e.get("partner")]
    wanted = sorted({*counts, *(example["partner"] for example in examples)})
    if not wanted:
        return []
    parts = [*zip(documents, tables, strict=True), *((shard, None) for shard in further)]
    find = partial(_find_partners, wanted=wanted, heads=sorted(counts))
    map_files(out, ".partners", parts, find, suffix=".json", title=f"{title}: partners")
    kept: dict[str, Any] = {}
    members = []
    for index in range(len(parts)):
        part = json.loads((out / ".partners" / f"{index:05d}.json").read_text(encoding="utf-8"))
        kept = part["kept"] | kept
        members.append(part["members"])
    for example in examples:
        _compare_example(example, documents[example["shard"]], kept.get(example["partner"]))
    for document in kept.values():
        document["text"] = " ".join(document["text"][: 4 * CLUSTER_CHARACTERS].split())[:CLUSTER_CHARACTERS]
    return clusters(counts, members, kept)


def _find_partners(part: tuple[Path, Path | None], target: Path, *, wanted: list[str], heads: list[str]) -> Facts:
    """Those of the partners that stand in one shard, and the sources of its documents that went for one of `heads`."""
    from openseek.data.clusters import member_sources
    from openseek.data.lookup import find_in_shard

    shard, dropped = part
    found = find_in_shard(shard, wanted).items()
    kept = {name: {"source": row["source"], "text": row["text"][:COMPARED_CHARACTERS]} for name, row in sorted(found)}
    members = member_sources(dropped, shard, heads) if dropped is not None else {}
    target.write_text(json.dumps({"kept": kept, "members": members}), encoding="utf-8")
    return {}


def _compare_example(example: Example, shard: Path, partner: dict[str, str] | None) -> None:
    """Give an example the parts that it shares with its partner and those that it does not."""
    from openseek.data.lookup import read_rows
    from openseek.data.side_by_side import passage, pieces, shorter, visible

    if partner is None:
        return
    ((_, document),) = read_rows(shard, [example["row"]])
    text, other = document["text"], partner["text"]
    if example.get("start") is None:
        found = pieces(text[:COMPARED_CHARACTERS], other)
    else:
        found = passage(text, example["start"], example["stop"], other)
    shown = shorter(found, PIECES, PIECE_CHARACTERS)
    example["pieces"] = [[piece.equal, visible(piece.left), visible(piece.right)] for piece in shown]
