"""The statistics of the kernels against counts by hand and a plain Python oracle."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.text_kernels import BULLETS, SENTENCE_ENDS, STATISTICS, STOP_WORDS, statistics

TEXTS = [
    "",
    " \n\n ",
    "The cat and the dog... sat\n\n- a # b\n- a # b",
    "一二三四五，一二三四五。\n他们来了……",
    "Être — naïve café 😀 don't №5 \U00020000!",
    "one two three one two three one two three\n\none two three\n\none two three",
    "a b c d e f g h i j k l " * 3,
    "* x\n• y\n1. z…\nend.\r\n  indented \t\n\n\n\nlast line without end",
    "word " * 300 + "\n" + "その他のテスト。한국어 문장",
]


def counts(text: str) -> dict[str, int]:
    row = statistics(pa.array([text], pa.large_string()))[0]
    return {name: int(value) for name, value in zip(STATISTICS, row, strict=True)}


def tokens(text: str) -> list[tuple[str, int]]:
    """Lower-cased words with the byte at which each begins, as words.py splits them, by regular expression."""
    pattern = r"[぀-ヿ㐀-鿿\U00020000-\U0003ffff]|[^\W぀-ヿ㐀-鿿\U00020000-\U0003ffff]+"
    return [(m.group().lower(), len(text[: m.start()].encode())) for m in re.finditer(pattern, text)]


def ngram_bytes(text: str, size: int) -> tuple[int, int]:
    found = tokens(text)
    begins = [begin for _, begin in found] + [len(text.encode())]
    seen: Counter[tuple[str, ...]] = Counter()
    top = repeated = skip = 0
    for i in range(len(found) - size + 1):
        gram = tuple(word for word, _ in found[i : i + size])
        length = begins[i + size] - begins[i]
        seen[gram] += 1
        if seen[gram] > 1:
            top = max(top, seen[gram] * length)
            if skip <= 0:
                repeated, skip = repeated + length, size
        skip -= 1
    return top, repeated


def oracle(text: str) -> dict[str, int]:
    words = [w for w in re.split(r"[\s\x00-\x1f]+", text) if w]
    lines = [line.strip(" \t\r") for line in text.split("\n")]
    paragraphs = ["\n".join(p) for p in blocks(lines)]
    lines = [line for line in lines if line]
    again = [line for i, line in enumerate(lines) if line in lines[:i]]
    result = {
        "characters": len(text),
        "bytes": len(text.encode()),
        "words": len(words),
        "word_characters": sum(map(len, words)),
        "alpha_words": sum(any(c.isalpha() for c in w) for w in words),
        "stop_words": len({re.sub(r"[^a-z]", "", w.lower()) for w in words} & set(STOP_WORDS)),
        "hashes": text.count("#"),
        "ellipses": len(re.findall(r"(?<!\.)\.\.\.|…", text)),
        "lines": len(lines),
        "line_characters": sum(map(len, lines)),
        "longest_line": max(map(len, lines), default=0),
        "bullet_lines": sum(ord(line[0]) in BULLETS for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "ended_lines": sum(ord(line[-1]) in SENTENCE_ENDS for line in lines),
        "duplicate_lines": len(again),
        "duplicate_line_characters": sum(map(len, again)),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": len(paragraphs) - len(set(paragraphs)),
    }
    for size in range(2, 11):
        top, repeated = ngram_bytes(text, size)
        result[f"top_{size}gram" if size <= 4 else f"duplicate_{size}gram"] = top if size <= 4 else repeated
    return result


def blocks(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


@pytest.mark.parametrize("text", TEXTS)
def test_kernel_equals_oracle(text: str) -> None:
    expected = oracle(text)
    found = counts(text)
    assert {name: found[name] for name in expected} == expected


def test_oracle_and_kernel_are_sensitive() -> None:
    """Control: a changed word, line or repetition changes the counts, so equality above is no accident."""
    assert oracle("a b a b") != oracle("a b a c")
    assert counts("x y\nx y") != counts("x y\nx z")


def test_counts_by_hand() -> None:
    found = counts("The cat and the dog... sat\n\n- a # b\n- a # b")
    expected = {
        "characters": 43, "letters": 22, "symbols": 7, "digits": 0, "ideographs": 0, "replacements": 0,
        "words": 14, "word_characters": 29, "alpha_words": 10, "stop_words": 2, "hashes": 2, "ellipses": 1,
        "lines": 3, "line_characters": 40, "longest_line": 26, "bullet_lines": 2, "ellipsis_lines": 0,
        "duplicate_lines": 1, "duplicate_line_characters": 7, "paragraphs": 2, "duplicate_paragraphs": 0,
        "top_2gram": 10, "top_3gram": 0, "duplicate_5gram": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_a_document_is_counted_alike_alone_and_in_a_slice_of_a_batch() -> None:
    together = statistics(pa.array(["before", *TEXTS, "after"], pa.string()).slice(1, len(TEXTS)))
    alone = np.stack([statistics(pa.array([text], pa.large_string()))[0] for text in TEXTS])
    assert (together == alone).all()
