import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

from openseek.data import words

SINGLES = re.compile("[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
TEXTS = [
    "",
    "Hello, World! It's 3.14 o'clock_now",
    "Crème brûlée und STRASSE, ΣΊΣΥΦΟΣ, İstanbul",
    "今天天气很好，we run Python3代码。",
    "ひらがなカタカナ 東京タワー",
    "def f(x):\n    return x ** 2  # naïve 🎉 emoji",
    "한국어 텍스트 ２０２４ Ｆｕｌｌ",
    "𠀀𠀁 rare Han",
    "x",
]


def plain_words(text: str) -> list[str]:
    """The same definition in plain Python, from unicodedata, one string a word."""
    found: list[str] = []
    current = ""
    for character in text:
        category = unicodedata.category(character)
        if category == "Mn":
            continue
        if SINGLES.match(character) or not (category[0] in "LN" or category == "Mc" or character == "_"):
            if current:
                found.append(current)
            current = ""
            if SINGLES.match(character) and category[0] in "LN":
                found.append(words.fold(character) if ord(character) < words.TABLE_SIZE else character)
            continue
        current += words.fold(character)
    return [*found, current] if current else found


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_those_of_the_plain_definition(text: str) -> None:
    expected = [words.hash_words(w)[0] for w in plain_words(text)]
    assert words.hash_words(text).tolist() == expected


def test_distinct_words_have_distinct_hashes() -> None:
    vocabulary = [f"w{i}" for i in range(50_000)]
    assert len(np.unique(words.hash_words(" ".join(vocabulary)))) == len(vocabulary)


@pytest.mark.parametrize(
    ("left", "right"),
    [("Café", "cafe\u0301"), ("ＡＢＣ", "abc"), ("don't", "don t"), ("a＿b", "a_b"), ("⽅⾯", "方面"), ("ﾃﾚ", "テレ")],
)
def test_equal_words(left: str, right: str) -> None:
    assert words.hash_words(left).tolist() == words.hash_words(right).tolist()


@pytest.mark.parametrize(("left", "right"), [("가나", "기니"), ("3", "4"), ("ab c", "a bc"), ("東京", "京東")])
def test_different_words(left: str, right: str) -> None:
    assert words.hash_words(left).tolist() != words.hash_words(right).tolist()


def test_starts_are_byte_positions() -> None:
    text = "é 今天 ok"
    data = np.frombuffer(text.encode(), np.uint8)
    hashes, starts = np.empty(20, np.uint64), np.empty(20, np.int64)
    count = words.words_of(data, 0, len(data), *words.word_table(), hashes, starts)
    assert starts[:count].tolist() == [0, 3, 6, 10]


def test_grams_roll_over_the_same_hashes_as_fresh_ones() -> None:
    hashes = words.hash_words("a b c d e f g h")
    grams = np.empty(8, np.uint64)
    assert words.grams_of(hashes, 8, 3, grams) == 6
    for i in range(6):
        fresh = np.empty(1, np.uint64)
        words.grams_of(hashes[i : i + 3].copy(), 3, 3, fresh)
        assert fresh[0] == grams[i]
    assert words.grams_of(hashes, 2, 3, grams) == 0


def test_buffers_of_slices_and_chunks() -> None:
    array = pa.array(["zero", "one", "", "three"], pa.large_string()).slice(1)
    chunked = pa.chunked_array([array, pa.array(["four"], pa.large_string())])
    for column, texts in ((array, ["one", "", "three"]), (chunked, ["one", "", "three", "four"])):
        data, offsets = words.string_buffers(column)
        assert [bytes(data[a:b]).decode() for a, b in zip(offsets[:-1], offsets[1:], strict=True)] == texts
    data, offsets = words.string_buffers(pa.array([], pa.large_string()))
    assert offsets.tolist() == [0]
    with pytest.raises(ValueError, match="null"):
        words.string_buffers(pa.array(["a", None], pa.large_string()))


def test_cut_character_does_not_read_past_the_end() -> None:
    data = np.frombuffer("ab 今".encode()[:-1], np.uint8)
    hashes, starts = np.empty(9, np.uint64), np.empty(9, np.int64)
    assert words.words_of(data, 0, len(data), *words.word_table(), hashes, starts) == 1
