"""`openseek up`: Prefect server, MLflow server and a worker in the background, on the loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.services import Services, fetch, in_use

HOME = Path(__file__).resolve().parents[1]
POOL = "openseek"
START_SECONDS = 300


def up(root: Path = Path("runs"), port: int = 4200, mlflow_port: int = 5000, database: str = "") -> int:
    """Start the Prefect server, the MLflow server and a worker, and deploy the flows.

    Args:
        root: Folder that holds the artifacts, the MLflow store and, under .services, logs and the record for `down`.
        port: Loopback port of the Prefect server and its UI.
        mlflow_port: Loopback port of the MLflow server and its UI.
        database: Prefect's database, postgresql+asyncpg://USER@HOST/NAME (with the extension pg_trgm); empty: SQLite.
    """
    root = root.resolve()
    services = Services(root / ".services")
    if living := services.living():
        for each in living:
            print(f"{each.name} already runs (process {each.process.pid}) {each.url}")
        if len(living) == len(services.started()):
            return 0
        raise ValueError(f"only a part of the services of {root} runs: end it with `openseek down --root {root}` first")
    for name, option, number in (("Prefect", "--port", port), ("MLflow", "--mlflow-port", mlflow_port)):
        if not 0 < number < 65536:
            raise ValueError(f"{option} is {number}: use a port from 1 to 65535")
        if in_use(number):
            raise ValueError(
                f"port {number} for {name} is in use: end the program that listens there (`ss -ltnp` names it; "
                f"`openseek down --root ROOT` if it is another root's), or give another {option}"
            )
    if port == mlflow_port:
        raise ValueError(f"port and mlflow_port are both {port}: give two different ports")
    services.end()  # a record of services that have all ended
    try:
        _start(services, root, port, mlflow_port, database)
    except BaseException:
        services.end()
        raise
    for each in services.started():
        print(f"{each.name:<8} process {each.process.pid:<8} {each.url or 'work pool ' + POOL:<28} log {each.log}")
    print(f"\nrun:  PREFECT_API_URL=http://127.0.0.1:{port}/api prefect deployment run openseek/full-pipeline --watch")
    print(f"end:  openseek down --root {root}")
    return 0


def environment(root: Path, port: int, mlflow_port: int, database: str = "") -> dict[str, str]:
    """What servers, worker and flow runs find in their environment."""
    settings = {
        # Before the server starts: its UI calls the address that it is told.
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_HOME": str(root / ".services" / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Else eight more processes and a gigabyte, for evaluation jobs that nobody sends.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow_port}",
        "OPENSEEK_HOME": str(HOME),
        "OPENSEEK_ROOT": str(root),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1", "localhost"])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy", ""), "127.0.0.1", "localhost"])),
    }
    if database:
        settings["PREFECT_API_DATABASE_CONNECTION_URL"] = database
    return settings


def _start(services: Services, root: Path, port: int, mlflow_port: int, database: str) -> None:
    env = environment(root, port, mlflow_port, database)
    api = env["PREFECT_API_URL"]
    prefect = [sys.executable, "-m", "prefect"]
    server = services.start(
        "prefect", [*prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)], env, HOME, api[:-4]
    )
    mlflow = services.start("mlflow", _mlflow(root, mlflow_port), env, HOME, env["MLFLOW_TRACKING_URI"])
    services.wait(server, lambda: fetch(f"{api}/health") is not None, START_SECONDS)
    # The worker makes the work pool where there is none; a deployment needs it.
    worker = services.start("worker", [*prefect, "worker", "start", "--pool", POOL, "--type", "process"], env, HOME)
    workers = f"{api}/work_pools/{POOL}/workers/filter"
    services.wait(worker, lambda: b'"ONLINE"' in (fetch(workers, body={}) or b""), START_SECONDS)
    _call([*prefect, "--no-prompt", "deploy", "--all"], env)
    services.wait(mlflow, lambda: fetch(f"{env['MLFLOW_TRACKING_URI']}/health") is not None, START_SECONDS)


def _mlflow(root: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(root / "mlartifacts"), "--serve-artifacts"]
    return [*command, "--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"]


def _call(command: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **env}, cwd=HOME, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise ValueError(f"`{' '.join(command[1:])}` failed with status {done.returncode}: {' | '.join(lines[-5:])}")
