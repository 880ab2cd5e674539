"""`openseek run`: a recipe through the whole lifecycle, under Prefect; a finished one is walked without a server."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.command import assignments
from tasks.where import PlannedStep, Where, current, using

if TYPE_CHECKING:
    from openseek.recipes import Recipe  # late: --help needs no recipe


def run(
    recipe: str = "debug",
    root: Path | None = None,
    set: tuple[str, ...] = (),  # noqa: A002
    where: Path | None = None,
    dry_run: bool = False,
) -> int:
    """Take a recipe through the whole lifecycle, doing only what is not done.

    Args:
        recipe: Name of a recipe, or a YAML file with `base: NAME` and the fields that differ.
        root: Folder that holds the artifacts (by default OPENSEEK_ROOT, else `runs`).
        set: Fields to change, as FIELD=VALUE with a dotted field name: --set pretrain.train_tokens=100000
        where: YAML file with dask, executor and tracking_uri.
        dry_run: Show what would be done, and do nothing.
    """
    from rich.console import Console

    from flows import summary
    from openseek.recipes import load_recipe

    started = time.monotonic()
    root = root or current().root
    overrides = assignments(set)
    steps = planned(load_recipe(recipe, overrides), root)
    todo = [step for step in steps if not step.done]
    console = Console()
    if dry_run:
        console.print(plan_table(steps, root))
        return 0
    if todo:
        _flow(recipe, root, overrides, where)
    done = {step.name: step.directory for step in steps}
    title = f"{recipe}: {len(steps)} steps, {len(todo)} done now, {len(steps) - len(todo)} found done"
    summary.show(summary.rows(done), title)
    if not todo:
        print(f"everything was done already: nothing ran, no server was started ({time.monotonic() - started:.1f} s)")
    from flows.place import read_place, tracking_uri

    uri = tracking_uri(read_place(where, root), root)
    print(f"artifacts: {root.resolve()}")
    if uri and uri.startswith("sqlite"):
        print(f"MLflow UI: mlflow ui --host 127.0.0.1 --backend-store-uri {uri}    (or `openseek up`)")
    elif uri:
        print(f"MLflow UI: {uri}")
    return 0


def _flow(recipe: str, root: Path, overrides: dict[str, Any], where: Path | None) -> None:
    """Call the flow here: with the Prefect server that PREFECT_API_URL names, else a temporary one."""
    from flows.server import under_prefect

    with under_prefect(root, where):
        from flows.deployments import openseek

        openseek(recipe=recipe, root=str(root), overrides=overrides)


def planned(recipe: "Recipe", root: Path) -> list[PlannedStep]:
    """Every step of the lifecycle in order, with its fingerprint and whether it is done; runs nothing."""
    from flows.lifecycle import lifecycle

    steps: list[PlannedStep] = []
    with using(dataclasses.replace(Where(root=root), plan=steps)):
        lifecycle(recipe)
    return steps


def plan_table(steps: list[PlannedStep], root: Path) -> Any:
    """The steps as a table: done or to do, and why."""
    from rich.table import Table

    todo = sum(not step.done for step in steps)
    table = Table(title=f"{root}: {len(steps) - todo} steps done, {todo} to do", title_justify="left")
    for column in ("step", "state", "artifact", "why"):
        table.add_column(column, overflow="fold")
    changed_steps: set[str] = set()
    for step in steps:
        why = "" if step.done else reason(step, root, changed_steps)
        if not step.done:
            changed_steps.add(step.directory.name)
        table.add_row(step.name, "done" if step.done else "to do", step.directory.name, why)
    return table


def reason(step: PlannedStep, root: Path, todo: set[str]) -> str:
    """Why a step is not done: never run, unfinished, or what differs from the newest artifact of its name."""
    from cli.diff import differences
    from openseek.artifact import STARTED, canonical, is_finished, read_manifest

    if (step.directory / STARTED).exists():
        return "unfinished: goes on where it stopped"
    newest = root / step.name
    if not is_finished(newest):
        return "never run here"
    manifest = read_manifest(newest)
    changes = differences(manifest["config"], canonical(step.config, runtime=True))
    found = [f"{path}: {old} -> {new}" for path, old, new in changes[:3]]
    if len(changes) > 3:
        found.append(f"and {len(changes) - 3} more fields")
    for name, record in step.inputs.items():
        held = manifest["inputs"].get(name)
        if record and held and record["fingerprint"] != held["fingerprint"]:
            found.append(f"input {name} " + ("will change" if record["path"] in todo else "changed"))
    return "; ".join(found) or "the task's version changed"
