"""Fixtures that all tests share. Thread counts are one: the machine has two cores and many processes."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for _name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ[_name] = "1"

from tasks.where import Executor, Where, using

REPOSITORY = Path(__file__).resolve().parents[1]
EMPTY = {"url": "", "lang": "en", "script": "", "licence": "public", "date": "", "meta": "{}"}
"""Columns of a document that a test seldom minds."""


def required(name: str) -> bool:
    """Whether OPENSEEK_REQUIRE names `name`: then its absence fails a test instead of skipping it."""
    return name in os.environ.get("OPENSEEK_REQUIRE", "").split(",")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The bundled sample data."""
    return REPOSITORY / "samples"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The larger corpora beside the checkout; tests that need them skip without."""
    folder = REPOSITORY.parent / "shared" / "corpora"
    if not folder.is_dir():
        if required("shared"):
            pytest.fail(f"{folder} is required (OPENSEEK_REQUIRE) and not there")
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Where]:
    """A fresh root; shards and ranks run in this process."""
    with using(Where(root=tmp_path / "root", executor=Executor(kind="inline"))) as here:
        yield here


@pytest.fixture
def documents_of(root: Where) -> Callable[..., Path]:
    """`documents_of([shard, ...], name="ingest")`: a finished artifact; a row is a text or a dict of columns."""

    import pyarrow as pa

    from openseek.artifact import fingerprint, write_manifest
    from openseek.data.document import DOCUMENT, document_id
    from tasks.shards import write_table

    def make(shards: Sequence[Sequence[dict[str, Any] | str]], name: str = "ingest") -> Path:
        directory = root.root / name
        (directory / "data").mkdir(parents=True)
        count = 0
        for number, rows in enumerate(shards):
            full = []
            for position, row in enumerate(rows):
                columns = {"text": row} if isinstance(row, str) else row
                source = columns.get("source", "web")
                full.append({"id": document_id(source, f"{number}", position), "source": source, **EMPTY, **columns})
            write_table(pa.Table.from_pylist(full, schema=DOCUMENT), directory / "data" / f"{number:05d}.parquet")
            count += len(rows)
        identity = fingerprint(name, 1, {}, {"shards": [list(map(str, rows)) for rows in shards]})
        facts = {"rows_in": count, "rows_out": count, "dropped": {}, "quarantined": 0}
        write_manifest(
            directory, task=name, label=None, version=1, fingerprint=identity, inputs={}, config={}, facts=facts
        )
        return directory

    return make


@pytest.fixture(scope="session")
def dask_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Dask cluster of two worker processes that the whole session shares."""
    from infra.cluster import Cluster, LazyCluster

    with LazyCluster(Cluster(workers=2), tmp_path_factory.mktemp("dask"), name="tests") as cluster:
        yield cluster.address()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A private Slurm of two nodes on this host, found by its commands through SLURM_CONF; its folder."""
    if shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        if required("slurm"):
            pytest.fail("slurmctld is required (OPENSEEK_REQUIRE) and not installed: infra/slurm/local.sh install")
        pytest.skip("slurmctld is not installed: `infra/slurm/local.sh install` as root")
    folder, script = tmp_path_factory.mktemp("slurm"), REPOSITORY / "infra" / "slurm" / "local.sh"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_LOCAL_DIR", str(folder))
        patch.setenv("SLURM_LOCAL_PORT", str(_free_range(13)))
        patch.setenv("SLURM_LOCAL_MEM", "8192")  # what the nodes claim, whatever the host has
        patch.setenv("SLURM_CONF", str(folder / "etc" / "slurm.conf"))
        patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        try:
            subprocess.run(["bash", str(script), "start"], check=True)
            yield folder
        finally:
            subprocess.run(["bash", str(script), "stop"], check=True)


def _free_range(length: int) -> int:
    """The first of `length` neighbouring ports that nobody listens on."""
    for first in range(21000, 31000, length):
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + length):
                    probe = held.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no free range of ports")


class ChatEndpoint:
    """A running tests/openseek/synthesis/endpoint.py."""

    def __init__(self, address: str) -> None:
        self.address, self.base_url = address, f"{address}/v1"

    def log(self) -> dict[str, Any]:
        """What was asked so far."""
        with urllib.request.urlopen(f"{self.address}/log", timeout=10) as response:
            return json.load(response)


@pytest.fixture(scope="session")
def chat_endpoint() -> Iterator[Callable[..., ChatEndpoint]]:
    """`chat_endpoint(seconds=0)`: a chat endpoint in a process of its own; a passage may tell it to misbehave."""
    command = [sys.executable, str(REPOSITORY / "tests" / "openseek" / "synthesis" / "endpoint.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()

            def fresh(seconds: float = 0.0) -> ChatEndpoint:
                urllib.request.urlopen(f"{address}/reset?seconds={seconds}", data=b"", timeout=10).close()
                return ChatEndpoint(address)

            yield fresh
        finally:
            process.kill()
