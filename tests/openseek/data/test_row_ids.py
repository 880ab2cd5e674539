from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from openseek.data.row_ids import document_ids, row_ids, row_of, shard_of


def test_ids_carry_shard_and_row(tmp_path: Path) -> None:
    ids = row_ids([2, 0, 3])
    assert ids.tolist() == [0, 1, 2 << 32, (2 << 32) + 1, (2 << 32) + 2]
    assert shard_of(ids).tolist() == [0, 0, 2, 2, 2]
    assert row_of(ids).tolist() == [0, 1, 0, 1, 2]
    shards = []
    for shard, count in enumerate([2, 0, 3]):
        shards.append(tmp_path / f"{shard}.parquet")
        names = pa.array([f"{shard}-{i}" for i in range(count)], pa.string())
        pq.write_table(pa.table({"id": names}), shards[-1])
    assert document_ids(shards, ids[[4, 0, 2]]) == ["2-2", "0-0", "2-0"]
    assert row_ids([]).tolist() == []
