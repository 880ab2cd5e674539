import numpy as np
import pytest

from openseek.data.keep import KeepPolicy, keep_order, source_priorities


def test_sources_then_length_then_place() -> None:
    policy = KeepPolicy(sources=("book", "web"), prefer="longest")
    priorities = source_priorities(policy, ["web", "other", "book", "web", "web"])
    assert priorities.tolist() == [1, 2, 0, 1, 1]
    assert keep_order(policy, priorities, np.array([5, 99, 1, 7, 7])).tolist() == [2, 3, 4, 0, 1]


def test_default_is_input_order() -> None:
    assert keep_order(KeepPolicy(), np.zeros(4, np.int32), np.array([1, 9, 3, 4])).tolist() == [0, 1, 2, 3]


def test_wrong_policy_is_named() -> None:
    with pytest.raises(ValueError, match=r"keep\.prefer is 'best'"):
        KeepPolicy(prefer="best")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="twice"):
        KeepPolicy(sources=("a", "a"))
