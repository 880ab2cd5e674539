"""Near-duplicate search over synthetic signatures, from 10^5 to 10^7 documents: cost a document, memory, disk.

The passes are those of the task, from the signatures on; texts are not read, so every likely pair counts as near.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import PREAMBLE
from benchmarks.rows import REPOSITORY, Row, cpu_name

SIZES = ((100_000, 5), (1_000_000, 3), (10_000_000, 2))
"""Documents, and runs of which the one of the least CPU time counts."""
SHARD_DOCUMENTS = 100_000
COPIES = 0.1
SECONDS = 3000.0
PLOT = REPOSITORY / "docs" / "images" / "dedup_scale.svg"
SCRIPT = r"""
import tempfile
from pathlib import Path
from typing import Any
import numpy as np
from openseek.data.arrays import read_arrays, write_arrays
from openseek.data.minhash import MinHash
from openseek.data.row_ids import distinct
from openseek.data.union_find import stars
from tasks.near_pairs import Signed, near_pairs
from tasks.where import Where, using
config = MinHash()
def signatures(folder, documents, shard):
    # Copies agree with a document of the same shard in nine hashes of ten.
    folder.mkdir(parents=True, exist_ok=True)
    for index, start in enumerate(range(0, documents, shard)):
        random, count = np.random.default_rng(index), min(shard, documents - start)
        values = random.integers(0, 1 << 32, (count, config.num_hashes), dtype=np.uint32)
        copies = random.permutation(count)[: 2 * int(count * arguments["copies"])]
        originals, copies = np.split(copies, 2)
        same = random.random((len(copies), config.num_hashes)) < 0.9
        values[copies] = np.where(same, values[originals], values[copies])
        ids = np.char.mod("%032x", np.arange(start, start + count)).astype("S32")
        write_arrays(folder / f"{index:05d}.npy", values, np.full(count, 500), np.zeros(count, np.uint64), ids)
    return tuple(sorted(folder.glob("*.npy")))
def search(out, files):
    counts = near_pairs(out, Signed(files, 0), config, title="scale")
    pairs = np.concatenate([read_arrays(path)[2] for path in sorted((out / ".likely").glob("*.npy"))])
    nodes = distinct(pairs)
    return counts, stars(pairs, np.full(len(pairs), 0.9), nodes, np.zeros(len(nodes), np.uint64))
with tempfile.TemporaryDirectory(dir=arguments["folder"]) as folder:
    folder = Path(folder)
    with using(Where(root=folder)):
        search(folder / "warm", signatures(folder / "warm_signatures", 2000, 1000))
        files = signatures(folder / "signatures", arguments["documents"], arguments["shard"])
        before = resource.getrusage(resource.RUSAGE_SELF)
        counts, found = search(folder / "out", files)
        after = resource.getrusage(resource.RUSAGE_SELF)
    disk = sum(path.stat().st_size for path in (folder / "out").rglob("*.npy"))
memory = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
times = {"user": after.ru_utime - before.ru_utime, "kernel": after.ru_stime - before.ru_stime}
print(json.dumps({**times, "rss_mb": memory / 1024, "goes": len(found.goes), "disk": disk, **counts}))
"""


def rows(folder: Path | None = None, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[Row]:
    """Microseconds, bytes and peak memory for each size, and the picture of the first."""
    found = []
    for documents, turns in sizes:
        runs = [_search(documents, folder or Path("/var/tmp")) for _ in range(turns)]
        found.append((documents, min(runs, key=lambda run: run["user"] + run["kernel"])))
    _plot([(n, each["user"] / n * 1e6, each["kernel"] / n * 1e6, each["rss_mb"]) for n, each in found])
    shared: dict[str, Any] = {"bench": "dedup", "device": cpu_name(), "command": "openseek bench dedup_scale"}
    measured = []
    for documents, each in found:
        case = f"{documents:,} synthetic signatures, {COPIES:.0%} copies"
        both = each["user"] + each["kernel"]
        for metric, value, unit in (
            ("bands to clusters", both / documents * 1e6, "CPU us a document"),
            ("bands to clusters, the kernel's part", each["kernel"] / documents * 1e6, "CPU us a document"),
            ("bands to clusters, our part", each["user"] / documents * 1e6, "CPU us a document"),
            ("peak memory of the process", each["rss_mb"], "MiB"),
            ("intermediate files", each["disk"] / documents, "bytes a document"),
            ("copies found", each["goes"] / (documents * COPIES), "share"),
        ):
            measured.append(Row(**shared, case=case, metric=metric, value=value, unit=unit))
    return measured


def _search(documents: int, folder: Path) -> dict[str, Any]:
    """One search in a process of its own."""
    arguments = {"documents": documents, "shard": SHARD_DOCUMENTS, "copies": COPIES, "folder": str(folder)}
    command = [sys.executable, "-c", PREAMBLE + SCRIPT, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": SECONDS, "env": environment}
    done = subprocess.run(command, check=False, cwd=REPOSITORY, **options)
    if done.returncode:
        raise RuntimeError(f"the search over {documents} signatures failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure() -> list[Row]:
    """`openseek bench dedup_scale`."""
    return rows()


def _plot(points: list[tuple[int, float, float, float]]) -> None:
    """Draw (documents, user µs, kernel µs, MiB) of each size."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "openseek"
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3))
    sizes = [point[0] for point in points]
    left.semilogx(sizes, [point[1] for point in points], marker="o", label="our code")
    left.semilogx(sizes, [point[1] + point[2] for point in points], marker="o", label="with the kernel's file pages")
    left.legend(fontsize="small")
    right.semilogx(sizes, [point[3] for point in points], marker="o")
    right.axhline(2048, linestyle="--", color="#b00")
    for axis, label in ((left, "CPU µs a document"), (right, "peak memory, MiB")):
        axis.set(xlabel="documents", ylabel=label, ylim=(0, None))
        axis.grid(alpha=0.3)
    figure.tight_layout()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)
