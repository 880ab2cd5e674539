"""`openseek down`: end what `openseek up` started."""

from __future__ import annotations

import time
from pathlib import Path

from infra.processes import children, end
from infra.services import Services

RUN_SECONDS = 30


def down(root: Path = Path("runs")) -> int:
    """End the worker with the flow runs that it works on, then the MLflow server and the Prefect server.

    Args:
        root: The root that `openseek up` was given.
    """
    services = Services(root.resolve() / ".services")
    for each in services.living():
        if each.name == "worker":
            _end_runs(each.process.pid)
    ended = services.end()
    for each in ended:
        print(f"ended {each.name} (process {each.process.pid})")
    if not ended:
        print(f"nothing was running for {root}")
    return 0


def _end_runs(worker: int) -> None:
    """Let flow runs end their own jobs and workers, and their worker report it, while the server still answers."""
    if not children(worker):
        return
    print("ending the flow runs that are under way; they go on from finished work when they are started again")
    end(children(worker), RUN_SECONDS)
    deadline = time.monotonic() + RUN_SECONDS
    while children(worker) and time.monotonic() < deadline:
        time.sleep(0.2)
