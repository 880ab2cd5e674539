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

    from openseek.data.report import Example, Summary
    from openseek.data.transform import Judged

    Judge = Callable[[Path, Path], Iterator[tuple[pa.RecordBatch, list[Judged]]]]
    Clean = Callable[[pa.RecordBatch], pa.RecordBatch]

PAGE = "report.html"
EXAMPLE_SHARDS = 16
EXAMPLE_ROWS = 4096
EXCERPT_CHARACTERS = 280
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
) -> Facts:
    """Write the page about a pass over document shards; returns `facts` with what is alarming.

    `judge` knows the values of documents that stay, too: from an input shard and a shard of the statistics table it
    gives batches with id and lang, and every rule over each. `clean` gives the text that the rules read.
    """
    step = max(1, -(-len(documents) // EXAMPLE_SHARDS))
    parts = [(index, shard, index % step == 0) for index, shard in enumerate(documents)]
    function = partial(_count_documents, out=out, judge=judge, clean=clean)
    return _write(out, facts, parts, function, title)


def report_files(out: Path, facts: Facts, files: Sequence[tuple[str, str]], *, title: str) -> Facts:
    """Write the page about raw files that became documents, each given by its source and its relative path."""
    parts = [(index, *names) for index, names in enumerate(files)]
    return _write(out, facts, parts, partial(_count_file, out=out), title)


def _write(out: Path, facts: Facts, parts: Sequence[Any], function: Callable[..., Facts], title: str) -> Facts:
    from openseek.data import report_page
    from openseek.data.report import Summary, alarms

    map_files(out, ".report", parts, function, suffix=".json", title=f"{title}: report")
    total = Summary()
    for index in range(len(parts)):
        total.add(Summary.read(json.loads((out / ".report" / f"{index:05d}.json").read_text(encoding="utf-8"))))
    found = alarms(total)
    write_text(out / REPORT, report_page.markdown(title, total, facts, found))
    write_text(out / PAGE, report_page.page(title, total, facts, found))
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
    wanted: dict[int, list[Example]] = {}
    for rule in summary.rules.values():
        for example in (*rule.passed, *rule.failed):
            wanted.setdefault(example["row"], []).append(example)
    for row, document in _documents(shard, sorted(wanted), clean):
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


def _documents(shard: Path, rows: Sequence[int], clean: Clean | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The documents in some rows of a shard, of which only the row groups that hold one are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(shard) as file:
        first = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            here = [row for row in rows if first <= row < first + count]
            if here:
                taken = file.read_row_group(group).take(pa.array([row - first for row in here])).combine_chunks()
                batch = taken.to_batches()[0]
                yield from zip(here, (clean(batch) if clean else batch).to_pylist(), strict=True)
            first += count
