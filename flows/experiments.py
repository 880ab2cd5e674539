"""The flows of experiments: a sweep, an ablation, a ladder; each under one MLflow run with its trainings below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow

from flows.ablation import Arm, Measured, ablation, leave_one_out
from flows.data_ratio import data_ratio
from flows.deployments import Tracked, hooks, tracked_flow
from flows.ladder import ladder
from flows.trainings import Trained, losses
from openseek.recipes import load_recipe
from openseek.sweep import pages
from tasks.conclude import PLOTS
from tasks.task import REPORT


@flow(name="data-ratio", flow_run_name="{recipe}", **hooks)
def sweep(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> dict[str, str]:  # noqa: B006
    """Look for the best mixture (or other fields) of a recipe by proxy trainings, and check it.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, such as {"sweep.search.budget_runs": 24}.
    """
    loaded = load_recipe(recipe, overrides)
    with tracked_flow(recipe, root, loaded) as here:
        counted = _Counted(here)
        done = data_ratio(loaded, counted)
        here.parent.artifact(done["conclude"] / REPORT)
        here.parent.artifact(done["conclude"] / "report.json")
        here.parent.artifact(done["conclude"] / PLOTS, PLOTS)
        return here.steps(done)


@flow(name="ablation", flow_run_name="{recipe}", **hooks)
def ablate(
    recipe: str = "debug",
    other: str = "",
    without: list[str] = [],  # noqa: B006
    seeds: int = 3,
    workers: int = 1,
    root: str = "runs",
    overrides: dict[str, Any] = {},  # noqa: B006
) -> dict[str, dict[str, Any]]:
    """Two recipes at equal tokens, or one recipe without single stages, over several seeds.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        other: The recipe that it is compared with; empty: itself without each stage of `without`.
        without: Stages that are left out one at a time.
        seeds: Trainings of each side.
        workers: Trainings that run at the same time.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, changed in both recipes.
    """
    loaded = load_recipe(recipe, overrides)
    arms = {"A": Arm(loaded), "B": Arm(load_recipe(other, overrides))} if other else leave_one_out(loaded, without)
    if len(arms) < 2:
        raise ValueError("nothing to compare with: name another recipe, or stages to leave out")
    with tracked_flow(recipe, root, loaded) as here:
        found = ablation(arms, seeds, workers, _Counted(here))
        measured = {name: _plain(each) for name, each in found.items()}
        here.page(pages.ablation(measured), "ablation", "every side against the first")
        here.parent.metrics({f"{name}.seed_{s}": v for name, each in found.items() for s, v in each.losses.items()})
        return measured


@flow(name="scaling", flow_run_name="{recipe}", **hooks)
def scale(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> list[dict[str, Any]]:  # noqa: B006
    """Train a ladder of sizes and fit the loss against compute.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name.
    """
    loaded = load_recipe(recipe, overrides)
    with tracked_flow(recipe, root, loaded) as here:
        plain = [{**vars(step), "path": str(step.path)} for step in ladder(loaded, _Counted(here))]
        page, picture = pages.ladder(plain, Path(root) / ".services")
        here.page(page, "ladder", "loss against compute")
        here.parent.artifact(picture, PLOTS)
        return plain


class _Counted:
    """Logs the mean loss of every finished training of a flow as a curve."""

    def __init__(self, here: Tracked) -> None:
        self._here, self._count = here, 0

    def __call__(self, name: str, trained: Trained) -> None:
        facts = trained.facts
        found = facts.get("scores") or (losses(trained) if trained.path else {}) or {}
        if found:
            mean = sum(found.values()) / len(found)
            self._here.parent.metrics({"mean_loss": mean, "loss": found}, step=self._count)
        self._count += 1


def _plain(measured: Measured) -> dict[str, Any]:
    return {
        "losses": measured.losses,
        "scores": measured.scores,
        "paths": [str(path) for path in measured.paths],
        "tokens": measured.tokens,
    }
