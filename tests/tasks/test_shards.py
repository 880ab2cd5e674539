"""Shards: every row accounted for, the same bytes whoever computes them and however often the work is killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import file_digest
from openseek.data.document import ShardOutput, dropped_table, quarantine_table
from tasks.shards import GROUP_ROWS, input_shards, map_files, map_shards, read_batches, write_table


def odd_stay(numbers: list[int], lose: bool = False) -> Iterator[ShardOutput]:
    kept = [n for n in numbers if n % 2 and n > 0]
    even = [i for i, n in enumerate(numbers) if n % 2 == 0 and n > 0]
    rows = [{"id": str(numbers[i]), "task": "t", "rule": "even", "first": True, "row": i} for i in even]
    bad = [("file", i, "negative", b"x" * 5000) for i, n in enumerate(numbers) if n <= 0]
    yield ShardOutput(
        pa.table({"n": kept[1:] if lose else kept}),
        len(numbers),
        dropped_table(rows),
        quarantine_table(bad),
        {"seen": 1},
    )


SHARDS = [list(range(-2, 10)), list(range(20, 33)), [], [5]]


def digests(out: Path) -> dict[str, str]:
    return {str(p.relative_to(out)): file_digest(p) for p in sorted(out.rglob("*.parquet"))}


def test_rows_are_summed_and_files_numbered(tmp_path: Path) -> None:
    facts = map_shards(tmp_path, SHARDS, odd_stay, title="t")
    assert facts == {"rows_in": 26, "rows_out": 12, "dropped": {"even": 11}, "quarantined": 3, "seen": 4}
    assert len(input_shards(tmp_path)) == 4
    dropped = pq.read_table(tmp_path / "dropped" / "00001.parquet")
    assert set(dropped["shard"].to_pylist()) == {1}
    assert len(pq.read_table(tmp_path / "quarantine" / "00000.parquet")["bytes"][0].as_py()) == 4096


def test_a_lost_row_is_caught_in_its_shard(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="12 rows in, 11 accounted for"):
        map_shards(tmp_path, SHARDS, partial(odd_stay, lose=True), title="t")


def _measure(numbers: list[int], path: Path) -> dict[str, int]:
    path.write_text(str(numbers))
    return {"length": len(numbers)}


def test_files_come_back_in_order(tmp_path: Path) -> None:
    found = map_files(tmp_path, ".lengths", SHARDS, _measure, suffix=".txt", title="t")
    assert [f["length"] for f in found] == [12, 13, 0, 1]
    assert (tmp_path / ".lengths" / "00003.txt").read_text() == "[5]"


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from openseek import artifact
from test_shards import SHARDS, odd_stay
from tasks import shards
left, replace = int(sys.argv[1]), os.replace
def dying(a, b):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    replace(a, b)
os.replace = dying
shards.map_shards(Path(sys.argv[2]), SHARDS[1:], odd_stay, title="t")
"""


def test_a_kill_at_every_rename_leaves_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    map_shards(whole, SHARDS[1:], odd_stay, title="t")
    script = KILLED.format(here=str(Path(__file__).parent))
    # Each run goes on from what the last one left and dies one rename later.
    renames, ended = 0, None
    for renames in range(14):
        ended = subprocess.run(
            [sys.executable, "-c", script, str(renames), str(broken)], capture_output=True, timeout=60
        )
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert renames > 3, "the runs were not killed"
    assert ended is not None
    assert ended.returncode == 0
    assert digests(broken) == digests(whole)


def test_dask_workers_write_the_same_bytes(tmp_path: Path, dask_address: str) -> None:
    from tasks.where import Where, using

    map_shards(tmp_path / "here", SHARDS, odd_stay, title="t")
    with using(Where(root=tmp_path, dask=lambda: dask_address)):
        facts = map_shards(tmp_path / "there", SHARDS, odd_stay, title="t")
    assert facts["rows_in"] == 26
    assert digests(tmp_path / "there") == digests(tmp_path / "here")


def _in_pieces(size: int) -> Iterator[ShardOutput]:
    for start in range(0, 20_000, size):
        yield ShardOutput(pa.table({"n": list(range(start, min(start + size, 20_000)))}), min(size, 20_000 - start))


@pytest.mark.parametrize("size", [500, 20_000])
def test_a_shard_is_written_in_bounded_row_groups(tmp_path: Path, size: int) -> None:
    facts = map_shards(tmp_path, [size], _in_pieces, title="t")
    with pq.ParquetFile(input_shards(tmp_path)[0]) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert file.read()["n"].to_pylist() == list(range(20_000))
    assert facts["rows_out"] == sum(sizes) == 20_000
    assert max(sizes) <= GROUP_ROWS
    batches = list(read_batches(input_shards(tmp_path)[0], 3000))
    assert max(batch.num_rows for batch in batches) == 3000
    assert sum(batch.num_rows for batch in batches) == 20_000


def test_rows_of_many_bytes_make_small_row_groups(tmp_path: Path) -> None:
    texts = pa.table({"text": pa.array(["x" * (1 << 20)] * 70, pa.large_string())})
    write_table(texts, tmp_path / "a.parquet")
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [31, 31, 8]
