from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.keep import KeepPolicy, preference


def order(policy: KeepPolicy, sources: list[str], sizes: list[int], **scores: list[float]) -> list[int]:
    columns: dict[str, Any] = {"source": sources, **{k: pa.array(v, pa.float32()) for k, v in scores.items()}}
    ranks = preference(policy, pa.table(columns), np.array(sizes))
    assert not (ranks >> np.uint64(63)).any()
    return np.argsort(ranks, kind="stable").tolist()


def test_sources_then_length_then_place() -> None:
    policy = KeepPolicy(sources=("book", "web"), prefer=("longest",))
    assert order(policy, ["web", "other", "book", "web", "web"], [5, 99, 1, 7, 7]) == [2, 3, 4, 0, 1]


def test_scores_come_before_length_where_asked() -> None:
    policy = KeepPolicy(prefer=("score_quality", "longest"))
    quality = [0.2, -1.0, 0.9, float("nan"), 0.2]
    assert order(policy, ["a"] * 5, [1, 9, 1, 9, 5], score_quality=quality) == [2, 4, 0, 1, 3]


def test_lengths_below_131072_are_told_apart_exactly() -> None:
    assert order(KeepPolicy(prefer=("longest",)), ["a"] * 3, [131069, 131071, 131070]) == [1, 2, 0]


def test_default_is_input_order() -> None:
    assert order(KeepPolicy(), ["b", "a", "b"], [1, 9, 3]) == [0, 1, 2]
    assert order(KeepPolicy(), [], []) == []


def test_a_missing_score_is_named() -> None:
    with pytest.raises(ValueError, match="score_quality, which the documents lack: run classify first"):
        order(KeepPolicy(prefer=("score_quality",)), ["a"], [1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prefer": ("best",)}, "names 'best': use longest, or a column score_NAME"),
        ({"prefer": ("longest", "score_a", "score_b")}, "3 criteria"),
        ({"sources": ("a", "a")}, "twice"),
    ],
)
def test_wrong_policy_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeepPolicy(**fields)
