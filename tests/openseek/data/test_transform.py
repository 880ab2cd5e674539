"""apply: every broken rule recorded, one first a document, scopes kept, cleaners before rules."""

from dataclasses import dataclass

import pyarrow as pa
import pytest

from openseek.data.document import count_first
from openseek.data.transform import Filter, Rule, Scope, Statistics, Transform, apply, at_least, at_most, rewrite


@dataclass(frozen=True)
class Size(Filter):
    low: int = 3
    high: int = 8

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        size = statistics["characters"]
        return {
            "low": at_least(size, self.low),
            "high": at_most(size, self.high),
            "odd": Rule(size % 2, 0, size % 2 == 1),
        }


@dataclass(frozen=True)
class Double(Transform):
    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return rewrite(batch, self.within(batch), lambda text: text * 2)


def test_every_broken_rule_is_a_row_and_the_first_is_marked(documents) -> None:
    batch = documents(["a", "abcd", "abcdefghi", "abcdef"])
    kept, dropped = apply([Size()], batch, task="filter", first_row=100)
    assert kept["text"].to_pylist() == ["abcd", "abcdef"]
    rows = [(r["row"], r["rule"], r["value"], r["limit"], r["first"], r["task"]) for r in dropped.to_pylist()]
    assert rows == [
        (100, "low", 1, 3, True, "filter"),
        (100, "odd", 1, 0, False, "filter"),
        (102, "high", 9, 8, True, "filter"),
        (102, "odd", 1, 0, False, "filter"),
    ]
    assert dropped["id"].to_pylist() == [batch["id"][i].as_py() for i in (0, 0, 2, 2)]
    assert batch.num_rows == kept.num_rows + sum(count_first(dropped).values())


def test_rules_read_the_text_that_the_cleaners_left(documents) -> None:
    kept, dropped = apply([Double(), Size()], documents(["ab", "abcde"]), task="filter")
    assert kept["text"].to_pylist() == ["abab"]
    assert dropped["value"].to_pylist() == [10]
    kept, _ = apply([Double(enabled=False), Size()], documents(["ab", "abcd"]), task="filter")
    assert kept["text"].to_pylist() == ["abcd"]


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (Scope(), [True, True, True]),
        (Scope(enabled=False), [False, False, False]),
        (Scope(languages=("zh",)), [False, True, False]),
        (Scope(sources=("web", "code")), [True, False, True]),
        (Scope(languages=("en",), except_sources=("code",)), [True, False, False]),
    ],
)
def test_scopes(documents, scope: Scope, inside: list[bool]) -> None:
    parts = [documents(["a"]), documents(["b"], lang="zh", source="wiki"), documents(["c"], source="code")]
    batch = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    assert scope.within(batch).tolist() == inside


def test_an_empty_batch_and_one_without_rules(documents) -> None:
    kept, dropped = apply([Size()], documents([]), task="filter")
    assert (kept.num_rows, dropped.num_rows) == (0, 0)
    kept, dropped = apply([], documents(["a"]), task="filter")
    assert (kept.num_rows, dropped.num_rows) == (1, 0)
