"""Statistics of characters, lines and paragraphs against counts by hand and a plain Python oracle."""

import random
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.characters import TERMINAL, character_table
from openseek.data.text_kernels import BULLETS, SENTENCE_ENDS, STATISTICS, statistics

TEXTS = [
    "",
    "\n",
    " \n\n ",
    "\n\nbegins and ends with newlines\n",
    "The cat and the dog... sat\n\n- a # b\n- a # b",
    "一二三四五，一二三四五。\n他们来了……",
    "Être — naïve café 😀 don't №5 \U00020000!",
    "one two three one two three one two three\n\none two three\n\none two three\n\n\n\none two three",
    "* x\n• y\n1. z…\nend.\r\n  indented \t\n\n\n\nlast line without end",
    "CRLF\r\nCRLF\r\n\r\n\x0bvertical\x0cform\x85next\u2028line\u2029paragraph\x1c\x1d\x1e",
    "word " * 300 + "\n" + "その他のテスト。한국어 문장",
    "\u202eright to left\u202c שלום עולם. مرحبا؟\nשלום עולם. مرحبا؟",
    "e\u0301 combining\ne\u0301 combining\né combining",
    "\u00a0only\u00a0nbsp\u00a0\n\u00a0\u3000\n\u00a0\u3000\n......\n…\n.....",
    "x" * 100_000,
    " " * 5000,
    "\ufffd\ufffd broken\n" * 4,
    "\tlead\n\n\tlead\n\ntail  \n\ntail  ",
]
LETTERS = "ab .\n\n-•…#中é\u00a0\r"


def random_texts(count: int) -> list[str]:
    draw = random.Random(3)
    return ["".join(draw.choices(LETTERS, k=draw.randrange(80))) for _ in range(count)]


def counts(text: str) -> dict[str, int]:
    row = statistics(pa.array([text], pa.large_string()))[0]
    return {name: int(value) for name, value in zip(STATISTICS, row, strict=True)}


def again(pieces: list[str]) -> list[str]:
    return [piece for i, piece in enumerate(pieces) if piece in pieces[:i]]


def is_ideograph(c: str) -> bool:
    han = 0x3041 <= ord(c) <= 0x30FF or 0x3400 <= ord(c) <= 0x9FFF or 0xF900 <= ord(c) <= 0xFAFF or ord(c) >= 0x20000
    return han and unicodedata.category(c)[0] == "L"


def oracle(text: str) -> dict[str, int]:
    categories = [unicodedata.category(c)[0] for c in text]
    ideographs = sum(map(is_ideograph, text))
    filled = [line for line in text.split("\n") if line.strip()]
    bare = [line.strip() for line in filled]
    text_lines = text.splitlines()
    split_lines, paragraphs = re.split("\n+", text), re.split("\n{2,}", text.strip())
    bullets = tuple(map(chr, BULLETS))
    ends = "".join(map(chr, SENTENCE_ENDS))
    table = character_table()
    return {
        "characters": len(text),
        "bytes": len(text.encode()),
        "letters": categories.count("L") - ideographs,
        "digits": categories.count("N"),
        "ideographs": ideographs,
        "symbols": categories.count("P") + categories.count("S"),
        "replacements": text.count("\ufffd"),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "newlines": text.count("\n"),
        "lines": len(filled),
        "line_characters": sum(map(len, bare)),
        "longest_line": max(map(len, bare), default=0),
        "short_lines": sum(len(line) <= 30 for line in filled),
        "terminal_lines": sum(bool(table[ord(line[-1])] & TERMINAL) for line in filled),
        "ended_lines": sum(line[-1] in ends for line in bare),
        "text_lines": len(text_lines),
        "bullet_lines": sum(line.lstrip().startswith(bullets) for line in text_lines),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in text_lines),
        "split_lines": len(split_lines),
        "duplicate_lines": len(again(split_lines)),
        "duplicate_line_characters": sum(map(len, again(split_lines))),
        "repeated_line_characters": sum(map(len, again(filled))),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": len(again(paragraphs)),
        "duplicate_paragraph_characters": sum(map(len, again(paragraphs))),
    }


@pytest.mark.parametrize("text", TEXTS)
def test_kernel_equals_oracle(text: str) -> None:
    assert counts(text) == oracle(text)


def test_kernel_equals_oracle_on_random_texts() -> None:
    for text in random_texts(400):
        assert counts(text) == oracle(text), repr(text)


def test_oracle_and_kernel_are_sensitive() -> None:
    """Control: a changed line or paragraph changes the counts, so equality above is no accident."""
    assert counts("x y\nx y") != counts("x y\nx z")
    assert counts("x\n\ny\n\nx") != counts("x\n\ny\n\nz")
    assert oracle("x\n\ny\n\nx") != oracle("x\n\ny\n\nz")


def test_counts_by_hand() -> None:
    found = counts("The cat and the dog... sat\n\n- a # b\n- a # b")
    expected = {
        "characters": 43, "letters": 22, "symbols": 7, "digits": 0, "ideographs": 0, "replacements": 0, "hashes": 2,
        "ellipses": 1, "newlines": 3, "lines": 3, "line_characters": 40, "longest_line": 26, "short_lines": 3,
        "text_lines": 4, "bullet_lines": 2, "ellipsis_lines": 0, "split_lines": 3, "duplicate_lines": 1,
        "duplicate_line_characters": 7, "paragraphs": 2, "duplicate_paragraphs": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_a_document_is_counted_alike_alone_and_in_a_slice_of_a_batch() -> None:
    together = statistics(pa.array(["before", *TEXTS, "after"], pa.string()).slice(1, len(TEXTS)))
    alone = np.stack([statistics(pa.array([text], pa.large_string()))[0] for text in TEXTS])
    assert (together == alone).all()


def test_no_document_and_a_null() -> None:
    assert statistics(pa.array([], pa.large_string())).shape == (0, len(STATISTICS))
    with pytest.raises(ValueError, match="1 texts are null"):
        statistics(pa.array(["a", None], pa.large_string()))
