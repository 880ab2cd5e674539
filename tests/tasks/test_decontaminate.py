"""decontaminate on small artifacts: the three policies, answers, the report, bad benchmarks, any number of workers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
OTHER = "另一个不相干的问题，关于分数的加法和减法的运算"
BEFORE, AFTER = "A page of exercises for the long winter evenings. ", " And here the page goes on, with something else."
CONTEXT = {"en": (BEFORE, AFTER), "zh": ("这里先说一些别的事情，", "后面还有许多不同的内容，写得很长很长。")}


@pytest.fixture
def config(tmp_path: Path) -> Decontaminate:
    for name, rows in (("gsm", [(QUESTION, "72"), ("3+4=?", "7")]), ("cmath", [(OTHER, ""), (CHINESE, "六小时")])):
        lines = [json.dumps({"question": question, "answer": answer}) + "\n" for question, answer in rows]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    names = ("gsm", "cmath")
    return Decontaminate(
        tuple(BenchmarkFile(n, str(tmp_path / f"{n}.jsonl"), answer_fields=("answer",)) for n in names)
    )


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
        "",
    ]
    shards = [[clean[0], f"Exercise: {QUESTION} Solution: 72", clean[1]], [f"{CHINESE}答：六小时", *clean[2:], "3+4=?"]]
    out = decontaminate(documents_of(shards), config=config)
    assert column(out, "data", "text") == clean
    assert column(out, "dropped", "detail") == ["gsm#0", "cmath#1", "gsm#1"]
    assert column(out, "dropped", "value") == [1, 1, 1]
    assert column(out, "dropped", "limit") == [0.75] * 3
    facts = read_manifest(out)["facts"]
    assert facts["dropped"] == {"contaminated": 3}
    assert facts["benchmarks"] == {
        "gsm": {
            **{"items": 2, "short_items": 1, "ignored_items": 0, "one_word_answers": 2},
            **{"items_hit": 2, "documents_hit": 2, "with_answer": 1},
        },
        "cmath": {
            **{"items": 2, "short_items": 0, "ignored_items": 0, "one_word_answers": 0},
            **{"items_hit": 1, "documents_hit": 1, "with_answer": 1},
        },
    }


def test_a_document_with_many_items_is_one_first_drop(documents_of: Documents, config: Decontaminate) -> None:
    out = decontaminate(documents_of([[f"{CHINESE}\n{QUESTION}", "clean"]]), config=config)
    assert column(out, "dropped", "detail") == ["gsm#0", "cmath#1"]
    assert column(out, "dropped", "first") == [True, False]
    assert read_manifest(out)["facts"]["dropped"] == {"contaminated": 1}


def test_a_fragment_goes_by_its_own_limit(documents_of: Documents, config: Decontaminate) -> None:
    out = decontaminate(documents_of([[BEFORE + QUESTION[:68] + "." + AFTER]]), config=config)
    (value,), (limit,) = column(out, "dropped", "value"), column(out, "dropped", "limit")
    assert limit == config.min_fragment <= value < config.min_overlap


@pytest.mark.parametrize(("language", "item", "label"), [("en", QUESTION, "gsm#0"), ("zh", CHINESE, "cmath#1")])
def test_cut_takes_the_span_and_nothing_else(
    documents_of: Documents, config: Decontaminate, language: str, item: str, label: str
) -> None:
    before, after = CONTEXT[language]
    texts = ["clean text", before + item + after]
    out = decontaminate(documents_of([texts]), config=replace(config, policy="cut", min_remaining=20))
    assert [t.replace("  ", " ") for t in column(out, "data", "text")] == [
        "clean text",
        (before + after).replace("  ", " "),
    ]
    (start,), (stop,), (detail,) = (column(out, "cut", name) for name in ("start", "stop", "detail"))
    assert texts[1].encode()[start:stop].decode().strip() == item
    assert detail == label
    facts = read_manifest(out)["facts"]
    assert (facts["rows_out"], facts["dropped"]) == (2, {})
    assert (facts["bytes_cut"], facts["documents_cut"]) == (stop - start, 1)


def test_cut_drops_what_is_left_too_short_and_what_is_trained_on_by_meta(
    documents_of: Documents, config: Decontaminate
) -> None:
    chat = {
        "text": BEFORE + QUESTION + AFTER,
        "meta": json.dumps({"messages": [{"role": "user", "content": QUESTION}]}),
    }
    problem = {"text": QUESTION, "meta": json.dumps({"answer": "72"})}
    rows = ["See: " + QUESTION, chat, problem, BEFORE + QUESTION + " " + QUESTION + AFTER, "clean"]
    out = decontaminate(documents_of([rows]), config=replace(config, policy="cut"))
    assert read_manifest(out)["facts"]["dropped"] == {"contaminated": 2, "contaminated_rest": 1}
    assert column(out, "dropped", "value")[0] == len("See:")
    assert column(out, "dropped", "limit")[0] == 50
    assert len(column(out, "data", "text")) == 2


def test_tag_keeps_every_document_and_names_the_items(documents_of: Documents, config: Decontaminate) -> None:
    rows = [{"text": f"{CHINESE} {QUESTION}", "meta": '{"kept": 1}'}, "clean"]
    out = decontaminate(documents_of([rows]), config=replace(config, policy="tag"))
    assert [json.loads(meta) for meta in column(out, "data", "meta")] == [
        {"kept": 1, "contamination": ["gsm#0", "cmath#1"]},
        {},
    ]
    assert column(out, "data", "text")[0] == rows[0]["text"]  # pyright: ignore[reportArgumentType]
    facts = read_manifest(out)["facts"]
    assert (facts["rows_out"], facts["dropped"], facts["documents_tagged"]) == (2, {}, 1)


@pytest.mark.parametrize("policy", ["drop", "cut", "tag"])
def test_hits_are_recorded_whatever_becomes_of_the_document(
    documents_of: Documents, config: Decontaminate, policy: Any
) -> None:
    rows = ["clean", f"{QUESTION} It is 72.", f"{CHINESE}你猜。", BEFORE + OTHER]
    out = decontaminate(documents_of([rows[:1], rows[1:]]), config=replace(config, policy=policy))
    (hits,) = (pq.read_table(out / "hits" / "00001.parquet").to_pylist(),)
    assert [(h["row"], h["benchmark"], h["item"], h["with_answer"]) for h in hits] == [
        (0, "gsm", 0, True),
        (1, "cmath", 1, False),
        (2, "cmath", 0, None),
    ]
    assert all(h["overlap"] == 1 for h in hits)
    for hit, item in zip(hits, (QUESTION, CHINESE, OTHER), strict=True):
        raw = rows[1 + hit["row"]].encode()
        assert raw[hit["start"] : hit["stop"]].decode().strip() == item


def test_only_questions_with_their_answers_are_acted_on(documents_of: Documents, config: Decontaminate) -> None:
    rows = [f"{QUESTION} It is 72.", f"{QUESTION} It is 71.", BEFORE + OTHER]
    out = decontaminate(documents_of([rows]), config=replace(config, act_on="question_with_answer"))
    assert column(out, "data", "text") == [rows[1]]
    assert column(out, "hits", "acted_on") == [True, False, True]
    assert read_manifest(out)["facts"]["benchmarks"]["gsm"]["documents_hit"] == 2


def test_the_page_shows_items_beside_documents(documents_of: Documents, tmp_path: Path, config: Decontaminate) -> None:
    item = f"<b>{QUESTION}</b>"
    (tmp_path / "gsm.jsonl").write_text(json.dumps({"question": item, "answer": "72"}))
    out = decontaminate(documents_of([["<script>alert(1)</script> " + item]]), config=config)
    page, text = (out / "contamination.html").read_text(), (out / "contamination.md").read_text()
    assert page.count("<mark>") == 2
    assert "<script>" not in page
    assert "<b>Natalia" not in page + text
    assert "gsm#0" in page
    assert "| gsm | 1 | 0 | 0 | 1 | 1 | 1 | 0 |" in text


def test_bad_benchmarks_are_told_and_match_nothing(
    documents_of: Documents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": q, "answer": a} for q, a in (("", "72"), ("Yes", "No"), ("?!", ""), (QUESTION, "72"))]
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "again.jsonl").write_text(json.dumps({"question": QUESTION.upper()}))
    benchmarks = (
        BenchmarkFile("bad", str(tmp_path / "bad.jsonl"), answer_fields=("answer",)),
        BenchmarkFile("again", str(tmp_path / "again.jsonl")),
    )
    shard = ["72", "Yes", "No", "", "?!", "a text", QUESTION]
    out = decontaminate(documents_of([shard]), config=Decontaminate(benchmarks))
    assert column(out, "data", "text") == shard[:-1]
    assert column(out, "dropped", "detail") == ["bad#3", "again#0"]
    facts = read_manifest(out)["facts"]["benchmarks"]["bad"]
    assert (facts["ignored_items"], facts["one_word_answers"]) == (3, 3)
    printed = capsys.readouterr().out
    assert "bad: 3 of 4 items have no question or one of one word: ignored" in printed
    assert "bad: 3 answers of one word" in printed


def test_empty_questions_and_files_match_nothing_and_are_told(
    documents_of: Documents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Questions that are null, blank or signs; a word said eight times, which every item of this benchmark has."""
    common = "the " * 8
    rows = [None, "", " \n", "___", "?", "the", *[f"{common}{'x' * i}" for i in range(4000)]]
    lines = [json.dumps({"question": row, "answer": "the"}) + "\n" for row in rows]
    (tmp_path / "blank.jsonl").write_text("".join(lines))
    (tmp_path / "empty.jsonl").write_text("")
    benchmarks = (
        BenchmarkFile("blank", str(tmp_path / "blank.jsonl"), answer_fields=("answer",)),
        BenchmarkFile("empty", str(tmp_path / "empty.jsonl")),
    )
    shard = ["", " ", "the", "the " * 100, "___", "?", f"On the one hand {common}", "a text"]
    out = decontaminate(documents_of([shard]), config=Decontaminate(benchmarks))
    assert column(out, "data", "text") == shard
    counts = read_manifest(out)["facts"]["benchmarks"]
    assert counts["blank"]["ignored_items"] == 6
    assert counts["empty"]["items"] == 0
    printed = capsys.readouterr().out
    assert "blank: 6 of 4,006 items have no question or one of one word: ignored" in printed
    assert "empty: the file holds no items" in printed


def test_without_benchmarks_all_stay(documents_of: Documents) -> None:
    facts = read_manifest(decontaminate(documents_of([[QUESTION], []])))["facts"]
    assert (facts["rows_out"], facts["benchmarks"]) == (1, {})


@pytest.mark.parametrize("policy", ["drop", "cut", "tag"])
def test_workers_do_not_change_a_byte(
    documents_of: Documents, config: Decontaminate, files_of, root: Where, two_workers: str, policy: Any
) -> None:
    config = replace(config, policy=policy)
    documents = documents_of([[QUESTION, "clean"], [BEFORE + CHINESE + AFTER], [], ["more", QUESTION]])
    alone = files_of(decontaminate(documents, config=config))
    assert "hits/00002.parquet" in alone
    with using(replace(root, root=root.root / "parallel", dask=lambda: two_workers)):
        assert files_of(decontaminate(documents, config=config)) == alone
