"""`openseek why ID`: the life of one document through the artifacts of a root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from cli.runs import artifacts
from openseek.artifact import read_manifest
from tasks.where import current

if TYPE_CHECKING:
    from rich.console import Console

    from openseek.data.side_by_side import Piece

MOST_CUTS, MOST_PIECES, MOST_CHARACTERS = 3, 40, 400
"""Passages of one document, parts of a text, and characters of a part that are shown."""


def why(
    document: tyro.conf.Positional[str] = "",
    root: Path | None = None,
    text: bool = False,
    side_by_side: bool = True,
    token: str = "",
) -> int:
    """Tell where a document came from, which steps kept it, which rule dropped it, and for which other document.

    Args:
        document: Document id (or its first characters), or a part of its URL.
        token: In place of a document, PREFIX:POSITION of a token in a token shard (runs/tokenize/data/web-00000:1234).
        root: Folder that holds the artifacts.
        text: Print the text as the last step had it.
        side_by_side: Show what deduplication took beside the text that stays, the common part marked.
    """
    from openseek.data.side_by_side import visible

    root = root or current().root
    document = _document_of(token) if token else document
    if not document:
        raise ValueError("give a document's id, a part of its URL, or --token PREFIX:POSITION")
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
                print(f"  {directory.name}: {visible(line)}")
            if found and side_by_side:
                _compare(root, directory, identity)
        if text and last is not None:
            print(visible(last["text"]))
    return 0


def _document_of(token: str) -> str:
    """The id of the document that a token belongs to, which it prints."""
    from openseek.data.token_lineage import document_at

    prefix, colon, position = token.rpartition(":")
    if not colon or not position.isdecimal():
        raise ValueError(f"--token {token!r} is not PREFIX:POSITION, such as runs/tokenize/data/web-00000:1234")
    row = document_at(Path(prefix), int(position))
    number = int(position) - row["first_token"]
    print(f"token {position} of {prefix} is token {number} of {row['tokens']} of document {row['id']}")
    print(
        f"  source {row['source']}, language {row['lang']}, licence {row['licence']}: {row['shard']}, row {row['row']}"
    )
    return row["id"]


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


def _tables(folder: Path, columns: list[str] | None = None, every: bool = False) -> list[Any]:
    """The tables of a folder that have these columns: those columns of them, or `every` one."""
    import pyarrow.parquet as pq

    tables = []
    for path in sorted(folder.glob("*.parquet")):
        names = pq.read_schema(path).names
        if "id" in names and all(c in names for c in columns or []):
            tables.append(pq.read_table(path, columns=None if every else columns))
    return tables


def _story(directory: Path, identity: str, last: dict[str, Any] | None) -> tuple[list[str], dict[str, Any] | None]:
    """What one artifact did with a document, and its row there if it was kept."""
    pc = _compute()

    lines, dropped = [], False
    for table in _tables(directory / "data", ["id", "source", "first_token", "tokens"]):
        for row in table.filter(pc.equal(table["id"], identity)).to_pylist():
            lines.append(f"tokenized ({row['tokens']} tokens from {row['first_token']} on, of {row['source']})")
    for table in _tables(directory / "data", ["id", "url"]):
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
    cuts = _cuts(directory, identity)
    if cuts:
        lines.append(f"cut: {len(cuts)} passages, {sum(c['stop'] - c['start'] for c in cuts):,} bytes")
    if dropped:
        lines += _numbers(directory, identity)
    return lines, last


def _cuts(directory: Path, identity: str) -> list[dict[str, Any]]:
    """The passages that a step cut out of a document, in order."""
    pc = _compute()

    return [
        row
        for table in _tables(directory / "cut", ["id", "start", "stop", "partner"])
        for row in table.filter(pc.equal(table["id"], identity)).to_pylist()
    ]


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

    for table in _tables(directory / "data", ["url"], every=True):
        rows = table.filter(pc.equal(table["id"], identity)).to_pylist()
        if rows:
            return rows[0]
    raise AssertionError(f"{identity} vanished from {directory}")


def _compare(root: Path, directory: Path, identity: str) -> None:
    """Show what a deduplicating step took of a document beside the text that stays in its place."""
    from rich.console import Console

    from openseek.data.side_by_side import passage, pieces

    whole, cuts = _partners(directory, identity)
    if not whole and not cuts:
        return
    wanted = {identity, *(row["partner"] for row in (*whole, *cuts[:MOST_CUTS]) if row["partner"])}
    texts = _texts(root, directory, wanted)
    if identity not in texts:
        print(f"  {directory.name}: the text that it read is no longer below {root}")
        return
    mine, console = texts[identity]["text"], Console(highlight=False)
    for row in whole:
        partner = texts.get(row["partner"])
        head = _heading("dropped", identity, texts), _heading("instead of it", row["partner"], texts)
        _show(console, head, pieces(mine, partner["text"] if partner else ""))
    for row in cuts[:MOST_CUTS]:
        partner = texts.get(row["partner"] or "")
        span = f"cut from byte {row['start']:,} to {row['stop']:,}"
        head = _heading(span, identity, texts), _heading("it stands in", row["partner"], texts)
        _show(console, head, passage(mine, row["start"], row["stop"], partner["text"] if partner else None))
    if len(cuts) > MOST_CUTS:
        print(f"  … {len(cuts) - MOST_CUTS:,} more passages are cut")


def _partners(directory: Path, identity: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(the row that dropped a document for another one, passages cut out of it) of a deduplicating step."""
    pc = _compute()

    if not read_manifest(directory)["task"].startswith("dedup"):
        return [], []
    cuts = _cuts(directory, identity)
    dropped = [
        row
        for table in _tables(directory / "dropped")
        for row in table.filter(pc.equal(table["id"], identity)).to_pylist()
        if row["first"]
    ]
    spans = [row for row in dropped if row["start"] is not None]
    return [row for row in dropped if row["start"] is None and not cuts], cuts or spans


