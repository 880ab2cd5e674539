"""export: a checkpoint as a Hugging Face folder, with where it came from; convert: to Megatron's layout and back."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from openseek.artifact import MANIFEST, Facts, read_manifest, write_text
from openseek.model.convert import Convert
from openseek.model.export import Export
from tasks import where
from tasks.task import inputs_of, progress, task


@task
def export(out: Path, checkpoint: Path, config: Export = Export()) -> Facts:
    """Write a checkpoint as a Hugging Face folder, checked against transformers."""
    from openseek.model.export import model_card, verify, write_folder

    source, folder = checkpoint / "checkpoint", out / "checkpoint"
    write_folder(source, folder, config)
    checks = verify(source, folder, config)
    history = lineage(checkpoint, where.current().root)
    shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_text(folder / "README.md", model_card(config, shape, history, checks))
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {**checks, "bytes": size, "steps_before": len(history)}


@task(bare=("checkpoint",))
def convert(out: Path, checkpoint: Path, config: Convert = Convert()) -> Facts:
    """Write a checkpoint (an artifact, or any folder) in another layout: Megatron's ranks, or Hugging Face files."""
    from openseek.model.convert import convert_folder

    folder = out / "checkpoint"
    # What a killed run left is of the same fingerprint, and of no use: files appear all at once.
    shutil.rmtree(folder, ignore_errors=True)
    return convert_folder(checkpoint, folder, config, partial(progress, "convert"))


def lineage(directory: Path, root: Path) -> list[dict[str, Any]]:
    """Manifests of `directory` and of all that it came from, each once, inputs before what used them.

    An artifact that has been deleted since is left out with what came before it.
    """
    found: dict[str, dict[str, Any]] = {}

    def visit(folder: Path) -> None:
        if not (folder / MANIFEST).is_file():
            return
        manifest = read_manifest(folder)
        if manifest["fingerprint"] not in found:
            for before in inputs_of(manifest, root):
                visit(before)
            found[manifest["fingerprint"]] = manifest

    visit(directory)
    return list(found.values())
