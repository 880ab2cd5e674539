"""Policies on tables of hits made by hand: spans to the byte, what goes whole, what is told, in = kept + dropped."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.contamination import NO_ANSWER, WITH, WITHOUT, Hits
from openseek.data.contamination_policies import (
    CUT,
    HITS,
    apply_policy,
    cut_parts,
    cut_table,
    hits_table,
    tight_stop,
)
from openseek.data.document import DOCUMENT, ShardOutput
from openseek.data.ngrams import Decontaminate

ITEM = "how many sheep has the farmer now"
LONG = "A page of exercises for the long winter evenings, with a great many words that nobody ever asked for. "


def batch(*rows: str | dict[str, str]) -> pa.RecordBatch:
    full = []
    for number, row in enumerate(rows):
        columns = {"text": row} if isinstance(row, str) else row
        full.append({name: "" for name in DOCUMENT.names} | {"id": f"id{number}", "meta": "{}"} | columns)
    return pa.RecordBatch.from_pylist(full, schema=DOCUMENT)


def hit(row: int, start: int, stop: int, **columns: Any) -> dict[str, Any]:
    """A row of HITS; `row` counts from the first document of the shard."""
    rest = {"benchmark": "gsm", "item": 3, "overlap": 1.0, "with_answer": None, "acted_on": True}
    return {"id": f"id{row}", "row": row, "start": start, "stop": stop, **rest, **columns}


def applied(
    policy: Any, rows: list[Any], hits: list[dict[str, Any]], first_row: int = 0, **options: Any
) -> ShardOutput:
    config = Decontaminate(policy=policy, **options)
    return apply_policy(batch(*rows), first_row, pa.Table.from_pylist(hits, schema=HITS), config)


def found(rows: list[int], items: list[int], overlaps: list[float], answers: list[int], spans: list[tuple]) -> Hits:
    starts, stops = (np.array([span[k] for span in spans], np.int64) for k in range(2))
    ints = (np.array(rows, np.int64), np.array(items, np.int64), np.array(overlaps))
    return Hits(*ints, starts, stops, np.full(len(rows), 40.0), np.array(answers, np.int8))


def test_hits_are_named_by_benchmark_and_item_and_count_from_the_shard() -> None:
    texts = ("clean", f"so: {ITEM}? yes", ITEM)
    hits = found([1, 2], [5, 6], [1.0, 0.8], [WITH, NO_ANSWER], [(4, 39), (0, len(ITEM))])
    names = [f"gsm#{i}" for i in range(6)] + ["a#b#0"]
    table = hits_table(batch(*texts), 100, hits, names, Decontaminate())
    assert table.schema == HITS
    assert table.select(["id", "row", "benchmark", "item", "with_answer", "acted_on"]).to_pylist() == [
        {"id": "id1", "row": 101, "benchmark": "gsm", "item": 5, "with_answer": True, "acted_on": True},
        {"id": "id2", "row": 102, "benchmark": "a#b", "item": 0, "with_answer": None, "acted_on": True},
    ]


@pytest.mark.parametrize(
    ("act_on", "acted"), [("question", [True, True, True]), ("question_with_answer", [True, False, True])]
)
def test_a_question_without_its_answer_is_acted_on_by_choice(act_on: Any, acted: list[bool]) -> None:
    hits = found([0, 0, 0], [0, 1, 2], [1.0] * 3, [WITH, WITHOUT, NO_ANSWER], [(0, 3)] * 3)
    table = hits_table(batch("abc"), 0, hits, ["x#0", "x#1", "x#2"], Decontaminate(act_on=act_on))
    assert table["acted_on"].to_pylist() == acted


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("one two? three", 9, 9),
        ("one two (three", 9, 8),
        ("one two  \\text", 10, 9),
        ("one two", 7, 7),
        ("one-two", 4, 4),
        ("one_(two", 5, 5),
        ("一二？三", 9, 9),
        ("x", 0, 0),
    ],
)
def test_signs_that_touch_the_next_word_stay_with_it(text: str, stop: int, expected: int) -> None:
    assert tight_stop(text.encode(), stop) == expected


def test_drop_takes_the_documents_with_hits_and_says_why() -> None:
    hits = [hit(7, 0, 5, overlap=0.6), hit(7, 8, 12, benchmark="math"), hit(9, 0, 4), hit(8, 0, 3, acted_on=False)]
    out = applied("drop", ["zero", "one", "two", "three"], hits, first_row=6)
    assert out.kept["text"].to_pylist() == ["zero", "two"]
    assert out.rows_in == 4 == len(out.kept) + sum(out.dropped["first"].to_pylist())
    told = out.dropped.select(["row", "rule", "value", "limit", "detail", "start", "stop", "first"]).to_pylist()
    assert told[0] == {
        **{"row": 7, "rule": "contaminated", "value": 0.6, "limit": 0.55, "detail": "gsm#3"},
        **{"start": 0, "stop": 5, "first": True},
    }
    assert [(r["row"], r["detail"], r["limit"], r["first"]) for r in told[1:]] == [
        (7, "math#3", 0.75, False),
        (9, "gsm#3", 0.75, True),
    ]


def test_hits_that_touch_or_overlap_are_one_span() -> None:
    hits = [hit(1, 5, 9), hit(0, 10, 20), hit(0, 0, 5), hit(0, 5, 8), hit(0, 12, 15), hit(0, 20, 30), hit(0, 31, 32)]
    parts = [(row, start, stop, len(part)) for row, start, stop, part in cut_parts(hits)]
    assert parts == [(0, 0, 8, 2), (0, 10, 30, 3), (0, 31, 32, 1), (1, 5, 9, 1)]
    assert list(cut_parts([])) == []


def test_the_table_of_cuts_names_each_item_once() -> None:
    hits = [hit(0, 0, 5), hit(0, 3, 8, item=4), hit(0, 2, 7), hit(1, 2, 3, acted_on=False)]
    table = cut_table(pa.Table.from_pylist(hits, schema=HITS))
    assert table.schema == CUT
    assert table.to_pylist() == [{"id": "id0", "start": 0, "stop": 8, "detail": "gsm#3 gsm#4"}]


def test_cut_takes_the_bytes_of_each_span_and_no_other() -> None:
    text = f"前面 {LONG}{ITEM}? {LONG}{ITEM} end"
    raw = text.encode()
    first, second = raw.find(ITEM.encode()), raw.rfind(ITEM.encode())
    hits = [hit(5, start, start + len(ITEM)) for start in (second, first)]
    out = applied("cut", ["clean", text, ""], hits, first_row=4)
    assert out.kept["text"].to_pylist() == ["clean", f"前面 {LONG}? {LONG} end", ""]
    assert out.facts == {"bytes_cut": 2 * len(ITEM), "documents_cut": 1}
    assert (out.rows_in, len(out.kept), len(out.dropped)) == (3, 3, 0)


def test_cut_drops_what_is_left_too_short_and_does_not_count_its_bytes() -> None:
    text = f"See: {ITEM}"
    out = applied("cut", [text, LONG], [hit(0, 5, len(text))])
    assert out.kept["text"].to_pylist() == [LONG]
    assert out.dropped.select(["rule", "value", "limit"]).to_pylist() == [
        {"rule": "contaminated_rest", "value": 4.0, "limit": 50.0}
    ]
    assert out.facts == {"bytes_cut": 0, "documents_cut": 0}
    kept = applied("cut", [text, LONG], [hit(0, 5, len(text))], min_remaining=4)
    assert kept.kept["text"].to_pylist() == ["See: ", LONG]


@pytest.mark.parametrize("meta", [{"messages": [{"role": "user", "content": ITEM}]}, {"answer": "32"}])
def test_cut_drops_whole_what_is_trained_on_by_other_columns(meta: dict[str, Any]) -> None:
    rows = [{"text": LONG + ITEM, "meta": json.dumps(meta)}, {"text": LONG + ITEM, "meta": '{"note": "messages"}'}]
    spans = [hit(row, len(LONG), len(LONG) + len(ITEM)) for row in range(2)]
    out = applied("cut", rows, spans)
    assert out.kept["text"].to_pylist() == [LONG]
    assert out.dropped.select(["row", "rule"]).to_pylist() == [{"row": 0, "rule": "contaminated"}]


def test_tag_adds_the_items_to_what_the_metadata_holds() -> None:
    rows = [{"text": "a", "meta": '{"k": "ü"}'}, {"text": "b", "meta": ""}, "c", "d"]
    hits = [hit(0, 0, 1), hit(0, 0, 1, item=9), hit(1, 0, 1), hit(3, 0, 1, acted_on=False)]
    out = applied("tag", rows, hits)
    assert out.kept["text"].to_pylist() == ["a", "b", "c", "d"]
    assert [json.loads(meta) for meta in out.kept["meta"].to_pylist()] == [
        {"k": "ü", "contamination": ["gsm#3", "gsm#9"]},
        {"contamination": ["gsm#3"]},
        {},
        {},
    ]
    assert (out.rows_in, out.facts) == (4, {"documents_tagged": 2})


@pytest.mark.parametrize("policy", ["drop", "cut", "tag"])
def test_without_hits_nothing_changes(policy: Any) -> None:
    rows = batch("a", "b")
    out = apply_policy(rows, 3, HITS.empty_table(), Decontaminate(policy=policy))
    assert out.kept.equals(pa.Table.from_batches([rows]))
    assert (out.rows_in, len(out.dropped)) == (2, 0)
