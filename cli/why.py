"""`openseek why ID`: the life of one document through the artifacts of a root."""

from pathlib import Path
from typing import Any

import tyro

from cli.runs import artifacts
from tasks.where import current


def why(document: tyro.conf.Positional[str], root: Path | None = None, text: bool = False) -> int:
    """Tell where a document came from, which steps kept it, and which rule dropped it.

    Args:
        document: Document id (or its first characters), or a part of its URL.
        root: Folder that holds the artifacts.
        text: Print the text as the last step had it.
    """
    root = root or current().root
    identities = _identities(root, document)
    if not identities:
        print(f"no document below {root} has an id that begins with {document!r} or a URL that holds it")
        return 1
    for identity in sorted(identities):
        print(f"document {identity}")
        last = None
        for directory, _ in artifacts(root):
            found, last = _story(directory, identity, last)
            for line in found:
                print(f"  {directory.name}: {line}")
        if text and last is not None:
            print(last["text"])
    return 0


def _identities(root: Path, wanted: str) -> set[str]:
    pc = _compute()

    found: set[str] = set()
    for directory, _ in artifacts(root):
        for table in _tables(directory / "data", ["id", "url"]):
            mask = pc.or_(
                pc.starts_with(table["id"], wanted), pc.fill_null(pc.match_substring(table["url"], wanted), False)
            )
            found |= set(table.filter(mask)["id"].to_pylist())
        for table in _tables(directory / "dropped", ["id"]):
            found |= set(table.filter(pc.starts_with(table["id"], wanted))["id"].to_pylist())
    return found


def _compute() -> Any:
    """pyarrow.compute, whose functions are made at run time: no type checker knows them."""
    import pyarrow.compute

    return pyarrow.compute


def _tables(folder: Path, columns: list[str] | None = None) -> list[Any]:
    import pyarrow.parquet as pq

    tables = []
    for path in sorted(folder.glob("*.parquet")):
        names = pq.read_schema(path).names
        if "id" in names and all(c in names for c in columns or []):
            tables.append(pq.read_table(path, columns=columns))
    return tables


def _story(directory: Path, identity: str, last: dict[str, Any] | None) -> tuple[list[str], dict[str, Any] | None]:
    """What one artifact did with a document, and its row there if it was kept."""
    pc = _compute()

    lines, dropped = [], False
    for table in _tables(directory / "data", ["id"]):
        if pc.any(pc.equal(table["id"], identity)).as_py():
            last = _row(directory, identity)
            scores = {k: round(v, 4) for k, v in last.items() if k.startswith("score_") and v is not None}
            origin = f"kept ({last['source']}, {last['lang']}, {len(last['text'])} characters"
            lines.append(origin + (f", {scores}" if scores else "") + f") {last['url'] or ''}".rstrip())
    for table in _tables(directory / "dropped"):
        for row in table.filter(pc.equal(table["id"], identity)).to_pylist():
            because = (
                f"{row['rule']}: {row['value']} (limit {row['limit']})" if row["value"] is not None else row["rule"]
            )
            more = [f"partner {row['partner']}" if row["partner"] else "", row["detail"] or ""]
            span = f"span {row['start']}..{row['stop']}" if row["start"] is not None else ""
            verb = "dropped by" if row["first"] else "also broke"
            lines.append(" ".join([verb, because, *filter(None, [*more, span])]))
            dropped = True
    if dropped:
        lines += _numbers(directory, identity)
    return lines, last


def _numbers(directory: Path, identity: str) -> list[str]:
    """What the rules of a filter read of a document, zeros left out."""
    pc = _compute()

    for table in _tables(directory / "statistics"):
        for row in table.filter(pc.equal(table["id"], identity)).to_pylist():
            numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and not isinstance(v, bool) and v}
            return ["statistics: " + ", ".join(f"{name} {value:.6g}" for name, value in sorted(numbers.items()))]
    return []


def _row(directory: Path, identity: str) -> dict[str, Any]:
    pc = _compute()

    for table in _tables(directory / "data"):
        rows = table.filter(pc.equal(table["id"], identity)).to_pylist()
        if rows:
            return rows[0]
    raise AssertionError(f"{identity} vanished from {directory}")
