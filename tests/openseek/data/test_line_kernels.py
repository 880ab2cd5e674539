"""Lines and paragraphs: where they lie, and what their hashes do and do not see."""

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.line_kernels import CHARACTERS, END, ROW, START, STOP, WORDS, split_units
from openseek.data.words import string_buffers


def split(texts: list[str], *, paragraphs: bool = False) -> tuple[np.ndarray, np.ndarray, bytes]:
    data, offsets = string_buffers(pa.array(texts, pa.large_string()))
    units, hashes = split_units(data, offsets, np.ones(len(texts), bool), paragraphs=paragraphs)
    return units, hashes, "".join(texts).encode()


def hash_of(text: str, *, paragraphs: bool = True) -> int:
    _, hashes, _ = split([text], paragraphs=paragraphs)
    assert len(hashes) == 1, text
    return int(hashes[0])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_and_paragraphs_lie_where_they_are(ending: str) -> None:
    text = "\n  one two\n---\n \t\n\n三四\nfive\n\n".replace("\n", ending)
    units, _, raw = split(["", "first", text])
    said = [(int(u[ROW]), raw[u[START] : u[STOP]].decode().strip(), int(u[WORDS]), int(u[CHARACTERS])) for u in units]
    assert said == [(1, "first", 1, 5), (2, "one two", 2, 7), (2, "---", 0, 3), (2, "三四", 2, 2), (2, "five", 1, 4)]
    assert all(raw[u[STOP] : u[END]].decode() in ("\n", ending, "") for u in units)
    units, _, raw = split([text], paragraphs=True)
    said = [raw[u[START] : u[STOP]].decode().split() for u in units]
    assert said == [["one", "two", "---"], ["三四", "five"]]
    assert units[0, END] == units[1, START]
    assert units[1, END] == len(raw)


@pytest.mark.parametrize(
    "left, right",
    [
        ("One  two", " one two "),
        ("ＡＢＣ，１２３", "abc,123"),
        ("one two\nthree", "one\ttwo three"),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("НАДПИСЬ", "надпись"),
    ],
)
def test_case_width_and_white_space_do_not_count(left: str, right: str) -> None:
    assert hash_of(left) == hash_of(right)


@pytest.mark.parametrize(
    "left, right",
    [("a + b = 3", "a - b = 3"), ("page 12", "page 13"), ("कु", "क"), ("on e", "one"), ("a b", "b a"), ("你好", "好你")],
)
def test_signs_digits_and_order_count(left: str, right: str) -> None:
    assert hash_of(left) != hash_of(right)


def test_documents_that_are_not_wanted_have_no_units() -> None:
    data, offsets = string_buffers(pa.array(["a\nb", "c", "d\n"], pa.large_string()))
    units, _ = split_units(data, offsets, np.array([True, False, True]), paragraphs=False)
    assert units[:, ROW].tolist() == [0, 0, 2]


def test_awkward_texts() -> None:
    assert len(split(["", "\n", "\n\n\n", "  \r\n"])[0]) == 0
    units, hashes, _ = split(["same\n" * 200_000])
    assert len(units) == 200_000
    assert len(np.unique(hashes)) == 1
    assert len(split(["same\n" * 200_000], paragraphs=True)[0]) == 1
    units, _, _ = split(["word " * 2_000_000])
    assert (len(units), units[0, WORDS], units[0, CHARACTERS]) == (1, 2_000_000, 9_999_999)
