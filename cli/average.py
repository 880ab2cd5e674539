"""`openseek average`: the weighted mean of checkpoints, as an artifact that every task takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Average:
    """How checkpoints were averaged, for the manifest."""

    weights: tuple[float, ...]
    """Weight of each checkpoint in order; none weighs all alike."""


def average(checkpoints: tuple[Path, ...], out: Path, weights: tuple[float, ...] = ()) -> int:
    """Average checkpoints of one shape, weights and router biases, block by block; one checkpoint is copied.

    Args:
        checkpoints: Artifacts that hold checkpoint/, or folders in the Hugging Face layout such as RUN/snapshots/STEP.
        out: New folder: an artifact with checkpoint/ in it.
        weights: One weight for each checkpoint; by default all count alike.
    """
    from openseek.artifact import fingerprint, write_manifest
    from openseek.model.average import average_checkpoints

    folders = [path / "checkpoint" if (path / "checkpoint").is_dir() else path for path in checkpoints]
    for folder in folders:
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} has no config.json: give artifacts with checkpoint/, or checkpoint folders")
    facts = average_checkpoints(folders, out / "checkpoint", weights)
    inputs = {f"checkpoint_{i}": _record(path, folders[i]) for i, path in enumerate(checkpoints)}
    config = Average(tuple(weights))
    number = fingerprint("average", 1, {name: record["fingerprint"] for name, record in inputs.items()}, config)
    records: dict[str, dict[str, str] | None] = {**inputs}
    write_manifest(
        out, task="average", label=None, version=1, fingerprint=number, inputs=records, config=config, facts=facts
    )
    print(f"{out}: the average of {len(folders)} checkpoints, {facts['tensors']} tensors, {facts['bytes']:,} bytes")
    return 0


def _record(path: Path, folder: Path) -> dict[str, Any]:
    """{path, fingerprint} of an input; that of a plain folder is made of its files."""
    import hashlib

    from openseek.artifact import file_digest, is_finished, read_manifest

    if is_finished(path):
        return {"path": str(path.resolve()), "fingerprint": read_manifest(path)["fingerprint"]}
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    listing = "\n".join(f"{p.name} {file_digest(p)}" for p in files)
    return {"path": str(folder.resolve()), "fingerprint": hashlib.sha256(listing.encode()).hexdigest()}
