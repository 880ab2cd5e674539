"""A Dask cluster that starts when something first asks for its address, and that never outlives its owner.

Scheduler and workers belong to a process of their own (`infra/cluster_host.py`). That keeps them off the owner's
environment, terminal and Ctrl-C, and it makes the end certain: the host waits for the end of its standard input, which
comes however the owner ends, SIGKILL included. `end_recorded` ends a cluster from another process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from infra.processes import Process, descendants, end, process


@dataclass(frozen=True)
class Cluster:
    """Where the shards of a data task are worked on."""

    kind: Literal["local", "slurm", "address"] = "local"
    """local: worker processes on this host; slurm: workers as Slurm jobs; address: a scheduler that already runs."""
    address: str = ""
    """Scheduler to connect to (tcp://HOST:PORT), for kind address."""
    workers: int = 0
    """Number of workers; 0 takes one for each core of this host."""
    memory: str = "auto"
    """Memory of one worker ("4GiB"); auto shares this host's among its workers (Slurm: 4GiB)."""
    partition: str = ""
    """Slurm partition; empty takes the default one."""
    interface: str = ""
    """Network interface that scheduler and workers use ("ib0"); empty lets Dask choose."""
    walltime_minutes: int = 240
    """Time limit of one Slurm worker job."""
    setup: tuple[str, ...] = ()
    """Shell lines that a Slurm worker job runs first, such as "module load python"."""
    dashboard: bool = False
    """Serve the Dask dashboard on a free port of the loopback."""
    start_seconds: int = 180
    """How long to wait for the first worker."""

    def __post_init__(self) -> None:
        if self.kind not in ("local", "slurm", "address"):
            raise ValueError(f"dask.kind is {self.kind!r}: use local, slurm or address")
        if self.kind == "address" and "://" not in self.address:
            raise ValueError(
                f"dask.address is {self.address!r}: kind address needs a scheduler such as tcp://host:8786"
            )
        if self.workers < 0:
            raise ValueError(f"dask.workers is {self.workers}: use 0 for one a core, or a positive number")
        for name in ("walltime_minutes", "start_seconds"):
            if getattr(self, name) < 1:
                raise ValueError(f"dask.{name} is {getattr(self, name)}: use 1 or more")


class LazyCluster:
    """Context manager over the cluster that `config` describes; `folder` holds its record, log and spill files.

    Nothing starts before the first `address()`; leaving the context ends everything that was started.
    """

    def __init__(self, config: Cluster, folder: Path, name: str = "local") -> None:
        self.config = config
        self.folder = folder
        self.name = name
        self._lock = threading.Lock()
        self._host: subprocess.Popen[str] | None = None
        self._address = config.address if config.kind == "address" else ""

    def __enter__(self) -> LazyCluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def address(self) -> str:
        """The scheduler's address; starts the cluster on the first call. ValueError says why it did not come up."""
        with self._lock:
            if self._host is not None and self._host.poll() is not None:
                raise ValueError(f"the Dask cluster ended with status {self._host.returncode}: {self._why()}")
            if not self._address:
                self._address = self._start()
            return self._address

    def close(self) -> None:
        """End host, scheduler and workers; returns when their processes are gone."""
        with self._lock:
            host, self._host = self._host, None
            if host is None:
                return
            self._address = self.config.address
            below = descendants(host.pid)
            assert host.stdin is not None
            assert host.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                host.stdin.close()
            try:
                host.wait(timeout=30)
            except subprocess.TimeoutExpired:
                host.kill()
                host.wait()
            host.stdout.close()
            end(below, grace_seconds=2)
            self._record(host.pid).unlink(missing_ok=True)
            if self._log().stat().st_size == 0:
                self._log().unlink()

    def _start(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "dask").mkdir(exist_ok=True)
        settings = {
            **dataclasses.asdict(self.config),
            "name": f"openseek-{self.name}",
            "scratch": str((self.folder / "dask").resolve()),
        }
        with self._log().open("w") as log:
            # A session of its own: Ctrl-C at the terminal reaches the owner only, which then closes the cluster.
            host = subprocess.Popen(
                [sys.executable, "-m", "infra.cluster_host", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        self._host = host
        me = process(host.pid)
        if me is not None:
            record = {"host": socket.gethostname(), **dataclasses.asdict(me)}
            self._record(host.pid).write_text(json.dumps(record))
        assert host.stdout is not None
        address = _line(host.stdout, self.config.start_seconds + 30)
        if not address:
            code = host.poll()
            what = f"ended with status {code}" if code is not None else f"was not up in {self.config.start_seconds} s"
            raise ValueError(f"the Dask cluster ({self.config.kind}) {what}: {self._why()}")
        return address

    def _record(self, pid: int) -> Path:
        return self.folder / f"dask-{self.name}-{pid}.json"

    def _log(self) -> Path:
        return self.folder / f"dask-{self.name}.log"

    def _why(self) -> str:
        """What the log says last; before all, what sbatch refused, which dask-jobqueue only logs."""
        lines = self._log().read_text(errors="replace").strip().splitlines()
        refused = [line for line in lines if line.startswith("sbatch: error")]
        return f"{' | '.join(refused or lines[-1:]) or 'no output'} (log: {self._log()})"


def end_recorded(folder: Path, name: str) -> list[Process]:
    """End every cluster that was started under `name` with its record in `folder`, from any process of the same host.

    Returns the processes that were still alive; a record of another host is left for that host.
    """
    ended: list[Process] = []
    for path in sorted(folder.glob(f"dask-{name}-*.json")):
        record = json.loads(path.read_text())
        if record.pop("host") != socket.gethostname():
            continue
        host = Process(**record)
        if host.alive():
            # The workers are named before their host ends: once it has, they are nobody's children.
            ended += end([host, *descendants(host.pid)])
        path.unlink(missing_ok=True)
    return ended


def _line(stream: IO[str], seconds: float) -> str:
    """The first line of `stream`, or "" when it ends or stays silent for `seconds`."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if selector.select(timeout=max(0.0, deadline - time.monotonic())):
            return stream.readline().strip()
    return ""
