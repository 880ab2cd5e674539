"""`openseek plan`: every step of a recipe, what is done, and why the rest is not."""

from pathlib import Path

from cli.run import plan_table, planned
from tasks.command import assignments
from tasks.where import current


def plan(recipe: str = "debug", root: Path | None = None, set: tuple[str, ...] = ()) -> int:  # noqa: A002
    """Show every step of a recipe, what is done, and why the rest is not.

    Args:
        recipe: Name of a recipe, or a YAML file with `base: NAME` and the fields that differ.
        root: Folder that holds the artifacts.
        set: Fields to change, as FIELD=VALUE with a dotted field name.
    """
    from rich.console import Console

    from openseek.recipes import load_recipe

    root = root or current().root
    Console().print(plan_table(planned(load_recipe(recipe, assignments(set)), root), root))
    return 0
