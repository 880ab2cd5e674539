"""`openseek sweep`: proxy trainings of a recipe, batch by batch, until the best mixture is found and checked."""

from pathlib import Path

from tasks.command import assignments
from tasks.where import current


def sweep(
    recipe: str = "debug",
    root: Path | None = None,
    set: tuple[str, ...] = (),  # noqa: A002
    where: Path | None = None,
) -> int:
    """Look for the best mixture (or other fields) of a recipe by proxy trainings, and check it.

    A sweep that was killed goes on with the same command.

    Args:
        recipe: Name of a recipe, or a YAML file with `base: NAME` and the fields that differ.
        root: Folder that holds the artifacts (by default OPENSEEK_ROOT, else `runs`).
        set: Fields to change, as FIELD=VALUE with a dotted field name: --set sweep.search.budget_runs=24
        where: YAML file with dask, executor and tracking_uri.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from flows.server import under_prefect
    from openseek.recipes import load_recipe
    from tasks.task import REPORT

    root, overrides = root or current().root, assignments(set)
    load_recipe(recipe, overrides)
    with under_prefect(root, where):
        from flows.experiments import sweep as flow

        done = flow(recipe=recipe, root=str(root), overrides=overrides)
    report = Path(done["conclude"]) / REPORT
    Console().print(Markdown(report.read_text(encoding="utf-8").partition("## Every training")[0]))
    print(f"report and plots: {report.parent}")
    return 0
