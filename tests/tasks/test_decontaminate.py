import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.ngrams import BenchmarkFile, Decontaminate
from tasks.decontaminate import decontaminate
from tasks.where import Where, using

Documents = Callable[..., Path]
QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May, how many now?"
)
CHINESE = "甲乙两地相距三百六十千米，一辆汽车从甲地开往乙地，每小时行六十千米，几小时可以到达？"


@pytest.fixture
def config(tmp_path: Path) -> Decontaminate:
    for name, questions in (
        ("gsm", [QUESTION, "3+4=?"]),
        ("cmath", ["另一个不相干的问题，关于分数的加法和减法的运算", CHINESE]),
    ):
        lines = "".join(json.dumps({"question": q}) + "\n" for q in questions)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    names = ("gsm", "cmath")
    return Decontaminate(tuple(BenchmarkFile(n, str(tmp_path / f"{n}.jsonl")) for n in names))


def column(directory: Path, folder: str, name: str) -> list:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / folder).glob("*.parquet"))])[
        name
    ].to_pylist()


def test_contaminated_document_goes_and_a_near_miss_stays(documents_of: Documents, config: Decontaminate) -> None:
    clean = [
        "A text on clips and friends in April.",
        QUESTION[:50] + " and nothing more",
        "3+5=?",
        "Let 3+4=? be asked.",
    ]
    shards = [[clean[0], f"Exercise: {QUESTION} Solution: 72", clean[1]], [f"{CHINESE}答：六小时", *clean[2:], "3+4=?"]]
    out = decontaminate(documents_of(shards), config=config)
    assert column(out, "data", "text") == clean
    assert column(out, "dropped", "detail") == ["gsm#0", "cmath#1", "gsm#1"]
    assert column(out, "dropped", "value") == [1, 1, 1]
    assert column(out, "dropped", "limit") == [0.8] * 3
    facts = read_manifest(out)["facts"]
    assert facts["dropped"] == {"contaminated": 3}
    assert facts["benchmarks"] == {
        "gsm": {"items": 2, "short_items": 1, "items_hit": 2, "documents_hit": 2},
        "cmath": {"items": 2, "short_items": 0, "items_hit": 1, "documents_hit": 1},
    }


def test_a_document_with_many_items_is_one_first_drop(documents_of: Documents, config: Decontaminate) -> None:
    out = decontaminate(documents_of([[f"{CHINESE}\n{QUESTION}", "clean"]]), config=config)
    assert column(out, "dropped", "detail") == ["gsm#0", "cmath#1"]
    assert column(out, "dropped", "first") == [True, False]
    assert read_manifest(out)["facts"]["dropped"] == {"contaminated": 1}


def test_without_benchmarks_all_stay(documents_of: Documents) -> None:
    facts = read_manifest(decontaminate(documents_of([[QUESTION], []])))["facts"]
    assert (facts["rows_out"], facts["benchmarks"]) == (1, {})


def test_workers_do_not_change_a_byte(
    documents_of: Documents, config: Decontaminate, files_of, root: Where, two_workers: str
) -> None:
    documents = documents_of([[QUESTION, "clean"], [CHINESE], [], ["more", QUESTION]])
    alone = files_of(decontaminate(documents, config=config))
    with using(replace(root, root=root.root / "parallel", dask=lambda: two_workers)):
        assert files_of(decontaminate(documents, config=config)) == alone
