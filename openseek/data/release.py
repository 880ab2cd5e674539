"""A corpus for publication: whose text may go out, its data card, and the copy to where it is published.

No pyarrow at module level: the config lives here.
"""

import dataclasses
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts, file_digest
from openseek.data.sources.rows import LICENCES

if TYPE_CHECKING:
    import pyarrow as pa

    from openseek.data.sources.suppression import Suppression

STATE = "release.json"
CARD = "README.md"
FOLDERS = ("data", "metadata")
WITHHELD = "text_withheld"
COLUMNS = ("id", "source", "url", "lang", "script", "licence", "date")
SOURCE_IDS = ("warc_record_id", "blob_id", "id")
MEANING = {
    "by": "attribution",
    "by-sa": "attribution, share alike",
    "nc": "no commercial use",
    "nd": "no derived works",
    "permissive": "permissive software licence",
    "public": "public domain",
    "terms": "the source's own terms of use",
    "unknown": "not known",
}


@dataclasses.dataclass(frozen=True)
class Release:
    """Which documents are published with their text, which by id and address only, and where the result goes."""

    name: str = "OpenSeek corpus"
    """Title of the data card."""
    suppression: str = field(default="", metadata={"raw": True})
    """Suppression list, as for ingest: give the current one; what it names is dropped (rule suppressed)."""
    licences: tuple[str, ...] = ("by", "by-sa", "nc", "permissive", "public")
    """Licence classes of documents that are published with their text."""
    metadata_licences: tuple[str, ...] = ("nd", "terms", "unknown")
    """Licence classes of which ids, addresses and scores are published, no text (rule text_withheld)."""
    destination: str = field(default="", metadata={"runtime": True})
    """Folder or URL that the finished files are copied to, such as s3://bucket/name; empty: they are not copied."""

    def __post_init__(self) -> None:
        for name in ("licences", "metadata_licences"):
            if unknown := [c for c in getattr(self, name) if c not in LICENCES]:
                raise ValueError(f"Release.{name} has {unknown[0]!r}: the classes are {', '.join(LICENCES)}")
        if both := set(self.licences) & set(self.metadata_licences):
            raise ValueError(f"Release: {sorted(both)[0]!r} is in licences and in metadata_licences: choose one")
        check_place(self.destination)


def check_place(destination: str) -> None:
    """ValueError for an address that holds an account or a signature: it would be written down."""
    place = urllib.parse.urlsplit(destination)
    if place.scheme and ("@" in place.netloc or place.query):
        raise ValueError(
            f"the destination names an account or a signature for {place.hostname}: give the plain address, "
            f"credentials come from the environment"
        )


def verdicts(batch: "pa.RecordBatch", config: Release, listed: "Suppression | None") -> list[tuple[str, str] | None]:
    """For each document why its text is not published, as (rule, detail), or None."""
    from openseek.data.sources.suppression import RULE, matches

    entries = matches(batch, listed) if listed else [""] * batch.num_rows
    found: list[tuple[str, str] | None] = []
    for entry, licence in zip(entries, batch.column("licence").to_pylist(), strict=True):
        if entry:
            found.append((RULE, entry))
        elif licence in config.licences:
            found.append(None)
        else:
            found.append((WITHHELD if licence in config.metadata_licences else "licence", licence or "none"))
    return found


def counts(batch: "pa.RecordBatch") -> dict[str, int | float]:
    """Rows and characters of a batch as facts: keys are `rows` or `characters`, source, language, licence, by tabs."""
    import pyarrow as pa
    import pyarrow.compute

    compute: Any = pyarrow.compute
    keys = ["source", "lang", "licence"]
    table = pa.table({key: batch.column(key) for key in keys} | {"n": compute.utf8_length(batch.column("text"))})
    found: dict[str, int | float] = {}
    for row in table.group_by(keys).aggregate([("n", "count"), ("n", "sum")]).to_pylist():
        name = "\t".join(row[key] or "" for key in keys)
        found[f"rows\t{name}"], found[f"characters\t{name}"] = row["n_count"], row["n_sum"] or 0
    return found


