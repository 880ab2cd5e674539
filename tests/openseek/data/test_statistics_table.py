"""The statistics table: decisions taken from it are those taken from the text, or the change is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from openseek.data import statistics_table
from openseek.data.filters import Filters
from openseek.data.statistics_table import Decider
from openseek.data.thresholds import steps as all_steps
from openseek.data.transform import Filter, Judged, Rule, Statistics, Transform, at_least, at_most, examine, rewrite

TEXTS = ["a", "abcd", "zz zz zz", "abcdefghi " * 4, "zebra", ""]


@dataclass(frozen=True)
class Size(Filter):
    low: int = 3
    high: int = 8

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        size = statistics["characters"]
        return {"low": at_least(size, self.low), "high": at_most(size, self.high)}


@dataclass(frozen=True)
class Letters(Filter):
    """Reads the text; does not concern documents without the letter."""

    reads_text: ClassVar[bool] = True
    letter: str = "z"
    most: int = 1

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        counts = pc.call_function(
            "count_substring", [statistics.batch.column("text")], pc.MatchSubstringOptions(self.letter)
        )
        rule = at_most(counts.to_numpy(zero_copy_only=False), self.most)
        even = rule.value % 2 == 0
        return {"letters": rule._replace(broken=rule.broken & even), "any": Rule(rule.value, 0, rule.value == 99)}


@dataclass(frozen=True)
class Double(Transform):
    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return rewrite(batch, self.within(batch), lambda text: text * 2)


def table_of(steps: list, batch: pa.RecordBatch) -> pa.RecordBatch:
    made = statistics_table.table(steps, examine(steps, batch), statistics_table.schema(steps))
    return made.combine_chunks().to_batches()[0]


def broken(judged: list[Judged]) -> dict[str, list[bool]]:
    return {name: (rule.broken & scope).tolist() for name, rule, scope in judged}


STEPS = [Double(), Size(), Letters()]
CHANGES = [
    STEPS,
    [Double(), Size(low=5, high=70), Letters()],
    [Double(), Size(languages=("zh",)), Letters(most=4)],
    [Double(), Size(enabled=False), Letters(most=11)],
    [Double(), Size(), Letters(enabled=False)],
]


@pytest.mark.parametrize("steps", CHANGES)
def test_decisions_from_the_table_are_those_from_the_text(documents, steps: list) -> None:
    batch = documents(TEXTS)
    table = table_of(STEPS, batch)
    assert table.schema.names == [
        *("id", "source", "lang", "script", "characters"),
        *("rule.letters", "broken.letters", "rule.any", "broken.any"),
    ]
    assert table.num_rows == batch.num_rows
    assert broken(Decider(steps, STEPS, table.schema)(table)) == broken(examine(steps, batch).rules)


def test_a_filter_between_cleaners_keeps_what_it_read(documents) -> None:
    steps = [Size(), Double(), replace(STEPS[1], low=7)]
    batch = documents(TEXTS)
    table = table_of(steps, batch)
    assert table.schema.names[4:] == ["characters", "characters@1"]
    changed = [Size(low=2), Double(), Size(low=9)]
    judged = Decider(changed, steps, table.schema)(table)
    expected = examine(changed, batch).rules
    assert [j.rule.broken.tolist() for j in judged] == [j.rule.broken.tolist() for j in expected]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Double(enabled=False), Size(), Letters()], "Double rewrites the text"),
        ([Double(), Size(), Letters(letter="b")], r"Letters.letter is no limit"),
        ([Size(), Letters()], "needs the text"),
    ],
)
def test_what_needs_the_text_is_refused(documents, steps: list, message: str) -> None:
    table = table_of(STEPS, documents(TEXTS))
    with pytest.raises(ValueError, match=message):
        Decider(steps, STEPS, table.schema)


def test_what_was_not_counted_is_refused(documents) -> None:
    before = [Double(), Size(enabled=False), Letters(enabled=False)]
    table = table_of(before, documents(TEXTS))
    with pytest.raises(ValueError, match="does not hold 'characters'"):
        Decider([Double(), Size(), before[2]], before, table.schema)(table)
    with pytest.raises(ValueError, match="Letters reads the text and was not enabled"):
        Decider(STEPS, before, table.schema)


def test_every_rule_set_says_whether_it_reads_the_text(documents) -> None:
    """A filter that reads the text without saying so could not be decided again from its statistics."""
    batch = documents(["The quick brown fox is here. " * 20, "x"])
    filters = [replace(step, enabled=True) for step in all_steps(Filters()) if isinstance(step, Filter)]
    for step in filters:
        table = table_of([step], batch)
        assert broken(Decider([step], [step], table.schema)(table)) == broken(examine([step], batch).rules)
        empty = examine([step], batch.slice(0, 0)).rules
        assert [j.name for j in empty] == [j.name for j in examine([step], batch).rules]
    assert len(filters) > 5
