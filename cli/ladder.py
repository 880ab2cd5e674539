"""`openseek ladder`: trainings of growing size, and the scaling law that they follow."""

from pathlib import Path

from tasks.command import assignments
from tasks.where import current


def ladder(
    recipe: str = "debug",
    root: Path | None = None,
    set: tuple[str, ...] = (),  # noqa: A002
    where: Path | None = None,
) -> int:
    """Train a recipe in growing sizes and fit the loss against compute.

    Args:
        recipe: Name of a recipe, or a YAML file with `base: NAME` and the fields that differ.
        root: Folder that holds the artifacts (by default OPENSEEK_ROOT, else `runs`).
        set: Fields to change, as FIELD=VALUE with a dotted field name.
        where: YAML file with dask, executor and tracking_uri.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from flows.server import under_prefect
    from openseek.recipes import load_recipe
    from openseek.sweep.pages import ladder as page_of

    root, overrides = root or current().root, assignments(set)
    load_recipe(recipe, overrides)
    with under_prefect(root, where):
        from flows.experiments import scale

        steps = scale(recipe=recipe, root=str(root), overrides=overrides)
    page, picture = page_of(steps, root / ".services")
    Console().print(Markdown(page))
    print(f"picture: {picture}")
    return 0
