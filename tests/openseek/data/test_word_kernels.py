"""Statistics of words, sentences, n-grams and C4's lines against the plain Python reference on the same words."""

import random
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.reference_rules import breaks, c4, count_sentences, duplicate_ngrams, top_ngram
from openseek.data.characters import SYMBOL, TERMINAL, character_table
from openseek.data.english_kernels import split_words
from openseek.data.word_kernels import STATISTICS, STOP_WORDS, statistics
from openseek.recipes.recipe import SAMPLES

TEXTS = [
    "",
    " \n\n ",
    "The cat and the dog... sat\n\n- a # b\n- a # b",
    "一二三四五，一二三四五。\n他们来了……",
    "Être — naïve café 😀 don't №5 \U00020000!",
    "one two three one two three one two three\n\none two three\n\none two three",
    "a b c d e f g h i j k l " * 3,
    "It is here. It is not! Is it?  ... It was [1] said. [citation needed]\r\nUse cookies, it said.\nNo end here",
    "Please enable JavaScript to see { this } page.\nThe Lorem Ipsum text is here.\nAll of it { ends.\nIt is done...",
    "He said: 'one two three'\n" + "w" * 1001 + " is a long word.\n" + "w" * 1000 + " is not one.",
    "word " * 300 + "\n" + "その他のテスト。한국어 문장 ไทยไทย",
    "to be or not to be that is with have and of the",
    "שלום עולם. مرحبا؟ \u202eabc\u202c e\u0301 combining",
    "x" * 30_000,
    " " * 5000,
]
PIECES = [
    "the",
    "be.",
    "cat",
    "dog,",
    "(a)",
    "don't",
    "U.S.",
    "…",
    "...",
    "!",
    "Mr.",
    "[1]",
    "x=y",
    "{",
    "12",
    "中文",
    "\n",
]


def random_texts(count: int) -> list[str]:
    draw = random.Random(5)
    return [
        "  ".join(draw.choices(PIECES, k=draw.randrange(60))).replace("  ", draw.choice((" ", "  ")))
        for _ in range(count)
    ]


def counts(text: str) -> dict[str, int]:
    row = statistics(pa.array([text], pa.large_string()))[0]
    return {name: int(value) for name, value in zip(STATISTICS, row, strict=True)}


def bit(flag: int, character: str) -> bool:
    table = character_table()
    return ord(character) < len(table) and bool(table[ord(character)] & flag)


def sentences(line: str) -> int:
    def terminal(character: str) -> bool:
        return bit(TERMINAL, character)

    return count_sentences(line, split_words(line), terminal, lambda c: unicodedata.category(c)[0] == "P")


def oracle(text: str, words: list[str]) -> dict[str, int]:
    lexical = [word for word in words if not all(bit(SYMBOL, c) for c in word)]
    lines = c4(text, sentences)
    found = {
        "words": len(words),
        "word_characters": sum(map(len, words)),
        "lexical_words": len(lexical),
        "lexical_characters": sum(map(len, lexical)),
        "alpha_words": sum(any(map(str.isalpha, word)) for word in words),
        "stop_words": len(set(words) & set(STOP_WORDS)),
        "sentences": sum(sentences(line.strip()) for line in text.splitlines() if line.strip()),
        "c4_sentences": int(lines["c4_min_sentences"]),
        "c4_lorem_lines": int(lines["c4_lorem_ipsum"]),
        "c4_curly_lines": int(lines["c4_curly_bracket"]),
    }
    found |= {f"top_{size}gram": top_ngram(words, size) for size in (2, 3, 4)}
    return found | {f"duplicate_{size}gram": duplicate_ngrams(words, size) for size in range(5, 11)}


@pytest.mark.parametrize("text", TEXTS)
def test_kernel_equals_reference(text: str) -> None:
    expected, found = oracle(text, split_words(text)), counts(text)
    assert {name: found[name] for name in expected} == expected


def test_kernel_equals_reference_on_random_texts() -> None:
    for text in random_texts(300):
        expected, found = oracle(text, split_words(text)), counts(text)
        assert {name: found[name] for name in expected} == expected, repr(text)


def test_kernel_equals_reference_on_real_text() -> None:
    import pyarrow.parquet as pq

    file = sorted((SAMPLES / "en_edu").glob("*.parquet"))[0]
    for text in pq.read_table(file, columns=["text"])["text"].to_pylist()[:40]:
        expected, found = oracle(text, split_words(text)), counts(text)
        assert {name: found[name] for name in expected} == expected, text[:80]


def test_words_between_white_space_would_be_seen() -> None:
    """Control: the reference on plain white-space words gives other numbers, so equality above says something."""
    text = TEXTS[7]
    assert oracle(text, text.split())["words"] != counts(text)["words"]
    assert breaks("gopher_min_words", 49) and not breaks("gopher_min_words", 50)


def test_lines_that_may_end_as_they_like() -> None:
    found = counts("A line with no end\nAnother line of words.\nA { line with a bracket\nlorem ipsum dolor\ntoo short.")
    assert (found["c4_lines"], found["c4_open_lines"]) == (1, 4)
    assert (found["c4_sentences"], found["c4_open_sentences"]) == (1, 4)
    assert (found["c4_curly_lines"], found["c4_open_curly_lines"]) == (0, 1)
    assert (found["c4_lorem_lines"], found["c4_open_lorem_lines"]) == (0, 1)


def test_a_document_is_counted_alike_alone_and_in_a_slice_of_a_batch() -> None:
    together = statistics(pa.array(["before", *TEXTS, "after"], pa.string()).slice(1, len(TEXTS)))
    alone = np.stack([statistics(pa.array([text], pa.large_string()))[0] for text in TEXTS])
    assert (together == alone).all()


def test_no_document_and_a_null() -> None:
    assert statistics(pa.array([], pa.large_string())).shape == (0, len(STATISTICS))
    with pytest.raises(ValueError, match="1 texts are null"):
        statistics(pa.array(["a", None], pa.large_string()))
