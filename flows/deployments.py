"""The flows that `prefect.yaml` deploys and `openseek run` calls: the plain order of the steps, under Prefect.

A run that fails can be retried from the UI: the steps that are done are found again by their fingerprints. A run that
is cancelled, or that crashes, ends its Dask workers, its jobs and its MLflow runs.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run as current_run

from flows import summary
from flows.corpus import corpus
from flows.evaluate import evaluation
from flows.lifecycle import lifecycle
from flows.place import at, read_place, tracked, tracking_uri
from flows.posttrain import posttraining
from flows.pretrain import pretraining
from infra.cluster import end_recorded
from openseek import tracking
from openseek.artifact import MANIFEST
from openseek.recipes import Recipe, load_recipe
from tasks.mix import BILL
from tasks.report import PAGE
from tasks.where import Where, using

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

Steps = Callable[[Recipe], dict[str, Path]]


def end_work(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of a cancelled or crashed run: end what it started elsewhere. Does no harm when it is called twice."""
    from tasks.launch import cancel

    root, key = Path(flow_run.parameters.get("root") or "runs"), str(flow_run.id)
    place = read_place(None, root)
    try:
        with using(Where(root=root, executor=place.executor, flow_run_id=key)):
            jobs = cancel(key)
    finally:
        ended = end_recorded(root / ".jobs", key)
        closed = tracking.close(tracking_uri(place, root), key)
    print(f"flow run {key}: ended {jobs or 'no job'}, {len(ended)} Dask processes, {len(closed)} MLflow runs")


hooks: dict[str, Any] = {"on_cancellation": [end_work], "on_crashed": [end_work]}


@flow(name="openseek", flow_run_name="{recipe}", **hooks)
def openseek(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> dict[str, str]:  # noqa: B006
    """The whole lifecycle: corpus, pretraining, post-training, evaluation, export.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, such as {"pretrain.train_tokens": 100000}.
    """
    return _run(lifecycle, recipe, root, overrides)


@flow(name="corpus", flow_run_name="{recipe}", **hooks)
def build_corpus(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> dict[str, str]:  # noqa: B006
    """Sources to a mixture of token shards.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, such as {"pretrain.train_tokens": 100000}.
    """
    return _run(corpus, recipe, root, overrides)


@flow(name="pretrain", flow_run_name="{recipe}", **hooks)
def run_pretrain(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> dict[str, str]:  # noqa: B006
    """A measured base model; builds its corpus where that is not done.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, such as {"pretrain.train_tokens": 100000}.
    """

    def steps(loaded: Recipe) -> dict[str, Path]:
        done = corpus(loaded)
        return done | pretraining(loaded, done["mix"])

    return _run(steps, recipe, root, overrides)


@flow(name="post-train", flow_run_name="{recipe}", **hooks)
def run_posttrain(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> dict[str, str]:  # noqa: B006
    """SFT and RL of the base model, each measured; makes the base model where it is not done.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, such as {"pretrain.train_tokens": 100000}.
    """

    def steps(loaded: Recipe) -> dict[str, Path]:
        done = corpus(loaded)
        done |= pretraining(loaded, done["mix"])
        return done | posttraining(loaded, done["pretrain"])

    return _run(steps, recipe, root, overrides)


@flow(name="evaluate", flow_run_name="{recipe}", **hooks)
def run_evaluate(recipe: str = "debug", root: str = "runs", overrides: dict[str, Any] = {}) -> dict[str, str]:  # noqa: B006
    """The scores of every checkpoint of a recipe side by side; makes the checkpoints that are not done.

    Args:
        recipe: Name of a recipe, or path of a YAML file with `base` and the fields that differ.
        root: Folder that holds the artifacts.
        overrides: Recipe fields by dotted name, such as {"pretrain.train_tokens": 100000}.
    """
    return _run(evaluation, recipe, root, overrides)


@contextmanager
def tracked_flow(recipe: str, root: str, loaded: Recipe) -> Iterator[Tracked]:
    """The flow run's place in force, under one MLflow run of its own."""
    key, folder = str(current_run.id), Path(root)
    tags = {"recipe": recipe, "root": str(folder.resolve()), "flow_run": key}
    name = f"{current_run.flow_name} {Path(recipe).stem}"
    with (
        at(folder, flow_run_id=key) as here,
        tracking.run(here.tracking_uri, name, params=dataclasses.asdict(loaded), tags=tags, key=key) as parent,
        tracked(here, parent.id),
    ):
        yield Tracked(name, folder, parent)


@dataclasses.dataclass(frozen=True)
class Tracked:
    """A flow run and its MLflow run."""

    name: str
    root: Path
    parent: tracking.Run

    def page(self, text: str, key: str, description: str) -> None:
        """Leave a Markdown page in both UIs."""
        with tempfile.TemporaryDirectory() as temporary:
            (Path(temporary) / f"{key}.md").write_text(text, encoding="utf-8")
            self.parent.artifact(Path(temporary) / f"{key}.md")
        create_markdown_artifact(text, key=key, description=f"{self.name}: {description}")

    def steps(self, done: dict[str, Path]) -> dict[str, str]:
        """Leave what every step did in both UIs; its directories as text."""
        rows = summary.rows(done)
        for step, path in done.items():
            self.parent.artifact(path / MANIFEST, f"manifests/{step}")
            for page in (PAGE, BILL):
                if (path / page).exists():
                    self.parent.artifact(path / page, f"reports/{step}")
        self.parent.metrics(summary.numbers(rows))
        self.page(summary.markdown(rows), "summary", "what every step did")
        get_run_logger().info("%s: %d steps done below %s", self.name, len(done), self.root.resolve())
        return {step: str(path) for step, path in done.items()}


def _run(steps: Steps, recipe: str, root: str, overrides: dict[str, Any]) -> dict[str, str]:
    """Walk the steps of a recipe and leave the summary."""
    loaded = load_recipe(recipe, overrides)
    with tracked_flow(recipe, root, loaded) as here:
        return here.steps(steps(loaded))
