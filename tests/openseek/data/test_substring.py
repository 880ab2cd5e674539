from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.substring import Substring, cut_of, symbols
from openseek.data.words import string_buffers

SMALL = Substring(min_bytes=64, min_cut=5, min_remaining=10, boundary="character")


def cut(texts: list[str], spans: list[list[int]], config: Substring) -> list[tuple[int, str, int]]:
    """(row, text that goes, place of the span that names the partner)."""
    column = string_buffers(pa.array(texts, pa.large_string()))
    cuts = cut_of(*column, np.array(spans, np.int64).reshape(-1, 3), config)
    return [(row, texts[row].encode()[start:stop].decode(), place) for row, start, stop, place in cuts.tolist()]


def test_spans_join_and_the_longest_names_the_partner() -> None:
    texts = ["0123456789abcdef", "xyz"]
    assert cut(texts, [[0, 8, 15], [0, 1, 9]], SMALL) == [(0, "123456789abcde", 1)]


def test_characters_are_not_split() -> None:
    assert cut(["ab数据去重"], [[0, 3, 13]], SMALL) == [(0, "据去", 0)]


def test_short_remainders_of_sentences_are_left() -> None:
    text = "no end of sentence here, only commas, one after another"
    assert cut([text], [[0, 3, 40]], replace(SMALL, boundary="sentence")) == []
    assert cut([text], [[0, 3, 40]], replace(SMALL, min_cut=60)) == []
    assert len(cut([text], [[0, 3, 40]], SMALL)) == 1


def test_lines_are_cut_whole() -> None:
    text = "first. line\nsecond line\nthird. line"
    assert cut([text], [[0, 2, 31]], replace(SMALL, boundary="line")) == [(0, "second line\n", 0)]


def test_words_become_bytes() -> None:
    config = replace(SMALL, unit="words")
    texts = ["skipped", "Some, words here; and 汉字 end!"]
    assert cut(texts, [[1, 1, 4]], config) == [(1, "words here; and ", 0)]
    assert cut(texts, [[1, 4, 7]], config) == [(1, "汉字 end!", 0)]


def test_symbols_are_bytes_or_words() -> None:
    column = pa.chunked_array([pa.array(["没用", "Two words", "two WORDS."], pa.large_string()).slice(1)])
    data, offsets = symbols(column, SMALL)
    assert bytes(data) == b"Two wordstwo WORDS."
    assert offsets.tolist() == [0, 9, 19]
    data, offsets = symbols(column, replace(SMALL, unit="words"))
    assert offsets.tolist() == [0, 2, 4]
    assert data[:2].tolist() == data[2:].tolist()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_bytes": 8}, "min_bytes is 8"),
        ({"min_words": 3}, "min_words is 3"),
        ({"boundary": "word"}, "boundary is 'word': use sentence or line or character"),
        ({"keep": "last"}, "keep is 'last': use first or none"),
        ({"unit": "tokens"}, "unit is 'tokens'"),
        ({"engine": "tree"}, "engine is 'tree'"),
        ({"min_remaining": 5000}, "min_remaining is 5000"),
        ({"min_cut": 0}, "min_cut is 0"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Substring(**fields)
