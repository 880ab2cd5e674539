"""A Dask cluster starts on the first need, does work, and ends with its owner however that ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cluster import Cluster, LazyCluster, end_recorded
from infra.processes import Process, descendants, process

OWNER = """
import sys, time
from pathlib import Path
from infra.cluster import Cluster, LazyCluster
with LazyCluster(Cluster(workers=1), Path(sys.argv[1]), "owned") as cluster:
    print(cluster.address(), flush=True)
    time.sleep(300)
"""


def gone(processes: list[Process], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while any(each.alive() for each in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(each.alive() for each in processes)


def start_owner(folder: Path) -> tuple[subprocess.Popen[str], list[Process]]:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("tcp://")
    owner.stdout.close()
    below = descendants(owner.pid)
    assert len(below) >= 2  # the host and at least one worker
    return owner, below


def kill_owner(owner: subprocess.Popen[str], folder: Path) -> None:
    owner.send_signal(signal.SIGKILL)


def interrupt_owner(owner: subprocess.Popen[str], folder: Path) -> None:
    owner.send_signal(signal.SIGINT)


def kill_host(owner: subprocess.Popen[str], folder: Path) -> None:
    os.kill(descendants(owner.pid)[0].pid, signal.SIGKILL)
    owner.send_signal(signal.SIGKILL)


def end_by_record(owner: subprocess.Popen[str], folder: Path) -> None:
    assert end_recorded(folder, "another") == []
    assert end_recorded(folder, "owned")
    owner.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("how", [kill_owner, interrupt_owner, kill_host, end_by_record])
def test_no_worker_outlives_its_owner(how: Callable[[subprocess.Popen[str], Path], None], tmp_path: Path) -> None:
    owner, below = start_owner(tmp_path)
    assert all(each.alive() for each in below)
    how(owner, tmp_path)
    owner.wait(timeout=40)
    assert gone(below)
    # A rerun under the same name finds either no record, or one that it can tell is dead.
    assert end_recorded(tmp_path, "owned") == []


def test_nothing_starts_before_the_first_need(tmp_path: Path) -> None:
    with LazyCluster(Cluster(), tmp_path):
        assert descendants(os.getpid()) == []
    assert list(tmp_path.iterdir()) == []


def test_work_runs_on_single_threaded_workers_and_leaves_the_owners_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    before = dict(os.environ)
    with LazyCluster(Cluster(workers=1), tmp_path) as cluster:
        address = cluster.address()
        assert cluster.address() == address
        with Client(address) as client:
            assert client.submit(os.getenv, "NUMBA_NUM_THREADS").result() == "1"
            assert process(client.submit(os.getpid).result()) in descendants(os.getpid())
    assert descendants(os.getpid()) == []
    assert dict(os.environ) == before


def test_an_address_is_used_as_it_is(tmp_path: Path) -> None:
    with LazyCluster(Cluster(kind="address", address="tcp://10.0.0.1:8786"), tmp_path) as cluster:
        assert cluster.address() == "tcp://10.0.0.1:8786"


def test_a_cluster_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    config = Cluster(kind="slurm", interface="no-such-interface", start_seconds=5)
    with pytest.raises(ValueError, match=r"Dask cluster \(slurm\).*log:"), LazyCluster(config, tmp_path) as cluster:
        cluster.address()


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "cloud"), ("workers", -1), ("walltime_minutes", 0), ("start_seconds", 0)],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"dask\.{field} is .*{value}"):
        Cluster(**{field: value})  # type: ignore[arg-type]
