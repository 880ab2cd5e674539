"""Two trainings or two evaluations side by side, each with the runs that differ from it in nothing but the seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openseek.artifact import MANIFEST, canonical, read_manifest

TRAININGS, EVALUATION, SWEEP = ("pretrain",), "evaluate", "conclude"


@dataclass(frozen=True)
class Side:
    """One training with its repeats."""

    name: str
    weights: dict[str, float] = field(default_factory=dict)
    """Share of each source of its mixture."""
    losses: dict[int, dict[str, float]] = field(default_factory=dict)
    """{seed: {source: held-out bits per byte}}."""
    tokens: int = 0
    """Tokens trained on."""

    @property
    def means(self) -> dict[int, float]:
        """{seed: mean over the sources}."""
        return {seed: sum(each.values()) / len(each) for seed, each in self.losses.items() if each}


def found(run: str, root: Path) -> Path:
    """The artifact that a run names: its folder, its name below the root, or the id or name of an MLflow run."""
    for path in (Path(run), root / run):
        if (path / MANIFEST).is_file():
            return path.resolve()
    from openseek import tracking

    named = (
        tracking.name_of(f"sqlite:///{(root / 'mlflow.db').resolve()}", run) if (root / "mlflow.db").exists() else None
    )
    if named and (root / named / MANIFEST).is_file():
        return (root / named).resolve()
    raise ValueError(
        f"{run!r} is no finished artifact below {root}, and no MLflow run of one: `openseek runs` lists them"
    )


def side(training: Path) -> Side:
    """A training, with those beside it that had the same mixture and settings but another seed."""
    manifest = read_manifest(training)
    if manifest["task"] not in TRAININGS:
        raise ValueError(f"{training} is of the task {manifest['task']}: give two trainings, or two evaluations")
    losses: dict[int, dict[str, float]] = {}
    for path in sorted(training.parent.glob(f"{manifest['task']}*/{MANIFEST}")):
        other = read_manifest(path.parent)
        same = other["inputs"] == manifest["inputs"] and _without_seed(other) == _without_seed(manifest)
        if same and (held := other["facts"].get("heldout_bits_per_byte")):
            losses[other["config"]["seed"]] = held
    mixture = json.loads((training.parent / manifest["inputs"]["mixture"]["path"] / "mixture.json").read_text("utf-8"))
    weights = {entry["source"]: entry["weight"] for entry in mixture["entries"]}
    return Side(training.name, weights, losses, manifest["config"]["train_tokens"])


def _without_seed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in canonical(manifest["config"]).items() if name != "seed"}


def noise_beside(training: Path) -> tuple[float, int] | None:
    """Standard deviation of one training and its degrees of freedom, as the newest sweep below the root measured it."""
    newest = training.parent / SWEEP
    if not (newest / MANIFEST).is_file():
        return None
    facts = read_manifest(newest)["facts"]
    return facts["noise"], facts["noise_freedom"]


def scored(evaluation: Path) -> dict[str, dict[str, float]]:
    """{benchmark: {hashes of document and prompt: score}} of an evaluation; bits are over the bytes of their text."""
    import pyarrow.parquet as pq

    items: dict[str, dict[str, float]] = {}
    for row in pq.read_table(evaluation / "data" / "00000.parquet").to_pylist():
        key = f"{row['doc_hash']}-{row['prompt_hash']}"
        items.setdefault(row["benchmark"], {})[key] = row["value"] / (row["weight"] or 1.0)
    return items
