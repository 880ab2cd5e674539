"""`openseek ablate A B --seeds 3`: two recipes at equal tokens; `--without STAGE ...`: what each stage is worth."""

from pathlib import Path

import tyro

from tasks.command import assignments
from tasks.where import current


def ablate(
    a: tyro.conf.Positional[str] = "debug",
    b: tyro.conf.Positional[str] = "",
    without: tuple[str, ...] = (),
    seeds: int = 3,
    workers: int = 1,
    root: Path | None = None,
    set: tuple[str, ...] = (),  # noqa: A002
    where: Path | None = None,
) -> int:
    """Compare two recipes at equal tokens, or a recipe without single stages, in bits per byte of fixed texts.

    Args:
        a: Name of a recipe, or a YAML file with `base: NAME` and the fields that differ.
        b: The recipe to compare it with; left out: A without each stage of --without.
        without: Stages to leave out one at a time, such as filter select; a+b leaves two out together.
        seeds: Trainings of each side.
        workers: Trainings that run at the same time.
        root: Folder that holds the artifacts (by default OPENSEEK_ROOT, else `runs`).
        set: Fields to change in both, as FIELD=VALUE with a dotted field name.
        where: YAML file with dask, executor and tracking_uri.
    """
    from typing import Any, cast

    from rich.console import Console
    from rich.markdown import Markdown

    from flows.server import under_prefect
    from openseek.recipes import load_recipe
    from openseek.sweep.pages import ablation

    root, overrides = root or current().root, assignments(set)
    for recipe in filter(None, (a, b)):
        load_recipe(recipe, overrides)
    if not b and not without:
        raise ValueError("give a second recipe, or --without and the stages to leave out")
    with under_prefect(root, where):
        from flows.experiments import ablate as flow

        arguments = {"without": list(without), "seeds": seeds, "workers": workers}
        found = cast(Any, flow(recipe=a, other=b, root=str(root), overrides=overrides, **arguments))
    Console().print(Markdown(ablation(found)))
    return 0
