"""`openseek down`: end what `openseek up` started."""

from __future__ import annotations

from pathlib import Path

from infra.services import Services


def down(root: Path = Path("runs")) -> int:
    """End the worker, then the MLflow server and the Prefect server, each with its children.

    Args:
        root: The root that `openseek up` was given.
    """
    services = Services(root.resolve() / ".services")
    ended = services.end()
    for each in ended:
        print(f"ended {each.name} (process {each.process.pid})")
    if not ended:
        print(f"nothing was running for {root}")
    return 0
