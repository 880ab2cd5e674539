"""A few documents are found wherever they lie, and only their row groups are read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.lookup import find_documents, find_in_shard, read_rows


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Two shards of ten documents, in row groups of three."""
    paths = []
    for number in range(2):
        ids = [f"{number}-{row}" for row in range(10)]
        paths.append(tmp_path / f"{number}.parquet")
        pq.write_table(pa.table({"id": ids, "text": [f"text {i}" for i in ids]}), paths[-1], row_group_size=3)
    return paths


def test_rows_come_in_order(shards: list[Path]) -> None:
    assert [(row, d["id"]) for row, d in read_rows(shards[1], [0, 2, 3, 9])] == [
        (0, "1-0"),
        (2, "1-2"),
        (3, "1-3"),
        (9, "1-9"),
    ]
    assert list(read_rows(shards[0], [])) == []


def test_rows_are_rewritten(shards: list[Path]) -> None:
    def loud(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.set_column(1, "text", pa.array([t.upper() for t in batch.column("text").to_pylist()]))

    assert [d["text"] for _, d in read_rows(shards[0], [4], loud)] == ["TEXT 0-4"]


def test_documents_are_found_by_id(shards: list[Path]) -> None:
    found = find_documents(shards, ["1-7", "0-2", "nowhere"])
    assert {name: document["text"] for name, document in found.items()} == {"0-2": "text 0-2", "1-7": "text 1-7"}
    assert find_in_shard(shards[0], ["1-7"]) == {}
    assert find_in_shard(shards[0], []) == {}


def test_shards_behind_the_last_one_found_are_not_read(shards: list[Path], tmp_path: Path) -> None:
    assert set(find_documents([shards[0], tmp_path / "missing.parquet"], ["0-1"])) == {"0-1"}
    with pytest.raises(FileNotFoundError):
        find_documents([shards[0], tmp_path / "missing.parquet"], ["1-1"])
