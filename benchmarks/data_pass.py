"""The whole pass, raw jsonl.zst to filtered documents with lineage: text per CPU second of one core, and memory."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.corpus import write_jsonl
from benchmarks.rows import REPOSITORY, Row, cpu_name

MEGABYTES, REPEAT = 256, 4
LINE_MEGABYTES = 1024
# A process of its own: its peak memory is the pass's and nobody else's.
CHILD = """
import json, resource, sys, tempfile
from pathlib import Path
from openseek.artifact import read_manifest
from openseek.data.filters import Filters
from openseek.data.filters.presets import PRESETS
from openseek.data.sources import Ingest, Source
from tasks.filter import filter as filter_documents
from tasks.ingest import ingest
from tasks.where import Where, using

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

def both(path, root):
    with using(Where(root=root)):
        config = Ingest((Source("web", str(path)),), split_bytes=split_bytes)
        marks = [used()]
        documents = ingest(config=config)
        marks.append(used())
        filtered = filter_documents(documents, config=PRESETS["web"])
        marks.append(used())
    facts = [read_manifest(d)["facts"] for d in (documents, filtered)]
    return marks, facts

small, large, split_bytes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with tempfile.TemporaryDirectory() as folder:
    both(small, Path(folder))  # kernels and tables are loaded once a process
    (Path(folder) / "again").mkdir()
    marks, facts = both(large, Path(folder) / "again")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"ingest": marks[1] - marks[0], "filter": marks[2] - marks[1], "peak": peak, "facts": facts}))
"""


def rows() -> list[Row]:
    """Speed of ingest, of filter and of both; the peak memory with one file of one line of a gigabyte."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        megabytes, count = write_jsonl(folder / "large.jsonl.zst", MEGABYTES)
        write_jsonl(folder / "small.jsonl.zst", 1, step=50)
        passes = [_pass(folder / "small.jsonl.zst", folder / "large.jsonl.zst") for _ in range(REPEAT)]
        found = min(passes, key=lambda spent: spent["ingest"] + spent["filter"])
        _write_line(folder / "line.jsonl.zst")
        line = _pass(folder / "small.jsonl.zst", folder / "line.jsonl.zst")
    ingested, filtered = found["facts"]
    case = (
        f"{count} documents, {megabytes:.0f} MB of English and Chinese text in jsonl.zst, languages identified, "
        f"preset web; {filtered['rows_out']} kept, {sum(filtered['dropped'].values())} dropped, "
        f"{ingested['quarantined']} quarantined"
    )
    shared: dict[str, Any] = {"bench": "data", "device": cpu_name(), "command": "openseek bench data"}
    speed = "MB per CPU second"
    spent = {name: found[name] for name in ("ingest", "filter")}
    quarantined = f"one line of {LINE_MEGABYTES} MB: {line['facts'][0]['quarantined']} record quarantined"
    return [
        *(
            Row(**shared, case=case, metric=f"{name} speed", value=megabytes / seconds, unit=speed)
            for name, seconds in spent.items()
        ),
        Row(**shared, case=case, metric="ingest and filter speed", value=megabytes / sum(spent.values()), unit=speed),
        Row(**shared, case=case, metric="peak memory", value=found["peak"] / 2**20, unit="MiB"),
        Row(**shared, case=quarantined, metric="peak memory", value=line["peak"] / 2**20, unit="MiB"),
    ]


def _pass(small: Path, large: Path, split_bytes: int = 256 << 20) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, str(small), str(large), str(split_bytes)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the pass failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _write_line(path: Path) -> None:
    """One record of one character, a gigabyte long, between two sound ones."""
    import zstandard

    sound = json.dumps({"text": "A sentence that is long enough to be read. " * 10}).encode() + b"\n"
    with zstandard.open(path, "wb") as file:
        file.write(sound + b'{"text": "')
        for _ in range(LINE_MEGABYTES):
            file.write(b"a" * (1 << 20))
        file.write(b'"}\n' + sound)
