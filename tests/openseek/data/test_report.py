"""Summaries: parts add up to the whole, examples are the nearest, an alarm needs enough documents."""

import json

import numpy as np
import pytest

from openseek.data.report import RuleSummary, Summary, alarms
from openseek.data.transform import Judged, at_least


def summary_of(documents, values: list[float], first_row: int, shard: int) -> Summary:
    batch = documents(["x"] * len(values))
    summary = Summary()
    value = np.array(values)
    scope = np.full(len(values), True)
    gone = summary.count_rules([Judged("low", at_least(value, 3), scope)], batch, first_row, shard)
    summary.count_groups("source", batch.column("source"), gone)
    return Summary.read(json.loads(json.dumps(summary.json())))


def test_parts_add_up_to_the_whole(documents) -> None:
    values = [1.0, 2.0, 5.0, 3.0, 9.0, 2.5, 4.0, 0.0]
    whole = summary_of(documents, values, 0, 0)
    total = Summary()
    total.add(summary_of(documents, values[:3], 0, 0))
    total.add(summary_of(documents, values[3:], 3, 0))
    assert {k: v for k, v in total.json()["rules"]["low"].items() if k not in ("passed", "failed")} == {
        k: v for k, v in whole.json()["rules"]["low"].items() if k not in ("passed", "failed")
    }
    for each in (whole, total):
        rule = each.rules["low"]
        assert (rule.looked_at, rule.broken, rule.first, rule.only) == (8, 4, 4, 4)
        assert [e["value"] for e in rule.passed] == [3.0, 4.0, 5.0]
        assert [(e["value"], e["row"]) for e in rule.failed] == [(2.5, 5), (2.0, 1), (1.0, 0)]
        assert each.groups["source"] == {"web": [4, 4, 0]}


def test_documents_that_a_rule_passes_over_are_not_counted(documents) -> None:
    batch = documents(["x"] * 4)
    rule = at_least(np.array([1.0, 1.0, 5.0, 5.0]), 3)
    rule = rule._replace(broken=rule.broken & np.array([True, False, True, True]))
    summary = Summary()
    summary.count_rules([Judged("low", rule, np.array([True, True, True, False]))], batch, 0, 0)
    found = summary.rules["low"]
    assert (found.looked_at, found.broken) == (2, 1)
    assert sum(found.breaking.values()) + sum(found.kept.values()) == 2


@pytest.mark.parametrize(
    ("sources", "alarmed"),
    [
        ({"a": [40, 60, 0], "b": [90, 10, 0], "c": [90, 10, 0]}, ["a"]),
        ({"a": [50, 50, 0], "b": [60, 40, 0]}, []),
        ({"a": [70, 30, 0], "b": [95, 5, 0], "c": [96, 4, 0]}, ["a"]),
        ({"a": [85, 15, 0], "b": [99, 1, 0]}, []),
        ({"a": [10, 0, 90], "b": [100, 0, 0]}, ["a"]),
        ({"a": [1, 8, 0], "b": [100, 0, 0]}, []),
        ({"a": [0, 100, 0]}, ["a"]),
        ({}, []),
    ],
)
def test_alarms(sources: dict[str, list[int]], alarmed: list[str]) -> None:
    assert list(alarms(Summary({"source": sources}))) == alarmed


def test_a_rule_without_documents_adds_nothing() -> None:
    rule = RuleSummary(2.0, "<", 5, 1)
    rule.add(RuleSummary(2.0, "<"))
    assert rule == RuleSummary(2.0, "<", 5, 1)
