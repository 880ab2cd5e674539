"""Ingest and filter on Dask: neither the number of workers, nor a killed worker, nor a killed run changes a byte."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cluster import Cluster, LazyCluster
from openseek.artifact import MANIFEST, file_digest
from openseek.data.sources import Ingest, Source
from tasks.filter import filter as filter_documents
from tasks.ingest import ingest
from tasks.where import Where, using

COPIES = 6


@pytest.fixture(scope="module")
def raw(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files in several formats, so that there are shards enough to die in the middle of."""
    folder = tmp_path_factory.mktemp("raw")
    for number in range(COPIES):
        for name in ("en_edu/fineweb-edu-dated.parquet", "planted/planted.jsonl", "zh/cci3-hans.jsonl.zst"):
            place = folder / name.partition("/")[0]
            place.mkdir(exist_ok=True)
            shutil.copy(samples / name, place / f"{number}-{Path(name).name}")
    return folder


def config_of(raw: Path) -> Ingest:
    return Ingest(tuple(Source(folder.name, str(folder)) for folder in sorted(raw.iterdir())))


def content(directory: Path) -> dict[str, Any]:
    """Digests of all files but the manifest, and the facts without their times."""
    facts = json.loads((directory / MANIFEST).read_text())["facts"]
    facts.pop("seconds")
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p.name != MANIFEST and p.name[0] != ".")
    return {str(p.relative_to(directory)): file_digest(p) for p in files} | {"facts": facts}


def both(root: Path, raw: Path, address: str | None) -> dict[str, Any]:
    """What ingest and filter leave below `root`, worked on by the cluster at `address` or by this process."""
    with using(Where(root=root, dask=(lambda: address) if address else None)):
        documents = ingest(config=config_of(raw))
        filtered = filter_documents(documents)
    return {"ingest": content(documents), "filter": content(filtered)}


@pytest.fixture(scope="module")
def alone(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome in one process."""
    found = both(tmp_path_factory.mktemp("alone"), raw, None)
    assert found["filter"]["facts"]["rows_out"] > 100
    assert found["filter"]["facts"]["dropped"]
    return found


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a cluster with as many workers as the parameter says."""
    with LazyCluster(Cluster(workers=request.param), tmp_path / "dask") as made:
        yield made.address()


@pytest.mark.parametrize("cluster", [1, 4], indirect=True)
def test_the_number_of_workers_changes_no_byte(cluster: str, raw: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    assert both(tmp_path / "root", raw, cluster) == alone


def shards_done(root: Path) -> int:
    return len(list(root.glob("*/.shards/*.json")))


@pytest.mark.parametrize("cluster", [2], indirect=True)
def test_killed_workers_change_no_byte(cluster: str, raw: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    from distributed import Client

    root, killed, over = tmp_path / "root", [], threading.Event()

    def kill() -> None:
        """One worker dies as soon as the first shard is done, another some shards later."""
        with Client(cluster, set_as_default=False) as client:
            for shards in (1, 6):
                while shards_done(root) < shards and not over.is_set():
                    time.sleep(0.01)
                found: Any = client.run(os.getpid)
                pids = sorted(found.values())
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = both(root, raw, cluster)
    finally:
        over.set()
        killer.join()
    assert len(set(killed)) == 2
    assert found == alone


def test_a_killed_run_changes_no_byte(raw: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    """SIGKILL to the command, which owns a cluster of two workers, then it is called again and left to end."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "where.yaml").write_text("dask: {workers: 2}\ntracking_uri: 'off'\n")
    sources = [{"name": source.name, "path": source.path} for source in config_of(raw).sources]
    ingests = ["ingest", "--set", f"sources={json.dumps(sources)}"]
    filters = ["filter", "--documents", str(root / "ingest")]
    for words, name, moments in ((ingests, "ingest", (0, 9)), (filters, "filter", (3,))):
        command = [sys.executable, "-m", "cli", *words, "--root", str(root)]
        for shards in moments:
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                while process.poll() is None and len(list(root.glob(f"{name}-*/.shards/*.json"))) <= shards:
                    time.sleep(0.005)
                process.kill()
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        assert content((root / name).resolve()) == alone[name]
