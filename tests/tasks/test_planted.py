"""The planted documents of the samples meet the fate that samples/planted/planted.json names, and no other."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from openseek.recipes import load_recipe
from tasks.decontaminate import decontaminate
from tasks.dedup_exact import dedup_exact
from tasks.dedup_minhash import dedup_minhash
from tasks.dedup_substring import dedup_substring
from tasks.filter import filter as filter_documents
from tasks.ingest import ingest
from tasks.where import Where, using

ORDER = ("ingest", "filter", "dedup_exact", "dedup_minhash", "dedup_substring", "decontaminate")


@pytest.fixture(scope="module")
def fates(samples: Path) -> dict[str, Any]:
    return json.loads((samples / "planted" / "planted.json").read_text())


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The planted file and the articles that one of its documents copies, through the debug recipe's data steps."""
    recipe = load_recipe("debug")
    sources = tuple(s for s in recipe.ingest.sources if s.name in ("wiki", "planted"))
    with using(Where(root=tmp_path_factory.mktemp("planted"))):
        done = {"ingest": ingest(config=dataclasses.replace(recipe.ingest, sources=sources))}
        done["filter"] = filter_documents(done["ingest"], config=recipe.filter)
        done["dedup_exact"] = dedup_exact(done["filter"], config=recipe.dedup_exact)
        done["dedup_minhash"] = dedup_minhash(done["dedup_exact"], config=recipe.dedup_minhash)
        done["dedup_substring"] = dedup_substring(done["dedup_minhash"], config=recipe.dedup_substring)
        done["decontaminate"] = decontaminate(done["dedup_substring"], config=recipe.decontaminate)
    return done


def texts(directory: Path) -> dict[str, str]:
    """Text of every document by its URL."""
    tables = [pq.read_table(p, columns=["url", "text"]) for p in sorted((directory / "data").glob("*.parquet"))]
    return {row["url"]: row["text"] for table in tables for row in table.to_pylist()}


def before(task: str) -> str:
    return ORDER[ORDER.index(task) - 1]


def test_of_each_group_one_document_stays(steps: dict[str, Path], fates: dict[str, Any]) -> None:
    assert len(fates["groups"]) >= 5
    for group in fates["groups"]:
        there = [url for url in group["urls"] if url in texts(steps[before(group["task"])])]
        left = [url for url in group["urls"] if url in texts(steps[group["task"]])]
        assert there == group["urls"], f"{group['name']}: lost before {group['task']}"
        assert len(left) == 1, f"{group['name']}: {left} left by {group['task']}"


def test_a_document_that_is_merely_like_another_stays(steps: dict[str, Path], fates: dict[str, Any]) -> None:
    for kept in fates["kept"]:
        assert {kept["url"], kept["like"]} <= set(texts(steps[kept["task"]])), kept["name"]


def test_the_bad_and_the_contaminated_go_where_they_should(steps: dict[str, Path], fates: dict[str, Any]) -> None:
    for dropped in fates["dropped"]:
        assert dropped["url"] in texts(steps[before(dropped["task"])]), f"{dropped['name']} went too early"
        assert dropped["url"] not in texts(steps[dropped["task"]]), f"{dropped['name']} is still there"


def test_a_repeated_passage_is_left_once(steps: dict[str, Path], fates: dict[str, Any]) -> None:
    passage = fates["passage"]

    def copies(step: str) -> int:
        return sum(text.count(passage["text"]) for text in texts(steps[step]).values())

    assert copies(before(passage["task"])) == len(passage["urls"])
    assert copies(passage["task"]) == passage["copies_left"]


def test_the_cut_line_is_quarantined_with_its_place(steps: dict[str, Path], fates: dict[str, Any]) -> None:
    rows = [r for p in (steps["ingest"] / "quarantine").glob("*.parquet") for r in pq.read_table(p).to_pylist()]
    assert [(Path(r["path"]).name, r["position"]) for r in rows] == [
        (fates["quarantined"]["file"], fates["quarantined"]["position"])
    ]
