"""Clusters are counted exactly, whatever the number of rounds and shards."""

import collections
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.clusters import Cluster, clusters, largest, member_sources
from openseek.data.document import document_id, dropped_table

PARTNERS = [document_id("web", "kept", i) for i in range(300)] + ["x", "é", "plain"]


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    """Four tables of dropped rows; partner i has some i documents, rows that are not first count for nothing."""
    draw = random.Random(0)
    names = [name for place, name in enumerate(PARTNERS) for _ in range(place // 10 + 1)]
    draw.shuffle(names)
    paths = []
    for number in range(4):
        mine = names[number::4] if number < 3 else []
        rows = [{"id": f"{number}-{i}", "task": "t", "rule": "r", "first": True, "row": i} for i in range(len(mine))]
        rows = [{**row, "partner": name} for row, name in zip(rows, mine, strict=True)]
        noise = {"id": "n", "task": "t", "rule": "r", "row": 0}
        rows += [{**noise, "first": False, "partner": PARTNERS[0]}] * 90 + [{**noise, "first": True}] * 90
        paths.append(tmp_path / f"{number}.parquet")
        pq.write_table(dropped_table(rows), paths[-1])
    return paths


def truth(tables: list[Path]) -> collections.Counter[str]:
    rows = [row for table in tables for row in pq.read_table(table).to_pylist()]
    return collections.Counter(row["partner"] for row in rows if row["first"] and row["partner"])


@pytest.mark.parametrize("at_a_time", [1, 700, 1 << 23])
def test_the_largest_are_those_of_a_plain_count(tables: list[Path], at_a_time: int) -> None:
    expected = sorted(truth(tables).items(), key=lambda item: (-item[1], item[0]))
    assert list(largest(tables, 20, at_a_time).items()) == expected[:20]
    assert list(largest(tables, 10_000, at_a_time).items()) == expected


def test_no_tables_and_no_partners(tables: list[Path]) -> None:
    assert largest([]) == {}
    assert largest(tables[3:]) == {}


def test_members_are_told_by_source(tmp_path: Path) -> None:
    rows = [{"id": f"{i}", "task": "t", "rule": "r", "first": True, "row": i, "partner": "ab"[i % 2]} for i in range(5)]
    pq.write_table(dropped_table(rows), tmp_path / "dropped.parquet")
    pq.write_table(pa.table({"source": ["web", "web", "book", "web", None]}), tmp_path / "shard.parquet")
    found = member_sources(tmp_path / "dropped.parquet", tmp_path / "shard.parquet", ["a", "c"])
    assert found == {"a": {"book": 1, "unknown": 1, "web": 1}}
    made = clusters({"a": 5, "c": 1}, [found, found, {}], {"a": {"source": "wiki", "text": "First words"}})
    assert made == [
        Cluster("a", 5, {"book": 2, "unknown": 2, "web": 2}, "wiki", "First words"),
        Cluster("c", 1),
    ]
