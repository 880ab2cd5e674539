"""Small finished artifacts of documents, and what a task left on disk."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from openseek.artifact import fingerprint, read_manifest, write_manifest
from openseek.data.document import DOCUMENT, document_id
from tasks.shards import write_table
from tasks.where import Where

Row = dict[str, Any] | str
EMPTY = {"url": "", "lang": "en", "script": "", "licence": "public", "date": "", "meta": "{}"}


@pytest.fixture
def documents_of(root: Where) -> Callable[..., Path]:
    """`documents_of([shard, ...], name="ingest")`: a finished artifact; a row is a text or a dict of columns."""

    def make(shards: Sequence[Sequence[Row]], name: str = "ingest") -> Path:
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


@pytest.fixture
def files_of() -> Callable[[Path], dict[str, str]]:
    """`files_of(artifact)`: the digest of every file that its manifest lists."""
    return lambda directory: {f["path"]: f["xxh3_128"] for f in read_manifest(directory)["files"]}


@pytest.fixture(scope="session")
def two_workers() -> Iterator[str]:
    """Address of a Dask scheduler with two workers (threads of this process: quick, and shards come in any order)."""
    from distributed import LocalCluster

    options: dict[str, Any] = {"threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    cluster: Any = LocalCluster(n_workers=2, **options)
    with cluster:
        yield cluster.scheduler_address
