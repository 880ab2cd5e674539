"""`openseek adopt`: accept a finished artifact for a new fingerprint, on record."""

import os
import shutil
from pathlib import Path

import tyro

from cli.run import planned
from openseek.artifact import MANIFEST, is_finished, point_link, read_manifest, rename_into_place, write_json
from tasks.command import assignments
from tasks.where import current


def adopt(
    artifact: tyro.conf.Positional[Path],
    step: str,
    why: str,
    recipe: str = "debug",
    root: Path | None = None,
    set: tuple[str, ...] = (),  # noqa: A002
) -> int:
    """Accept a finished artifact for the fingerprint that a recipe's step has now; its manifest keeps the record.

    Use it when a change of config, code version or input does not change the result that you want to keep.

    Args:
        artifact: Directory of the finished artifact.
        step: Step of the recipe (NAME or NAME.LABEL) that takes it over.
        why: Reason, kept in the new manifest.
        recipe: Name of a recipe, or a YAML file.
        root: Folder that holds the artifacts.
        set: Fields to change, as FIELD=VALUE with a dotted field name.
    """
    from openseek.recipes import load_recipe

    root = root or current().root
    steps = {s.name: s for s in planned(load_recipe(recipe, assignments(set)), root)}
    if step not in steps:
        raise ValueError(f"{step!r} is no step of {recipe}; the steps are {', '.join(steps)}")
    wanted, manifest = steps[step], read_manifest(artifact)
    if manifest["task"] != wanted.task:
        raise ValueError(f"{artifact} was made by {manifest['task']}, not by {wanted.task}: give an artifact of {step}")
    if is_finished(wanted.directory):
        raise ValueError(f"{wanted.directory} is finished already: nothing to adopt")
    temporary = root / f".{wanted.directory.name}.adopt"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(artifact.resolve(), temporary, ignore=shutil.ignore_patterns(".*", MANIFEST), copy_function=_link)
    record = {"from": manifest["fingerprint"], "directory": artifact.resolve().name, "why": why}
    write_json(
        temporary / MANIFEST,
        {
            **manifest,
            "fingerprint": wanted.fingerprint,
            "label": wanted.label,
            "inputs": wanted.inputs,
            "adopted": record,
        },
    )
    rename_into_place(temporary, wanted.directory)
    point_link(wanted.directory, root / wanted.name)
    print(f"{wanted.directory} now holds {artifact} as {step}; `openseek diff` shows what its record says")
    return 0


def _link(source: str, target: str) -> str:
    """A hard link where the disk allows it: adopting copies no data."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
