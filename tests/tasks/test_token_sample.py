from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openseek.data.tokenizer import Tokenize
from tasks.shards import input_shards
from tasks.token_sample import GATE_DOCUMENTS, census, fractions, gate_texts, parts_of


@pytest.mark.parametrize(
    ("sizes", "shares", "sample", "bytes_taken"),
    [
        ({"a": 1000, "b": 1000}, {}, 500, {"a": 250, "b": 250}),
        ({"a": 1000, "b": 100}, {}, 500, {"a": 400, "b": 100}),
        ({"a": 1000, "b": 1000, "c": 10}, {"a": 3.0, "b": 1.0}, 400, {"a": 300, "b": 100, "c": 0}),
        ({"a": 1000, "b": 50, "c": 1000}, {"a": 1.0, "b": 2.0, "c": 1.0}, 450, {"a": 200, "b": 50, "c": 200}),
        ({"a": 10, "b": 20}, {}, 500, {"a": 10, "b": 20}),
        ({"a": 10, "b": 0}, {}, 5, {"a": 5, "b": 0}),
        ({}, {}, 5, {}),
    ],
)
def test_shares_of_the_sample(sizes: dict, shares: dict, sample: int, bytes_taken: dict) -> None:
    config = Tokenize(sample_bytes=sample, stratify_by="source", sample_shares=shares)
    taken = fractions(sizes, config)
    assert {name: round(taken[name] * size) for name, size in sizes.items()} == bytes_taken


def test_parts_follow_row_groups_and_cover_every_row(
    documents_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = input_shards(documents_of([[f"text {i} " * 50 for i in range(100)], []]))
    pq.write_table(pq.read_table(shards[0]), shards[0], row_group_size=10)
    assert [(part.groups, part.first_row) for part in parts_of(shards, [])] == [(tuple(range(10)), 0), ((), 0)]
    one = pq.read_metadata(shards[0]).row_group(0).column(1).total_uncompressed_size
    monkeypatch.setattr("tasks.token_sample.PART_BYTES", 4 * one)
    parts = parts_of(shards, shards[1:])
    assert [part.number for part in parts] == list(range(len(parts)))
    assert [group for part in parts for group in part.groups] == list(range(10))
    assert [part.first_row for part in parts[:-2]] == [10 * part.groups[0] for part in parts[:-2]]
    assert len(parts) >= 4
    assert [part.synthetic for part in parts[-2:]] == [False, True]


def test_the_gate_has_documents_of_every_source_and_language(documents_of: Callable[..., Path]) -> None:
    rows = [{"text": f"{i}", "source": f"s{i % 3}", "lang": ("en", "zh")[i // 3 % 2]} for i in range(900)]
    rows += [{"text": "rare", "source": "s0", "lang": "sw"}]
    parts = parts_of(input_shards(documents_of([rows[:500], rows[500:]])), [])
    found = census(parts, Tokenize(stratify_by="lang"))
    texts = gate_texts(parts, found)
    assert found.rows == 901
    assert {pair: len(some) for pair, some in texts.items() if pair[1] != "sw"} == {
        (f"s{i}", lang): GATE_DOCUMENTS for i in range(3) for lang in ("en", "zh")
    }
    assert texts["s0", "sw"].to_pylist() == ["rare"]
    assert (
        texts["s1", "zh"].to_pylist()
        == [r["text"] for r in rows if (r["source"], r["lang"]) == ("s1", "zh")][:GATE_DOCUMENTS]
    )
    assert set(found.text_bytes) == {"en", "zh", "sw"}
