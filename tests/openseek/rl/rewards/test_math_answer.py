import random
import threading

import pytest

from openseek.rl.rewards.math_answer import math_answer, number, stated_answer


@pytest.mark.parametrize(
    "completion, answer",
    [
        ("8", "8"),
        ("The answer is 8.", "8"),
        ("答案是 8。", "8"),
        ("６", "6"),
        ("12 + 4 = 16", "16"),
        ("18 dollars", "$18"),
        ("一共 18元", "18"),
        ("#### 1,234", "1234"),
        ("-3", "−3"),
        ("answer: 3/4", "0.75"),
        (r"so \boxed{\frac{1}{2}}", "0.5"),
        (r"\boxed{1} wait, \boxed{2}", "2"),
        ("<answer>7</answer>", "7"),
        ("50%", "50"),
        (r"\boxed{50\%}", "0.5"),
        ("Answer: Blue", "blue"),
        ("3.0", "3"),
    ],
)
def test_right_answers_are_rewarded(completion: str, answer: str) -> None:
    assert math_answer(completion, answer) == 1.0


@pytest.mark.parametrize(
    "completion, answer",
    [
        ("", "8"),
        ("   ", "8"),
        ("7", "8"),
        ("8 or 9", "8"),
        (r"\boxed{2} wait, \boxed{3}", "2"),
        (r"\boxed{", "3"),
        ("1/0", "1"),
        ("50%", "5"),
        ("0.5", "50"),
        ("\x00\ud800", "8"),
        ("9" * 5000, "9"),
        ("nan", "8"),
        ("__import__('os').abort()", "8"),
        ("red", "blue"),
        (r"\boxed{10^{10^{10}}}", "5"),
        (r"\boxed{9999999!!}", "5"),
    ],
)
def test_wrong_or_hostile_answers_get_nothing_and_never_raise(completion: str, answer: str) -> None:
    assert math_answer(completion, answer) == 0.0


def test_every_number_written_in_many_ways_is_read_exactly() -> None:
    generator = random.Random(0)
    for _ in range(300):
        value = generator.randint(-(10**9), 10**9)
        for text in (f"{value}", f"{value:,}", f"{value}.0", f" {value} apples", f"{value}/1"):
            read = number(text)
            assert read is not None, text
            assert read[0] == value, text


def test_an_empty_reference_is_the_files_fault() -> None:
    with pytest.raises(ValueError, match="reference answer is empty"):
        math_answer("8", " ")


def test_only_the_end_of_a_long_completion_is_searched() -> None:
    assert stated_answer("1 " * 100_000 + "answer is 5") == "5"


def test_algebra_is_compared_by_math_verify_in_a_thread_too() -> None:
    verdicts: list[float] = []

    def compare() -> None:
        verdicts.append(math_answer(r"\boxed{\sqrt{8}}", r"2\sqrt{2}"))
        verdicts.append(math_answer(r"\boxed{\sqrt{8}}", r"3\sqrt{2}"))

    thread = threading.Thread(target=compare)
    thread.start()
    thread.join()
    assert verdicts == [1.0, 0.0]
