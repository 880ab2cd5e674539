"""`openseek thresholds FILTERED --set ...`: what other thresholds would keep and drop, from the statistics alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from openseek.artifact import read_manifest
from tasks.command import assignments
from tasks.task import inputs_of

if TYPE_CHECKING:
    from openseek.data.thresholds import Change, Comparison


def thresholds(
    filtered: tyro.conf.Positional[Path],
    set: tuple[str, ...] = (),  # noqa: A002
    source: str | None = None,
    examples: int = 5,
) -> int:
    """Decide the documents of a finished `filter` again by other thresholds; reads no text and changes nothing.

    Args:
        filtered: Directory of a finished `filter`.
        set: Fields to change, as FIELD=VALUE with a dotted name, such as gopher_quality.min_words=30.
        source: Count this source only.
        examples: Documents to show of those that change sides, each way.
    """
    from rich.console import Console
    from rich.table import Table

    from openseek.data import thresholds as decided
    from openseek.fields import changed

    manifest = read_manifest(filtered)
    shards = sorted((filtered / "statistics").glob("*.parquet"))
    if manifest["task"] != "filter" or not shards:
        raise ValueError(f"{filtered} holds no statistics of `filter`: give the directory of a finished `filter`")
    config = decided.restored(manifest["config"])
    wanted = changed(config, assignments(set))
    try:
        found = _compare(shards, decided.steps(config), decided.steps(wanted), source, examples)
    except ValueError as error:
        raise ValueError(f"{error}; run it for real:\n  {_command(filtered, manifest, wanted)}") from error
    before = {rule: count for rule, count in found.dropped[0].items() if count}
    if source is None and before != manifest["facts"]["dropped"]:
        raise ValueError(f"{filtered} was made by other rules than this version has: run `openseek filter` again")
    if not found.rows:
        raise ValueError(f"no document of {filtered} has the source {source!r}")
    table = Table(
        "", "documents", "kept before", "kept after", title=f"{filtered.name}, by source", title_justify="left"
    )
    for name, counts in sorted(found.sources.items()):
        table.add_row(name, *(f"{count:,}" for count in counts))
    table.add_row("all", *(f"{sum(c):,}" for c in zip(*found.sources.values(), strict=True)), style="bold")
    rules = Table("first broken rule", "dropped before", "after", "", title="by rule", title_justify="left")
    for rule in dict.fromkeys([*found.dropped[0], *found.dropped[1]]):
        was, now = (counts[rule] for counts in found.dropped)
        if was or now:
            rules.add_row(rule, f"{was:,}", f"{now:,}", f"{now - was:+,}" if now != was else "")
    console = Console()
    console.print(table, rules)
    print(f"{found.changes[0]:,} documents would go, {found.changes[1]:,} would stay after all")
    documents = inputs_of(manifest, filtered.resolve().parent)[0]
    _show("would go", found.lost, documents)
    _show("would stay after all", found.gained, documents)
    print(f"run it for real:\n  {_command(filtered, manifest, wanted)}")
    return 0


def _compare(shards: list[Path], before: list, after: list, source: str | None, examples: int) -> Comparison:
    import pyarrow.parquet as pq

    from openseek.data.thresholds import Comparison

    found = Comparison(before, after, pq.read_schema(shards[0]), examples)
    for index, shard in enumerate(shards):
        row = 0
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(1 << 16):
                found.add(batch, index, row, source)
                row += batch.num_rows
    return found


def _show(heading: str, changes: list[Change], documents: Path) -> None:
    """Documents that change sides, with the addresses that the input has for them, where it is still there."""
    if changes:
        print(f"{heading}, for example:")
    for change in changes:
        url = _url(documents / "data" / f"{change.shard:05d}.parquet", change.row)
        print(f"  {change.id} {change.rule} {change.value:.6g} (limit {change.limit:g}) {url}".rstrip())


def _url(shard: Path, row: int) -> str:
    import pyarrow.parquet as pq

    if not shard.exists():
        return ""
    with pq.ParquetFile(shard) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if row < count:
                return file.read_row_group(group, columns=["url"])["url"][row].as_py() or ""
            row -= count
    raise AssertionError(f"{shard} has no row {row}")


def _command(filtered: Path, manifest: dict, wanted) -> str:  # noqa: ANN001
    from openseek.data.thresholds import UNKNOWN, as_options

    root = filtered.resolve().parent
    words = ["openseek filter", "--documents", shlex.quote(str(inputs_of(manifest, root)[0]))]
    words += ["--root", shlex.quote(str(root))]
    options = as_options(wanted)
    note = "  (name the lists of words in it)" if any(UNKNOWN in option for option in options) else ""
    return " ".join([*words, *(["--set", *options] if options else [])]) + note
