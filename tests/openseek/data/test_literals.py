"""Lines with one of several strings: as by Python's `in`."""

import random

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.literals import compiled, lines_with
from openseek.data.words import string_buffers

STRINGS = ["cookie", "cook book", "do not edit", "版权所有", "自动生成", "aaaa"]


def found(texts: list[str], strings: list[str], **options) -> list[tuple[int, bytes]]:
    buffer, offsets = string_buffers(pa.array(texts, pa.large_string()))
    rows = lines_with(compiled(strings), buffer, offsets, np.ones(len(texts), bool), **options)
    return [(d, buffer[start:stop].tobytes()) for d, start, stop in rows.tolist()]


def test_lines_are_those_that_hold_a_string() -> None:
    draw = random.Random(1)
    parts = [*STRINGS, "COOKIE", "cooki", "Do Not Edit", "版权", "aaa", "\n", "\n", " ", "é", "👩"]
    texts = ["".join(draw.choice(parts) for _ in range(draw.randint(0, 10))) for _ in range(2000)]
    lines = [(d, line) for d, text in enumerate(texts) for line in text.split("\n")]
    expected = [(d, line.encode()) for d, line in lines if any(string in line.lower() for string in STRINGS)]
    assert found(texts, STRINGS) == expected
    assert found(texts, STRINGS[1:]) != expected


def test_only_the_first_lines_are_looked_at() -> None:
    assert found(["a\nb\ncookie"], STRINGS, head_lines=2) == []
    assert found(["a\nb\ncookie"], STRINGS, head_lines=3) == [(0, b"cookie")]


def test_letters_that_fold_to_ascii_make_a_candidate() -> None:
    assert found(["coo\u212aie\nplain"], STRINGS, foldings=True) == [(0, "coo\u212aie".encode())]


def test_strings_too_short_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 4 bytes"):
        compiled(["abc"])