def metadata(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """What is published of documents without their text: ids, ours and the source's, address, language, scores."""
    import orjson
    import pyarrow as pa

    names = [*COLUMNS, *(name for name in batch.schema.names if name.startswith("score_"))]
    metas = [orjson.loads(text) if text else {} for text in batch.column("meta").to_pylist()]
    own = [next((str(meta[key]) for key in SOURCE_IDS if meta.get(key)), "") for meta in metas]
    arrays = [*(batch.column(name) for name in names), pa.array(own, pa.string())]
    return pa.RecordBatch.from_arrays(arrays, names=[*names, "source_id"])


def split_counts(facts: Facts) -> tuple[Facts, list[dict[str, Any]]]:
    """The facts without those of `counts`, and these as rows {source, lang, licence, rows, characters}."""
    plain = {key: value for key, value in facts.items() if "\t" not in key}
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for key in sorted(facts.keys() - plain.keys()):
        what, *place = key.split("\t")
        row = rows.setdefault(tuple(place), dict(zip(("source", "lang", "licence"), place, strict=True)))
        row[what] = facts[key]
    return plain, list(rows.values())


def data_card(config: Release, facts: Facts, published: list[dict[str, Any]], made: dict[str, str]) -> str:
    """README.md of a release. `made`: what it was made from (fingerprint, commit, suppression ...), as it is told."""
    withheld = facts["dropped"].get(WITHHELD, 0)
    front = ["---", "configs:", "- config_name: text", "  data_files: data/*.parquet"]
    front += ["- config_name: metadata", "  data_files: metadata/*.parquet"] if withheld else []
    characters = sum(row["characters"] for row in published)
    lines = [*front, "---", "", f"# {config.name}", ""]
    lines += [f"{facts['rows_out']:,} documents with their text, {characters:,} characters, in `data/`."]
    if withheld:
        lines += [
            f"{withheld:,} documents by id, address and scores only, in `metadata/`: their licence does not let us "
            f"publish the text. `source_id` is the id that the source itself gives."
        ]
    lines += ["", "| source | language | licence | documents | characters |", "| --- | --- | --- | ---: | ---: |"]
    lines += [
        f"| {row['source']} | {row['lang'] or 'unknown'} | {row['licence']} | {row['rows']:,} | {row['characters']:,} |"
        for row in published
    ]
    classes = sorted({row["licence"] for row in published} | (set(config.metadata_licences) if withheld else set()))
    lines += [
        "",
        "## Licences",
        "",
        "Each document names the class of its licence; its source's own licence holds.",
        "",
    ]
    lines += [f"- {name}: {MEANING[name]}" for name in classes]
    lines += ["", "## Left out", ""]
    lines += [f"- {rule}: {count:,}" for rule, count in facts["dropped"].items()] or ["- nothing"]
    lines += ["", "## Made from", "", *(f"- {key}: {value}" for key, value in made.items() if value), ""]
    return "\n".join(lines)


def published_files(folder: Path) -> Iterator[Path]:
    """The files of a release that are for everybody: not its reasons for dropping, which name what was asked to go."""
    for name in FOLDERS:
        yield from sorted((folder / name).glob("*.parquet"))
    yield folder / CARD


def publish(folder: Path, destination: str, fingerprint: str) -> int:
    """Copy a release's files to a folder or URL; returns how many were copied now.

    Files that are there with their size are not copied again, so an interrupted copy goes on. `release.json`, written
    last, lists them; ValueError when the place holds another release.
    """
    from fsspec.core import url_to_fs

    check_place(destination)
    try:
        system, root = url_to_fs(destination)
    except ImportError as error:
        raise ValueError(f"destination {destination}: {error}") from error
    state = f"{root.rstrip('/')}/{STATE}"
    held = json.loads(system.cat_file(state)) if system.exists(state) else {"fingerprint": fingerprint}
    if held["fingerprint"] != fingerprint:
        raise ValueError(
            f"{destination} holds the release {held['fingerprint'][:8]}, not {fingerprint[:8]}: give another place"
        )
    system.makedirs(root, exist_ok=True)
    _tell(system, state, {"fingerprint": fingerprint, "complete": False})
    copied, listed = 0, []
    for path in published_files(folder):
        name, size = str(path.relative_to(folder)), path.stat().st_size
        target = f"{root.rstrip('/')}/{name}"
        # The card names the commit, which may change while the data stays.
        if path.name == CARD or not system.exists(target) or system.info(target)["size"] != size:
            system.makedirs(target.rpartition("/")[0], exist_ok=True)
            system.put_file(str(path), target)
            copied += 1
            if (arrived := system.info(target)["size"]) != size:
                raise OSError(5, f"{arrived} of {size} bytes arrived: run it again", f"{destination}/{name}")
        listed.append({"path": name, "bytes": size, "xxh3_128": file_digest(path)})
    _tell(system, state, {"fingerprint": fingerprint, "complete": True, "files": listed})
    return copied


def _tell(system: Any, path: str, state: dict[str, Any]) -> None:
    system.pipe_file(path, json.dumps(state, indent=1, sort_keys=True).encode() + b"\n")
