"""The report of a decontamination: what is counted, which hits are shown, what is read back from the documents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.data.contamination_policies import HITS
from openseek.data.document import DOCUMENT
from openseek.data.ngrams import BenchmarkFile, Decontaminate
from tasks import contamination
from tasks.contamination import EXAMPLES, PAGE, TEXT, contamination_report

COUNTED = {"items": 40, "short_items": 1, "ignored_items": 2, "one_word_answers": 3}
Report = Callable[..., tuple[dict[str, dict[str, int]], str]]


def hit(row: int, item: int, overlap: float = 1.0, **columns: Any) -> dict[str, Any]:
    rest = {"benchmark": "gsm", "with_answer": None, "start": 7, "stop": 7 + len(f"question{item}"), "acted_on": True}
    return {"id": f"id{row}", "row": row, "item": item, "overlap": overlap, **rest, **columns}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """`report(shards of hits)`: (the counts, the Markdown page); a shard has ten documents in groups of three."""
    for name in ("gsm", "math"):
        lines = [json.dumps({"question": f"question{i}", "answer": f"answer{i}"}) + "\n" for i in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    config = Decontaminate(
        tuple(BenchmarkFile(n, str(tmp_path / f"{n}.jsonl"), answer_fields=("answer",)) for n in ("gsm", "math"))
    )

    def make(*shards: list[dict[str, Any]]) -> tuple[dict[str, dict[str, int]], str]:
        (tmp_path / "hits").mkdir()
        documents = []
        for number, hits in enumerate(shards):
            pq.write_table(pa.Table.from_pylist(hits, schema=HITS), tmp_path / "hits" / f"{number:05d}.parquet")
            items = {h["row"]: h["item"] for h in hits}
            rows = [
                dict.fromkeys(DOCUMENT.names, "")
                | {"id": f"id{row}", "text": f"before question{items.get(row, '')} after", "url": f"site{number}/{row}"}
                for row in range(10)
            ]
            documents.append(tmp_path / f"{number:05d}.parquet")
            pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENT), documents[-1], row_group_size=3)
        table = contamination_report(tmp_path, documents, {"gsm": COUNTED, "math": COUNTED}, 10 * len(shards), config)
        assert (tmp_path / PAGE).read_text().startswith("<!doctype html>")
        return table, (tmp_path / TEXT).read_text()

    return make


def test_items_and_documents_are_counted_once_each(report: Report) -> None:
    """Row 4 of both shards is another document; two items in one document are one document."""
    first = [hit(4, 0, with_answer=True), hit(4, 1, with_answer=True), hit(5, 0, with_answer=False)]
    table, text = report(first, [hit(4, 0), hit(4, 0, benchmark="math")])
    assert table["gsm"] == {**COUNTED, "items_hit": 2, "documents_hit": 3, "with_answer": 1}
    assert table["math"] == {**COUNTED, "items_hit": 1, "documents_hit": 1, "with_answer": 0}
    assert "2 benchmarks, 20 documents" in text


def test_a_benchmark_without_hits_stays_in_the_table(report: Report) -> None:
    table, text = report([])
    assert table["math"] == {**COUNTED, "items_hit": 0, "documents_hit": 0, "with_answer": 0}
    assert "**gsm" not in text


def test_documents_are_read_back_from_their_row_groups(report: Report) -> None:
    _, text = report([hit(2, 3), hit(3, 4), hit(9, 5)], [hit(9, 6)])
    for shard, row, item in ((0, 2, 3), (0, 3, 4), (0, 9, 5), (1, 9, 6)):
        assert f"gsm\\#{item}: 100% in id{row} site{shard}/{row}" in text
        assert f"- item: question{item}\n- document: before **question{item}** after" in text


def test_only_row_groups_that_hold_an_example_are_read(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    read, healthy = [], pq.ParquetFile.read_row_group

    def counted(file: Any, group: int, **options: Any) -> pa.Table:
        read.append(group)
        return healthy(file, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    report([hit(4, 0), hit(5, 1)], [], [hit(0, 2)])
    assert read == [1, 0]


def test_the_most_doubtful_and_the_plainest_are_shown() -> None:
    hits = [{**hit(n, n, 0.6 + n / 100), "shard": 0} for n in range(30)] + [{**hit(31, 29, 0.55), "shard": 0}]
    shown = contamination._examples(hits)
    assert [(h["item"], h["overlap"]) for h in shown[:3]] == [(29, 0.55), (0, 0.6), (1, 0.61)]
    assert [h["item"] for h in shown[3:]] == [26, 27, 28]
    assert len(shown) == EXAMPLES == len({h["item"] for h in shown})
    assert contamination._examples(hits[:2]) == hits[:2]
    assert contamination._examples([]) == []
