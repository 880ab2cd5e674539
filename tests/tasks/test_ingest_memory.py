"""The memory of an ingest worker does not grow with the file: children measure their own peak."""

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import zstandard

CHILD = """
import json, resource, sys
from pathlib import Path
from openseek.data.sources import Ingest, Source
from openseek.data.sources.documents import read_file
from openseek.raw_files import RawFile
path = Path(sys.argv[1])
config = Ingest((Source("s", str(path), lang="en"),), max_expansion=1e6)
rows = bad = 0
for piece in read_file((config.sources[0], RawFile.at(path)), config):
    rows, bad = rows + piece.kept.num_rows, bad + piece.quarantine.num_rows
print(json.dumps([rows, bad, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]))
"""
GOOD = b'{"text": "a good record"}\n'


def peak(path: Path) -> tuple[int, int, int]:
    """(rows kept, rows quarantined, peak memory in MiB) of reading a file in a process of its own."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
    kept, bad, mebibytes = json.loads(done.stdout)
    return kept, bad, mebibytes


def long_line(path: Path, mebibytes: int) -> None:
    """A gzip or zstd file: a good record, a line of one character, another good record."""
    piece = b"x" * (1 << 20)
    compressor = zlib.compressobj(wbits=31) if path.suffix == ".gz" else zstandard.ZstdCompressor().compressobj()
    with open(path, "wb") as file:
        file.write(compressor.compress(GOOD + b'{"text": "'))
        for _ in range(mebibytes):
            file.write(compressor.compress(piece))
        file.write(compressor.compress(b'"}\n' + GOOD))
        file.write(compressor.flush())


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Peak memory of reading one record: Python, Arrow and the kernels."""
    path = tmp_path_factory.mktemp("idle") / "a.jsonl"
    path.write_bytes(GOOD)
    return peak(path)[2]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_line_of_two_hundred_megabytes_is_not_held(tmp_path: Path, suffix: str, idle: int) -> None:
    path = tmp_path / f"a.jsonl.{suffix}"
    long_line(path, 200)
    kept, bad, used = peak(path)
    assert (kept, bad) == (2, 1)
    assert used < idle + 100


def test_a_file_of_normal_rows_is_not_held(tmp_path: Path, idle: int) -> None:
    frame = zstandard.compress(b"".join(json.dumps({"text": f"row {i} " * 60}).encode() + b"\n" for i in range(20_000)))
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(frame * 10)
    kept, bad, used = peak(path)
    assert (kept, bad) == (200_000, 0)
    assert used < idle + 200


@pytest.mark.slow
def test_a_gigabyte_stays_below_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    long_line(path, 1024)
    assert peak(path)[:2] == (2, 1)
    frame = gzip.compress(b"".join(json.dumps({"text": f"row {i} " * 200}).encode() + b"\n" for i in range(20_000)))
    (tmp_path / "b.jsonl.gz").write_bytes(frame * 40)
    kept, _, used = peak(tmp_path / "b.jsonl.gz")
    assert kept == 800_000
    assert used < 1536
