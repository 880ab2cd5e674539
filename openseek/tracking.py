"""Runs in MLflow: parameters, metrics by step, artifacts. The only importer of mlflow, and only once a run is opened.

Training ranks append JSON lines to files and never see MLflow; the process that launched them forwards the lines here.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

EXPERIMENT = "openseek"
KEY_TAG = "openseek.key"
# MLflow refuses more in one request.
METRICS_A_BATCH, PARAMS_A_BATCH = 1000, 100
PARAM_KEY_LENGTH, PARAM_LENGTH, TAG_LENGTH = 250, 6000, 8000
# What is never written down: fields that are named like a credential, and user:password inside a URL.
SECRET = re.compile(
    r"(^|[._-])(api_?key|secret|passw(or)?d|credentials?|(access|auth|api)_?token|token)$", re.IGNORECASE
)
USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
# Metrics of a kind share one picture.
CURVES = ("loss", "reward")


class Run:
    """An open MLflow run. Without a client (no tracking asked for) every method does nothing and `id` is None."""

    def __init__(self, client: MlflowClient | None = None, run_id: str | None = None) -> None:
        self.id = run_id
        self._client = client
        self._read: dict[Path, int] = {}
        self._logged: dict[str, int] = {}

    def params(self, params: Mapping[str, Any]) -> None:
        """Log a nested mapping as dotted parameters, cut at MLflow's limits, without secrets."""
        if self._client is None or self.id is None:
            return
        from mlflow.entities import Param

        flat = [Param(key[:PARAM_KEY_LENGTH], value[:PARAM_LENGTH]) for key, value in _flat(params)]
        for start in range(0, len(flat), PARAMS_A_BATCH):
            self._client.log_batch(self.id, params=flat[start : start + PARAMS_A_BATCH])

    def metrics(self, metrics: Mapping[str, Any], step: int = 0) -> None:
        """Log numbers at one step; nested mappings become dotted names, what is no number is left out."""
        if self._client is not None:
            self._log(_numbers(metrics, step, int(time.time() * 1000)))

    def forward(self, path: Path) -> int:
        """Log the complete JSON lines {"step": n, NAME: number} that `path` gained since the last call; their number.

        A resumed training writes some steps again: a value whose step is not beyond the last one logged is left out.
        """
        if self._client is None or not path.exists():
            return 0
        with path.open("rb") as file:
            start = self._read.get(path, 0)
            if path.stat().st_size < start:  # written anew after a resume
                start = 0
            file.seek(start)
            block = file.read()
        whole = block[: block.rfind(b"\n") + 1]
        self._read[path] = start + len(whole)
        texts = [text for text in whole.splitlines() if text.strip()]
        lines = [line for text in texts if (line := _line(text)) is not None]
        if start and len(lines) < len(texts):  # written anew, and longer already: the place was no line's beginning
            self._read[path] = 0
            return self.forward(path)
        now = int(time.time() * 1000)
        fresh: list[Metric] = []
        for line in lines:
            step = int(line.pop("step"))
            for metric in _numbers(line, step, now):
                if step > self._logged.get(metric.key, -1):
                    self._logged[metric.key] = step
                    fresh.append(metric)
        self._log(fresh)
        return len(lines)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file, or of all files below a folder, with the run."""
        if self._client is None or self.id is None:
            return
        if path.is_dir():
            self._client.log_artifacts(self.id, str(path), folder or None)
        else:
            self._client.log_artifact(self.id, str(path), folder or None)

    def tag(self, name: str, value: str) -> None:
        """Set a tag."""
        if self._client is not None and self.id is not None:
            self._client.set_tag(self.id, name, USER_IN_URL.sub("", value)[:TAG_LENGTH])

    def _log(self, metrics: list[Metric]) -> None:
        if self._client is None or self.id is None:
            return
        for start in range(0, len(metrics), METRICS_A_BATCH):
            self._client.log_batch(self.id, metrics=metrics[start : start + METRICS_A_BATCH])

    def _keep_curves(self) -> None:
        """The forwarded files and pictures of their losses and rewards, as artifacts."""
        for path, read in self._read.items():
            if not read:
                continue
            self.artifact(path, "metrics")
            with tempfile.TemporaryDirectory() as folder:
                for picture in curves(path, Path(folder)):
                    self.artifact(picture, "plots")


@contextmanager
def run(
    uri: str | None,
    name: str,
    parent: str | None = None,
    params: Mapping[str, Any] = {},  # noqa: B006 - only read
    tags: Mapping[str, str] = {},  # noqa: B006 - only read
    key: str | None = None,
) -> Iterator[Run]:
    """A run that is FINISHED at the end of the block, FAILED after an error, KILLED after an interrupt.

    `parent` nests it under another run. A run with the same `key` is continued instead of started again (a retried
    flow run keeps one parent). Without a `uri` nothing is imported and nothing is kept. ValueError when the tracking
    server does not answer.
    """
    if uri is None:
        yield Run()
        return
    client, experiment = _open(uri)
    found = _find(client, experiment, key) if key else None
    if found is None:
        all_tags = {**tags, **({"mlflow.parentRunId": parent} if parent else {}), **({KEY_TAG: key} if key else {})}
        cut = {tag: USER_IN_URL.sub("", str(value))[:TAG_LENGTH] for tag, value in all_tags.items()}
        made = Run(client, client.create_run(experiment, run_name=name, tags=cut).info.run_id)
        made.params(params)
    else:
        client.update_run(found, status="RUNNING")
        made = Run(client, found)
    assert made.id is not None
    try:
        yield made
        made._keep_curves()
    except Exception:
        client.set_terminated(made.id, "FAILED")
        raise
    except BaseException:  # interrupted: KeyboardInterrupt, SystemExit, Prefect's TerminationSignal
        client.set_terminated(made.id, "KILLED")
        raise
    client.set_terminated(made.id, "FINISHED")


def close(uri: str | None, key: str, status: str = "KILLED") -> list[str]:
    """Give the run with `key` and its running children an end, when the process that owned them cannot; their ids."""
    if uri is None:
        return []
    client, experiment = _open(uri)
    found = _find(client, experiment, key)
    if found is None:
        return []
    children = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{found}' and attributes.status = 'RUNNING'"
    )
    ids = [child.info.run_id for child in children]
    if client.get_run(found).info.status == "RUNNING":
        ids.append(found)
    for each in ids:
        client.set_terminated(each, status)
    return ids


def name_of(uri: str, run_id: str) -> str | None:
    """The name of a run by its id; None where there is no such run."""
    from mlflow.exceptions import MlflowException

    client, _ = _open(uri)
    try:
        return client.get_run(run_id).info.run_name
    except MlflowException:
        return None


def _line(text: bytes | str) -> dict[str, Any] | None:
    """A line of metrics; None where it is not whole, as a killed rank may leave it."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "step" in line else None


