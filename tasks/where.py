"""Where work runs: root folder, Dask scheduler, training executor, tracking. Set by the command or the flow."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Executor:
    """How ranks are started: on this host, through Slurm, or as a plain call (one rank)."""

    kind: Literal["local", "slurm", "inline"] = "local"
    """local: submitit's LocalExecutor; slurm: sbatch; inline: a plain call in this process, one rank only."""
    partition: str | None = None
    """Slurm partition; the cluster's default when empty."""
    nodes: int = 1
    """Nodes of a Slurm job; the ranks are spread evenly over them."""
    gpus_per_node: int = 0
    """GPUs asked for on each node."""
    cpus_per_task: int = 1
    """CPU cores of a rank; also its OMP thread count."""
    memory_gb: int | None = None
    """Memory of a node in GB; the cluster's default when empty."""
    timeout_min: int = 24 * 60
    """Time limit of a job in minutes."""
    master_addr: str | None = None
    """Address of rank 0 for torch.distributed; Slurm tells when empty (set it where node names do not resolve)."""
    setup: tuple[str, ...] = ()
    """Shell lines run on the node before the job (modules, environment)."""
    additional: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Further sbatch options by name."""

    def __post_init__(self) -> None:
        if self.kind not in ("local", "slurm", "inline"):
            raise ValueError(f"executor.kind is {self.kind!r}: use local, slurm or inline")
        for name in ("nodes", "cpus_per_task", "timeout_min"):
            if getattr(self, name) < 1:
                raise ValueError(f"executor.{name} is {getattr(self, name)}: it must be at least 1")


@dataclasses.dataclass
class PlannedStep:
    """One task call of a plan: what it would write, and whether that is there already."""

    task: str
    label: str | None
    directory: Path
    fingerprint: str
    done: bool
    inputs: dict[str, dict[str, str] | None]
    config: Any

    @property
    def name(self) -> str:
        """TASK or TASK.LABEL."""
        return f"{self.task}.{self.label}" if self.label else self.task


@dataclasses.dataclass(frozen=True)
class Where:
    """The place and the machines that task calls use."""

    root: Path = Path("runs")
    """Folder that holds the artifacts."""
    dask: Callable[[], str] | None = None
    """Gives the address of a Dask scheduler, starting one on first use; None: shards run in this process."""
    executor: Executor = Executor()
    """How training ranks are started."""
    tracking_uri: str | None = None
    """MLflow tracking URI; None: nothing is tracked."""
    tracking_parent: str | None = None
    """MLflow run id that child runs hang under."""
    flow_run_id: str | None = None
    """Prefect flow run that owns the jobs started here."""
    plan: list[PlannedStep] | None = None
    """When set, task calls run nothing and append what they would do."""


_current: ContextVar[Where] = ContextVar("where")


def current() -> Where:
    """The Where in force; by default the root `runs` (or OPENSEEK_ROOT) and this process alone."""
    return _current.get(None) or Where(root=Path(os.environ.get("OPENSEEK_ROOT", "runs")))


@contextmanager
def using(where: Where) -> Iterator[Where]:
    """Put `where` in force for the block."""
    token = _current.set(where)
    try:
        yield where
    finally:
        _current.reset(token)
