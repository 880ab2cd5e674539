"""What every step did, from its manifest: one row a step, as Markdown, as a terminal table, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import read_manifest

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

COLUMNS = ("task", "seconds", "in", "kept", "dropped", "quarantined", "tokens", "losses", "scores", "folder")
# Facts are shown under losses and scores by what their names hold; the most telling first, as many as fit a table.
LOSSES = ("heldout_loss", "unigram_entropy", "supervised_loss", "lm_loss", "loss")
SCORES = ("scores", "reward_before", "reward_after", "reward", "acc", "auc")
SHOWN = 3
FILE_WIDTH = 170


def rows(artifacts: Mapping[str, Path]) -> list[Row]:
    """One row for each finished step, in the order of the mapping; losses and scores are mappings of numbers."""
    return [_row(step, path) for step, path in artifacts.items()]


def _row(step: str, path: Path) -> Row:
    facts = read_manifest(path)["facts"]
    flat = {name: value for name, value in _flat(facts) if not name.startswith("dropped.")}
    counted = "rows_in" in facts
    return {
        "task": step,
        "seconds": facts.get("seconds"),
        "in": facts.get("rows_in"),
        "kept": facts.get("rows_out"),
        "dropped": sum(facts.get("dropped", {}).values()) if counted else None,
        "quarantined": facts.get("quarantined", 0) if counted else None,
        "tokens": facts.get("tokens") if isinstance(facts.get("tokens"), int) else None,
        "losses": _named(flat, LOSSES),
        "scores": {name: value for name, value in _named(flat, SCORES).items() if "loss" not in name},
        "folder": str(path),
    }


def _named(facts: Mapping[str, float], parts: Sequence[str]) -> dict[str, float]:
    """The facts whose name holds one of `parts` as whole words, in the order of `parts`."""
    found: dict[str, float] = {}
    for part in parts:
        for name, value in facts.items():
            if f"_{part}_" in f"_{name.replace('.', '_')}_":
                found.setdefault(name, value)
    return found


def numbers(rows: Sequence[Row]) -> dict[str, float]:
    """The losses, scores and seconds of all rows under dotted names, for a tracker."""
    found: dict[str, float] = {}
    for row in rows:
        for name, value in {**row["losses"], **row["scores"]}.items():
            found[f"{row['task']}.{name}"] = float(value)
        if row["seconds"] is not None:
            found[f"{row['task']}.seconds"] = float(row["seconds"])
    return found


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'|'.join('---' if _is_text(c) else '---:' for c in COLUMNS)}|"]
    for row in rows:
        lines.append(f"| {' | '.join(_cell(row[column]).replace('|', '/') for column in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def show(rows: Sequence[Row], title: str = "") -> None:
    """Print the rows as a table; a file or a pipe, which has no width of its own, gets enough for every column."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    console.print(table(rows, title))


def table(rows: Sequence[Row], title: str = "") -> Table:
    """The rows as a table of rich; folders by their names below the root."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        whole = column in ("task", "folder") or not _is_text(column)
        made.add_column(column, justify="left" if _is_text(column) else "right", no_wrap=whole, overflow="fold")
    for row in rows:
        made.add_row(*(_cell(row[column], "\n") for column in COLUMNS[:-1]), Path(row["folder"]).name)
    return made


def _is_text(column: str) -> bool:
    return column in ("task", "losses", "scores", "folder")


def _cell(value: Any, separator: str = ", ") -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        shown = [f"{name} {number:.4g}" for name, number in list(value.items())[:SHOWN]]
        return separator.join([*shown, "…"] if len(value) > SHOWN else shown)
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Dotted names of the numbers in nested facts."""
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value
