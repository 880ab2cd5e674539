"""`openseek runs`: the artifacts below a root."""

from pathlib import Path
from typing import Any

from openseek.artifact import MANIFEST, STARTED, read_manifest
from tasks.where import current


def artifacts(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Finished artifacts below `root` with their manifests, oldest first."""
    found = [p.parent for p in root.glob(f"*/{MANIFEST}") if not p.parent.is_symlink()]
    return sorted(((d, read_manifest(d)) for d in found), key=lambda pair: (pair[1]["finished"], pair[0].name))


def runs(root: Path | None = None, task: str | None = None) -> int:
    """List the finished and unfinished artifacts below a root.

    Args:
        root: Folder that holds the artifacts.
        task: Show this task only (NAME or NAME.LABEL).
    """
    from rich.console import Console
    from rich.table import Table

    root = root or current().root
    if not root.is_dir():
        raise ValueError(f"{root} does not exist: give the --root of a run")
    table = Table(title=str(root))
    for column in ("artifact", "finished", "seconds", "rows in", "rows out", "dropped", "quarantined", "commit"):
        number = column == "seconds" or "row" in column
        table.add_column(column, justify="right" if number else "left", no_wrap=column == "artifact")
    for directory, manifest in artifacts(root):
        if task and directory.name.rpartition("-")[0] != task:
            continue
        facts = manifest["facts"]
        dropped = sum(facts.get("dropped", {}).values()) if "rows_in" in facts else ""
        cells = [
            facts.get("seconds", ""),
            facts.get("rows_in", ""),
            facts.get("rows_out", ""),
            dropped,
            facts.get("quarantined", ""),
        ]
        table.add_row(directory.name, manifest["finished"], *map(str, cells), manifest["commit"][:8])
    for started in sorted(root.glob(f"*/{STARTED}")):
        if not started.parent.is_symlink():
            table.add_row(started.parent.name, "unfinished: run it again to go on")
    Console().print(table)
    return 0
