"""Lengths at their edges: each limit names its documents, and only running text keeps all of them."""

import pytest

from openseek.data.filters.data_juicer import DataJuicerLength
from openseek.data.transform import apply

LINE = "A sentence with some words. Another one follows it here."


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (LINE, []),
        ("这是一个足够长的中文句子。后面还有一句话。", []),
        ("Too short", ["juicer_min_characters", "juicer_min_words", "juicer_min_mean_line"]),
        ("one two\n" * 20, ["juicer_min_mean_line"]),
        ("a. b. c. d. e. f. g. h. i. j. k.", ["juicer_min_mean_sentence"]),
        ("keyword " * 100, ["juicer_max_mean_sentence"]),
        ("", ["juicer_min_characters", "juicer_min_words", "juicer_min_mean_line", "juicer_min_mean_sentence"]),
        ("\n\n\n", ["juicer_min_characters", "juicer_min_words", "juicer_min_mean_line", "juicer_min_mean_sentence"]),
    ],
)
def test_rules(documents, text: str, rules: list[str]) -> None:
    _, dropped = apply([DataJuicerLength(enabled=True)], documents([text]), task="filter")
    assert dropped["rule"].to_pylist() == rules


def test_limits_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="min_words is 5 and max_words 3"):
        DataJuicerLength(min_words=5, max_words=3)
