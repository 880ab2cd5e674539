"""What a task left on disk, and workers for it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openseek.artifact import read_manifest


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