def curves(metrics: Path, folder: Path) -> list[Path]:
    """Draw the losses and the rewards of a metrics file (JSON lines) by step; the PNG files, named after the kind."""
    series: dict[str, list[tuple[int, float]]] = {}
    for text in metrics.read_text().splitlines():
        line = _line(text) or {}
        for name, value in line.items():
            if name != "step" and _is_number(value) and math.isfinite(value):
                series.setdefault(name, []).append((int(line["step"]), float(value)))
    pictures = []
    for kind in CURVES:
        drawn = {name: points for name, points in series.items() if kind in name and len(points) > 1}
        if not drawn:
            continue
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for name, points in sorted(drawn.items()):
            axes.plot([step for step, _ in points], [value for _, value in points], label=name)
        axes.set_xlabel("step")
        axes.set_ylabel(kind)
        axes.grid(alpha=0.3)
        axes.legend()
        pictures.append(folder / f"{kind}.png")
        figure.savefig(pictures[-1], dpi=110)
    return pictures


def _open(uri: str) -> tuple[MlflowClient, str]:
    """A client and the id of our experiment; a SQLite store keeps its files beside itself in `mlartifacts`."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        os.environ.setdefault(name, "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # A server that is gone should say so in seconds: the default retries for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    location = None
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///"))
        database.parent.mkdir(parents=True, exist_ok=True)
        location = str(database.resolve().parent / "mlartifacts")
    with warnings.catch_warnings():
        # mlflow's own models use what SQLAlchemy 2.1 has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        try:
            client = MlflowClient(uri)
            found = client.get_experiment_by_name(EXPERIMENT)
        except MlflowException as error:
            shown = USER_IN_URL.sub("", uri)
            raise ValueError(
                f"the MLflow tracking store {shown} does not answer ({str(error).splitlines()[0]}): start it with "
                f"`openseek up`, or unset MLFLOW_TRACKING_URI to use a SQLite file under the root"
            ) from error
        if found is not None:
            return client, found.experiment_id
        try:
            return client, client.create_experiment(EXPERIMENT, artifact_location=location)
        except MlflowException:
            found = client.get_experiment_by_name(EXPERIMENT)  # another process made it between the two calls
            if found is None:
                raise
            return client, found.experiment_id


def _find(client: MlflowClient, experiment: str, key: str) -> str | None:
    runs = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return runs[0].info.run_id if runs else None


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and texts of the leaves of a nested mapping; secrets are starred out."""
    if isinstance(value, Mapping) and (value or not prefix):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif SECRET.search(prefix) and value not in ("", None):
        yield prefix, "***"
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
        yield prefix, USER_IN_URL.sub("", text)


def _numbers(values: Mapping[str, Any], step: int, now: int) -> list[Metric]:
    from mlflow.entities import Metric

    found = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            nested = {f"{name}.{inner}": each for inner, each in value.items()}
            found += _numbers(nested, step, now)
        elif _is_number(value):
            found.append(Metric(re.sub(r"[^\w\-./ :]", "_", name)[:PARAM_KEY_LENGTH], float(value), now, step))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
