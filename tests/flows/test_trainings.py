import threading
from pathlib import Path

import pytest

from flows.trainings import Trained, losses, side_by_side
from tasks.launch import RanksFailed
from tasks.where import Where, current, using


def test_results_come_in_order_from_the_callers_place(tmp_path: Path) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def call(number: int) -> Path:
        barrier.wait()  # passes only where two calls run at the same time
        return current().root / str(number)

    with using(Where(root=tmp_path)):
        found = side_by_side([lambda n=n: call(n) for n in range(4)], workers=2)
    assert [each.path for each in found] == [tmp_path / str(n) for n in range(4)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_fails_is_told_and_the_others_go_on(workers: int) -> None:
    def fails() -> Path:
        raise RanksFailed("rank 0 failed: the loss is nan")

    found = side_by_side([fails, lambda: Path("done")], workers)
    assert [each.path for each in found] == [None, Path("done")]
    assert found[0].reason == "rank 0 failed: the loss is nan"
    assert losses(found[0]) is None


@pytest.mark.parametrize("workers", [1, 2])
def test_other_errors_end_all(workers: int) -> None:
    def wrong() -> Path:
        raise ValueError("a field is wrong")

    with pytest.raises(ValueError, match="a field is wrong"):
        side_by_side([wrong, lambda: Path("done")], workers)


def test_a_failed_training_has_no_facts() -> None:
    assert Trained(None, "why").facts == {}
