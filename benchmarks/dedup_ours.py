"""Our own deduplication on the corpus: a task in a process of its own, such that all that it uses is counted."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.dedup_corpus import Corpus, write
from benchmarks.peers import PREAMBLE
from benchmarks.rows import REPOSITORY

if TYPE_CHECKING:
    import numpy as np

SECONDS = 1800.0
WARM_DOCUMENTS = 64
SCRIPT = r"""
import inspect
from pathlib import Path
from tasks.__main__ import find
from tasks.where import Where, using
task = find(arguments["task"])
config = type(inspect.signature(task.fn).parameters["config"].default)(**arguments["config"])
def run(root, documents):
    with using(Where(root=Path(root))):
        return task(Path(documents), config=config)
run(arguments["warm_root"], arguments["warm"])  # compiles, or loads the compiled kernels
before = spent()
out = run(arguments["root"], arguments["documents"])
seconds = spent() - before
# getrusage would count the memory of the process that started this one.
memory = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "rss_mb": memory / 1024, "out": str(out)}))
"""


@dataclass(frozen=True)
class Done:
    """A finished task."""

    seconds: float
    """CPU seconds from reading the documents to the finished artifact; imports and loading of kernels come before."""
    rss_mb: float
    """The most memory of the process."""
    out: Path
    """Its artifact."""


@contextmanager
def done(task: str, config: dict[str, Any], folder: Path) -> Iterator[Done]:
    """Run the task on the documents of the corpus in `folder`; what it wrote is there until the block ends."""
    warm = _warm_documents(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as root:
        arguments = {
            "task": task,
            "config": config,
            "documents": str(folder / "documents"),
            "root": f"{root}/root",
            "warm": str(warm / "documents"),
            "warm_root": f"{root}/warm",
        }
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-c", PREAMBLE + SCRIPT, json.dumps(arguments)]
        options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": SECONDS, "env": environment}
        ended = subprocess.run(command, check=False, cwd=REPOSITORY, **options)
        if ended.returncode:
            raise RuntimeError(f"{task} failed: {ended.stderr[-2000:]}")
        told = json.loads(ended.stdout.strip().splitlines()[-1])
        yield Done(told["seconds"], told["rss_mb"], Path(told["out"]))


def _warm_documents(folder: Path) -> Path:
    """A small corpus beside the large one, that compiles the same kernels."""
    from benchmarks.dedup_corpus import load

    warm = folder / "warm"
    if not (warm / "documents" / "manifest.json").is_file():
        corpus = load(folder)
        chosen = [pair.copy for pair in corpus.pairs[:WARM_DOCUMENTS]]
        chosen += [pair.source for pair in corpus.pairs[:WARM_DOCUMENTS]]
        texts, kinds = ([values[row] for row in chosen] for values in (corpus.texts, corpus.kinds))
        write(Corpus(texts, kinds, list(range(len(texts)))), warm, {"of": "the first near copies"})
    return warm


def row_numbers(folder: Path) -> dict[str, int]:
    """The row of each document id of the corpus."""
    import pyarrow.parquet as pq

    shards = sorted((folder / "documents" / "data").glob("*.parquet"))
    names = [name for shard in shards for name in pq.read_table(shard, columns=["id"])["id"].to_pylist()]
    return {name: row for row, name in enumerate(names)}


def partners(out: Path, rows: dict[str, int]) -> dict[int, int]:
    """Row of each document that a task dropped, to the row of the partner that it names."""
    import pyarrow.parquet as pq

    found: dict[int, int] = {}
    for shard in sorted((out / "dropped").glob("*.parquet")):
        table = pq.read_table(shard, columns=["id", "partner", "first"])
        for record in table.to_pylist():
            if record["first"] and record["partner"]:
                found[rows[record["id"]]] = rows[record["partner"]]
    return found


def cut_bytes(out: Path, rows: dict[str, int], lengths: list[int]) -> "np.ndarray":
    """The bytes that dedup_substring cut: bool over the bytes of all texts, one after the other."""
    import numpy as np
    import pyarrow.parquet as pq

    offsets = np.concatenate(([0], np.cumsum(lengths)))
    marked = np.zeros(int(offsets[-1]), bool)
    for table in sorted((out / "cut").glob("*.parquet")):
        for cut in pq.read_table(table, columns=["id", "start", "stop"]).to_pylist():
            first = offsets[rows[cut["id"]]]
            marked[first + cut["start"] : first + cut["stop"]] = True
    return marked
