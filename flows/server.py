"""The Prefect API of a run that nobody started a server for: a temporary one, which ends with the run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.guard import guarded
from infra.services import fetch, free_port, last_lines

START_SECONDS = 240
# A temporary server keeps the history of its runs; schedules, late runs and automations are for a server that stays.
SETTINGS = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


@contextmanager
def api(log: Path) -> Iterator[str]:
    """The URL of the Prefect API that is set (environment or profile), else of a temporary server for the block.

    Prefect's own temporary server shares the terminal's Ctrl-C with the run, which can then not report its end, and it
    outlives a run that is killed. This one does neither. Its output goes to `log`.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    configured = get_current_settings().api.url
    if configured:
        yield configured
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--no-scheduler", "--no-late-runs"]
    with guarded(command, {**SETTINGS, "PREFECT_API_URL": url}, log) as server:
        deadline = time.monotonic() + START_SECONDS
        while fetch(f"{url}/health") is None:
            if not server.alive() or time.monotonic() > deadline:
                raise ValueError(
                    f"the temporary Prefect server did not come up: {last_lines(log)}; "
                    f"or start one with `openseek up` and set PREFECT_API_URL"
                )
            time.sleep(0.1)
        try:
            with temporary_settings({PREFECT_API_URL: url}):
                yield url
        finally:
            # What is still on its way must arrive before the server ends.
            for worker in (APILogWorker, EventsWorker):
                worker.drain_all(timeout=10)


@contextmanager
def under_prefect(root: Path, where: Path | None) -> Iterator[None]:
    """Flows called in the block find a Prefect API, and the `--where` file by its name in the environment."""
    if where is not None:
        os.environ["OPENSEEK_WHERE"] = str(where.resolve())
    with api(root / ".services" / "temporary-prefect.log"):
        yield
