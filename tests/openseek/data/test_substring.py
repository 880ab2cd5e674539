from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from openseek.data.anchors import anchors
from openseek.data.substring import Substring, cut_spans, repeated_spans


def joined(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [t.encode() for t in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


def spans_of(texts: list[str], config: Substring) -> list[list[int]]:
    data, offsets = joined(texts)
    return repeated_spans(data, offsets, *anchors(data, offsets, config.anchor_size, config.window), config).tolist()


SMALL = Substring(min_bytes=64, min_cut=20, min_remaining=10, boundary="character")


def test_first_occurrence_stays_and_later_ones_go() -> None:
    passage = "".join(f"{i * i}," for i in range(30))
    texts = [f"A{passage}", "nothing", f"中文{passage}B", passage]
    assert spans_of(texts, SMALL) == [[2, 6, 6 + len(passage), 0], [3, 0, len(passage), 0]]


def test_overlapping_repeats_of_one_document_are_joined() -> None:
    one, two = "".join(f"{i * 7}." for i in range(40)), "".join(f"{i * 13}:" for i in range(40))
    texts = [f"#{one}#", f"?{two}?", f"!{one}{two}!"]
    assert spans_of(texts, SMALL) == [[2, 1, 1 + len(one) + len(two), 1]]


def test_repeats_inside_one_document() -> None:
    passage = "".join(f"{i * i}," for i in range(40))
    texts = [f"x{passage}y{passage}z"]
    start = 2 + len(passage)
    assert spans_of(texts, SMALL) == []
    assert spans_of(texts, replace(SMALL, within_document=True)) == [[0, start, start + len(passage), 0]]


def test_characters_are_not_split() -> None:
    """Two texts share bytes from the middle of one character on."""
    shared = "数据" * 3 + "".join(chr(0x4E00 + i * 3) for i in range(60))
    texts = ["你" + shared, "\u4f61" + shared]
    (span,) = spans_of(texts, SMALL)
    assert span == [1, 3, 3 + len(shared.encode()), 0]


def test_short_remainders_of_sentences_are_left() -> None:
    passage = "no end of sentence here " * 1 + "".join(f"{i * i} " for i in range(40))
    sentences = Substring(min_bytes=64, min_cut=20, min_remaining=10)
    assert spans_of([f"a {passage}b", f"c {passage}d"], sentences) == []
    assert len(spans_of([f"a {passage}b", f"c {passage}d"], SMALL)) == 1


def test_cutting_leaves_the_rest() -> None:
    texts = ["skipped", "0123456789", "", "abcdef", "end"]
    data, offsets = joined(texts)
    spans = np.array([[0, 2, 5, 9], [0, 7, 10, 9], [2, 0, 6, 9]])
    rest, bounds = cut_spans(data, offsets[1:], spans)
    left = [bytes(rest[a:b]).decode() for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    assert left == ["0156", "", "", "end"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_bytes": 8}, "min_bytes is 8"),
        ({"boundary": "word"}, "boundary is 'word'"),
        ({"min_remaining": 5000}, "min_remaining is 5000"),
        ({"min_cut": 0}, "min_cut is 0"),
        ({"max_partners": 0}, "max_partners is 0"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Substring(**fields)
