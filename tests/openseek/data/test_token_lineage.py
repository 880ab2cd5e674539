from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.token_lineage import LINEAGE, document_at, lineage_of


def test_the_document_of_a_token(tmp_path: Path) -> None:
    every = {"source": "web", "lang": "en", "licence": "by", "domain": "", "shard": "ingest/data/00000.parquet"}
    rows = [
        {**every, "id": name, "bytes": 4 * tokens, "tokens": tokens, "first_token": first, "row": row}
        for row, (name, tokens, first) in enumerate([("a", 3, 0), ("b", 1, 3), ("c", 5, 4)])
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=LINEAGE), lineage_of(tmp_path / "zh.edu-00000"))
    assert [document_at(tmp_path / "zh.edu-00000", i)["id"] for i in range(9)] == [*"aaabccccc"]
    for position in (-1, 9):
        with pytest.raises(ValueError, match=f"has 9 tokens: there is no token {position}"):
            document_at(tmp_path / "zh.edu-00000", position)
    with pytest.raises(ValueError, match=r"zh-00000\.documents\.parquet is missing"):
        document_at(tmp_path / "zh-00000", 0)
