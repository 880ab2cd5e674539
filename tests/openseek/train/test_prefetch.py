import threading

import pytest

from openseek.train.prefetch import Prefetch


def test_steps_come_in_order_and_the_next_ones_are_ready():
    asked: list[int] = []
    ready = threading.Event()

    def batches(step: int) -> str:
        assert threading.current_thread() is not threading.main_thread()
        asked.append(step)
        if step == 4:
            ready.set()
        return f"step {step}"

    with Prefetch(batches, num_steps=6, ahead=2) as prefetch:
        assert prefetch(2) == "step 2"  # a run that resumes starts anywhere
        assert ready.wait(30)
        assert asked == [2, 3, 4]
        assert [prefetch(step) for step in (3, 4, 5)] == ["step 3", "step 4", "step 5"]
    assert asked == [2, 3, 4, 5]


def test_an_error_is_raised_at_its_own_step_and_a_jump_is_followed():
    def batches(step: int) -> int:
        if step == 3:
            raise ValueError("step three")
        return step

    with Prefetch(batches, num_steps=20) as prefetch:
        assert prefetch(2) == 2
        with pytest.raises(ValueError, match="step three"):
            prefetch(3)
        assert prefetch(11) == 11
        assert prefetch(4) == 4
