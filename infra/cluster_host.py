"""The process that owns one Dask cluster: `python -m infra.cluster_host SETTINGS` (JSON of `infra.cluster.Cluster`).

It prints the scheduler's address once a worker is there, waits for the end of its standard input or for SIGTERM, and
then ends what it started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

# One thread a worker: the shards are the parallelism, and pools beneath them would only fight for the same cores.
ONE_THREAD: dict[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_IO_THREADS"), "1"
)
CLOSE_SECONDS = 20


def start(settings: dict[str, Any]) -> Any:
    """The running LocalCluster or SLURMCluster that `settings` ask for."""
    import dask.config as dask_config

    dask_config.set(
        {
            # Locks let a start clear the spill folders of killed workers; shared file systems often lack them.
            "distributed.worker.use-file-locking": settings["kind"] == "local",
            "distributed.scheduler.allowed-failures": 3,
            "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": "65536"},
        }
    )
    if settings["kind"] == "slurm":
        return _slurm(settings)
    os.environ.update(ONE_THREAD)  # Dask's own setting would yield to what the owner's environment says
    from dask.system import CPU_COUNT
    from distributed import LocalCluster

    dashboard: Any = "127.0.0.1:0" if settings["dashboard"] else None
    return LocalCluster(
        n_workers=settings["workers"] or CPU_COUNT,
        threads_per_worker=1,
        processes=True,
        memory_limit=settings["memory"],
        local_directory=settings["scratch"],
        dashboard_address=dashboard,
        # An empty interface means the loopback.
        interface=settings["interface"] or None,
    )


def _slurm(settings: dict[str, Any]) -> Any:
    from dask_jobqueue.slurm import SLURMCluster

    lifetime = max(1, settings["walltime_minutes"] - 5)
    cluster = SLURMCluster(
        cores=1,
        processes=1,
        memory="4GiB" if settings["memory"] == "auto" else settings["memory"],
        queue=settings["partition"] or None,
        walltime=f"{settings['walltime_minutes'] // 60:02d}:{settings['walltime_minutes'] % 60:02d}:00",
        interface=settings["interface"] or None,
        # The name by which a cancelled run's jobs are found and ended.
        job_name=settings["name"],
        job_script_prologue=[f"export {name}={value}" for name, value in ONE_THREAD.items()] + list(settings["setup"]),
        # A worker leaves before its job's limit ends it, and soon after its scheduler has gone.
        worker_extra_args=["--lifetime", f"{lifetime}m", "--lifetime-stagger", "10s"],
        death_timeout=60,
        local_directory=settings["scratch"],
        log_directory=settings["scratch"],
        python=sys.executable,
        scheduler_options={"dashboard_address": "127.0.0.1:0"} if settings["dashboard"] else {"dashboard": False},
    )
    cluster.scale(settings["workers"] or 1)
    return cluster


def main() -> None:
    """Start, announce, wait, end."""
    settings = json.loads(sys.argv[1])
    # Only the address goes to the owner's pipe; whatever workers print goes to the log, or it would fill the pipe.
    announce = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    # The owner alone decides; a terminal's Ctrl-C is for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()

    cluster = start(settings)
    code = 1
    try:
        # dask-jobqueue only logs a failed sbatch: without this wait a cluster with no worker would look fine.
        cluster.wait_for_workers(1, timeout=settings["start_seconds"])
        print(cluster.scheduler_address, file=announce, flush=True)
        over.wait()
        code = 0
    except BrokenPipeError:
        code = 0  # the owner ended while the cluster came up
    except Exception:
        traceback.print_exc()
    finally:
        # Closing asks the workers; one that is deep in a native call does not answer, and must not keep us.
        threading.Timer(CLOSE_SECONDS, os._exit, args=(1,)).start()
        cluster.close()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
