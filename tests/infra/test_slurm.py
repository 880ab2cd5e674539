"""A real Slurm on this host runs our Dask workers, and nothing stays in its queue when their owner ends."""

import subprocess
import time
from pathlib import Path

import pytest

from infra.cluster import Cluster, LazyCluster, end_recorded

pytestmark = pytest.mark.slurm

WORKERS = Cluster(kind="slurm", workers=2, memory="600MiB", interface="lo", walltime_minutes=10)


def queue(name: str) -> list[str]:
    """States of the jobs of that name."""
    told = subprocess.run(
        ["squeue", "-h", "-n", name, "-o", "%T"], check=True, capture_output=True, text=True, timeout=20
    )
    return told.stdout.split()


def test_dask_workers_are_jobs_and_end_by_their_record(slurm: Path, tmp_path: Path) -> None:
    from distributed import Client

    with LazyCluster(WORKERS, tmp_path, "flow-1") as cluster:
        with Client(cluster.address()) as client:
            client.wait_for_workers(2, timeout=60)
            assert len(client.run(lambda: __import__("os").environ["SLURM_JOB_ID"])) == 2
        assert queue("openseek-flow-1") == ["RUNNING", "RUNNING"]
        assert end_recorded(tmp_path, "flow-1")
        deadline = time.monotonic() + 30
        while queue("openseek-flow-1") and time.monotonic() < deadline:
            time.sleep(0.3)
        assert queue("openseek-flow-1") == []


def test_what_sbatch_refuses_is_told(slurm: Path, tmp_path: Path) -> None:
    config = Cluster(kind="slurm", workers=1, memory="600MiB", interface="lo", partition="nowhere", start_seconds=3)
    with (
        pytest.raises(ValueError, match=r"Dask cluster \(slurm\).*invalid partition specified: nowhere"),
        LazyCluster(config, tmp_path) as cluster,
    ):
        cluster.address()
