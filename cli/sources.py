"""`openseek sources`: the catalogue of public sources, and whether one can be read from here."""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from openseek.data.sources.entry import Entry

PACKAGES = {"hf": "huggingface_hub", "s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
"""Scheme of a URL -> the package that reads it."""
TOKEN = "HF_TOKEN"


def sources(
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    check: bool = False,
    mirror: str = "",
    override: tuple[str, ...] = (),
    timeout: float = 30.0,
) -> int:
    """List the sources that `openseek ingest --config.source NAME` knows, or tell all of some.

    Args:
        names: Sources to tell all of; none: a table of all.
        check: Say what each needs, and read the first record of each that is named.
        mirror: Folder or URL that holds the named sets as their homes do; {dataset} in it is each set's folder.
        override: Fields of the named sources, as FIELD=VALUE, such as content.root=DIR.
        timeout: Seconds to wait for a place that does not answer.
    """
    from openseek.data.sources.catalogue import CATALOGUE, chosen

    for name in names:
        chosen((name,))
    entries = [CATALOGUE[name] for name in names or CATALOGUE]
    if not check:
        _details(entries) if names else _table(entries)
        return 0
    _needs(entries, mirror)
    failed = [entry.name for entry in entries if names and not _read(entry, mirror, override, timeout)]
    return 1 if failed else 0


def _table(entries: "list[Entry]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="openseek ingest --config.source NAME ...", title_justify="left")
    for column in ("name", "language", "domain", "licence", "size", "access"):
        table.add_column(column, no_wrap=column == "name")
    for entry in entries:
        table.add_row(entry.name, entry.lang or "any", entry.domain, entry.licence, entry.size, entry.access)
    Console().print(table)


def _details(entries: "list[Entry]") -> None:
    for entry in entries:
        source = entry.source()
        told = {
            "title": entry.title,
            "home": entry.base,
            "files": entry.path + (f", listed in {entry.index}" if entry.index else ""),
            "format": f"{entry.format}, text in {source.content.column or entry.text_column!r}"
            + (f", fetched by it from {source.content.root}" if source.content.column else ""),
            "other columns": ", ".join(entry.columns),
            "language, domain": f"{entry.lang or 'identified'}, {entry.domain}",
            "size": entry.size,
            "licence": f"{entry.licence}: {entry.licence_basis}",
            "access": f"{entry.access}: {entry.access_note}",
            "never with": ", ".join(entry.inside),
            "overlaps": entry.overlaps,
            "rests on": entry.evidence,
            "mirror": f"--config.mirror DIR reads DIR/{entry.path}; {{dataset}} in DIR is {entry.dataset}",
        }
        print(entry.name)
        for key, value in told.items():
            if value:
                print(f"  {key:<16} {value}")


def _needs(entries: "list[Entry]", mirror: str) -> None:
    """What each entry asks of its reader, and what of it is there; a token's presence is told, never the token."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{TOKEN} is {'set' if os.environ.get(TOKEN) else 'not set'}", title_justify="left")
    for column in ("name", "access", "to do", "package"):
        table.add_column(column, no_wrap=column == "name")
    for entry in entries:
        place = mirror or entry.index or entry.base
        schemes = {address.partition("://")[0] for address in (place, entry.content.root) if "://" in address}
        wanted = sorted({PACKAGES[scheme] for scheme in schemes if scheme in PACKAGES})
        there = [f"{name} {'is there' if find_spec(name) else 'is missing: pip install ' + name}" for name in wanted]
        table.add_row(entry.name, entry.access, _to_do(entry, mirror), ", ".join(there) or "none")
    Console().print(table)


def _to_do(entry: "Entry", mirror: str) -> str:
    if mirror:
        return "nothing: a mirror is read"
    if entry.access == "open" or os.environ.get(TOKEN):
        return entry.access_note
    return f"{entry.access_note} ({TOKEN} is not set)"


def _read(entry: "Entry", mirror: str, override: tuple[str, ...], timeout: float) -> bool:
    """Read the first record of an entry and tell what was found; whether it is as the catalogue says."""
    from openseek.data.sources import Ingest
    from openseek.data.sources.probe import probe

    (source,) = Ingest(source=(entry.name,), mirror=mirror, override=override).resolved().sources
    try:
        found = probe(source, entry.columns, timeout)
    except ValueError as error:
        print(f"{entry.name}: FAILED: {error}")
        return False
    print(
        f"{entry.name}: {found.file} has {', '.join(found.columns)}" + (f"; {found.content}" if found.content else "")
    )
    return True
