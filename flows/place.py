"""Where a command or a flow works: a root folder and an optional YAML file become the `Where` that tasks read.

Imports no Prefect: `openseek NAME` and a finished lifecycle never wait for it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.cluster import Cluster, LazyCluster
from openseek.fields import changed
from tasks.where import Executor, Where, using

WHERE_FILE = "where.yaml"


@dataclass(frozen=True)
class Place:
    """Machines and services, as a `--where` file gives them."""

    dask: Cluster = Cluster()
    """Where shards are worked on."""
    executor: Executor = field(default_factory=Executor)
    """How training ranks are started."""
    tracking_uri: str | None = None
    """MLflow tracking URI; by default sqlite under ROOT. "off" tracks nothing."""


def read_place(file: Path | None, root: Path) -> Place:
    """The place of `--where FILE`, of OPENSEEK_WHERE, or of ROOT/where.yaml; the defaults when there is none."""
    named = file or (Path(os.environ["OPENSEEK_WHERE"]) if os.environ.get("OPENSEEK_WHERE") else None)
    path = named or root / WHERE_FILE
    if not path.is_file():
        if named:
            raise ValueError(
                f"the where file {path} does not exist: give the path of a YAML file with dask, executor, tracking_uri"
            )
        return Place()
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold the fields dask, executor, tracking_uri")
    return changed(Place(), values, f"{path}: ")


def tracking_uri(place: Place, root: Path) -> str | None:
    """MLflow URI of a place: its own (none for "off"), else MLFLOW_TRACKING_URI (`openseek up` sets it), or SQLite."""
    if place.tracking_uri == "off":
        return None
    named = place.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return named or f"sqlite:///{(root / 'mlflow.db').resolve()}"


@contextmanager
def at(root: Path, file: Path | None = None, *, flow_run_id: str | None = None) -> Iterator[Where]:
    """Put a root and its machines in force for the block; a Dask cluster starts when a task first needs one."""
    place = read_place(file, root)
    with LazyCluster(place.dask, root / ".jobs", name=flow_run_id or f"process-{os.getpid()}") as cluster:
        here = Where(
            root=root,
            dask=cluster.address,
            executor=place.executor,
            tracking_uri=tracking_uri(place, root),
            flow_run_id=flow_run_id,
        )
        with using(here):
            yield here


@contextmanager
def tracked(here: Where, parent: str | None) -> Iterator[Where]:
    """The same place, with child runs under the MLflow run `parent`."""
    with using(replace(here, tracking_parent=parent)) as now:
        yield now
