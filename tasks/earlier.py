"""Earlier results of a deduplication: the documents that a later crawl is compared with, and what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openseek.artifact import read_manifest
from tasks.shards import input_shards


def earlier(against: Path | None, *, task: str, fact: str, made: dict[str, Any], kept: str) -> list[tuple[Path, Path]]:
    """(documents, file in the folder `kept`) of each shard of an earlier result of `task`, in order.

    What that one was compared with comes first. Its manifest says under `fact` how the files in `kept` were made:
    ValueError where it does not, or where that is not `made`.
    """
    if against is None:
        return []
    manifest = read_manifest(against)
    found = manifest["facts"].get(fact)
    if found is None:
        raise ValueError(f"{against} is no result of {task} of this version: run it there, then give that folder")
    if found != made:
        raise ValueError(f"{against} was made with {found}, not {made}: use the same settings, or run it again there")
    before = manifest["inputs"].get("against")
    folder = against.resolve().parent / before["path"] if before else None
    own = [(shard, against / kept / f"{shard.stem}.npy") for shard in input_shards(against)]
    return [*earlier(folder, task=task, fact=fact, made=made, kept=kept), *own]
