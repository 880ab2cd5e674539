"""Sentences by their marks, in every script, and in texts that have none."""

import pyarrow as pa
import pytest

from openseek.data.sentence_kernels import STATISTICS, statistics


@pytest.mark.parametrize(
    ("text", "sentences", "characters", "longest"),
    [
        ("", 0, 0, 0),
        ("\n\n \n", 0, 0, 0),
        ("One. Two three!", 2, 13, 9),
        ("版本 3.14 好。坏；完", 3, 11, 8),
        ("No mark\nin 1.5 lines", 2, 16, 10),
        ("ما هذا؟ نعم", 1, 9, 9),
        ("👩‍👩‍👧! e\u0301?", 2, 9, 6),
        ("wait...", 1, 7, 7),
    ],
)
def test_counts(text: str, sentences: int, characters: int, longest: int) -> None:
    column = pa.array(["before. this", text], pa.large_string()).slice(1)
    assert dict(zip(STATISTICS, statistics(column)[0].tolist(), strict=True)) == {
        "marked_sentences": sentences,
        "sentence_characters": characters,
        "longest_sentence": longest,
    }