def _texts(root: Path, directory: Path, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Documents by id, from the inputs of a step; those of `against`, an earlier pass, from its own inputs too."""
    from openseek.data.lookup import find_documents

    found: dict[str, dict[str, Any]] = {}
    for folder in _inputs(root, directory, set()):
        missing = wanted - set(found)
        shards = sorted((folder / "data").glob("*.parquet"))
        found |= find_documents(shards, missing) if missing else {}
    return found


def _inputs(root: Path, directory: Path, seen: set[Path]) -> Iterator[Path]:
    """The folders that a step read, an earlier pass and what that one read last."""
    records = read_manifest(directory)["inputs"]
    for name in sorted((name for name, record in records.items() if record), key=lambda name: name == "against"):
        folder = root / records[name]["path"]
        if folder in seen or not folder.is_dir():
            continue
        seen.add(folder)
        yield folder
        if name == "against":
            yield from _inputs(root, folder, seen)


def _heading(what: str, identity: str | None, texts: dict[str, dict[str, Any]]) -> str:
    from openseek.data.side_by_side import visible

    if identity is None:
        return f"{what}: not recorded"
    if identity not in texts:
        return f"{what}: {identity} (its text is in no input)"
    document = texts[identity]
    return visible(f"{what}: {identity} ({document['source']}, {len(document['text']):,} characters) {document['url']}")


def _show(console: Console, head: tuple[str, str], found: list[Piece]) -> None:
    """Two columns where a person looks; else lines that begin with `=` (common), `-` (gone) or `+` (stays)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from openseek.data.side_by_side import common_share, shorter, visible

    share = f"{common_share(found):.0%} of the characters are common"
    shown = shorter(found, MOST_PIECES, MOST_CHARACTERS)
    rows = [(piece.equal, visible(piece.left), visible(piece.right)) for piece in shown]
    if not console.is_terminal:
        print("\n".join(["", f"--- {head[0]}", f"+++ {head[1]}", *_lines(rows), f"    {share}", ""]))
        return
    table = Table(box=box.SIMPLE, expand=True, show_lines=False, caption=share)
    for title in head:
        table.add_column(Text(title), ratio=1, overflow="fold")
    for equal, left, right in rows:
        style = "black on green" if equal else ""
        table.add_row(Text(left, style=style), Text(right, style=style))
    console.print(table)


def _lines(rows: list[tuple[bool, str, str]]) -> Iterator[str]:
    for equal, left, right in rows:
        if equal:
            yield f"= {left}"
        else:
            yield from (f"{sign} {text}" for sign, text in (("-", left), ("+", right)) if text)
