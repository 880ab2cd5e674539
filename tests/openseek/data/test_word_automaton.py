"""The automaton finds what a search word by word finds, in all texts, and a broken edge is noticed."""

import random

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.word_automaton import ALLOWED, MAX_CHARACTERS, Automaton, build, find
from openseek.data.words import WORD, word_table

Found = list[tuple[int, int, int, str, int]]
ALPHABETS = ("ab", "abcAB ", "中国人", "a中é😀b", "ab. -中1")


def inside(character: str) -> bool:
    return ord(character) < 0x20000 and word_table()[0][ord(character)] in (WORD, 3)


def starts_well(text: str, start: int, stop: int) -> bool:
    left = start > 0 and inside(text[start - 1]) and inside(text[start])
    right = stop < len(text) and inside(text[stop - 1]) and inside(text[stop])
    return not left and not right


def reference(texts: list[str], lists: list[list[str]], allowed: list[str], *, whole: bool, overlapping: bool) -> Found:
    """The same by trying each word at each place, on folded text."""
    found: Found = []
    for row, original in enumerate(texts):
        text = original.lower()
        at = [len(original[:i].encode()) for i in range(len(original) + 1)]

        def spans(words: list[str], text: str = text) -> set[tuple[int, int]]:
            every = {(i, i + len(w)) for w in map(str.lower, words) for i in range(len(text)) if text.startswith(w, i)}
            return {span for span in every if not whole or starts_well(text, *span)}

        shields = spans(allowed)
        for number, words in enumerate(lists):
            hits = {(a, b) for a, b in spans(words) if not any(s <= a and b <= e for s, e in shields)}
            end = 0
            for a, b in sorted(hits, key=lambda span: (span[0], -span[1])):
                if overlapping or a >= end:
                    found.append((row, at[a], at[b], text[a:b], number))
                    end = b
    return sorted(found)


def ours(texts: list[str], automaton: Automaton, words: list[str], *, whole: bool, overlapping: bool) -> Found:
    column = pa.array(texts, pa.large_string())
    base = np.cumsum([0] + [len(text.encode()) for text in texts])
    active = np.full(len(texts), (1 << 62) - 1, np.uint64)
    hits = find(column, automaton, active, whole_words=whole, overlapping=overlapping)
    rows = zip(*(part.tolist() for part in hits), strict=True)
    return sorted((r, int(a - base[r]), int(b - base[r]), words[w].lower(), q) for r, a, b, w, q in rows)


def compile_lists(lists: list[list[str]], allowed: list[str]) -> tuple[Automaton, list[str]]:
    entries = [word for words in lists for word in words] + allowed
    bits = [1 << number for number, words in enumerate(lists) for _ in words] + [int(ALLOWED)] * len(allowed)
    return build(entries, np.array(bits, np.uint64))


def case(seed: int) -> tuple[list[str], list[list[str]], list[str]]:
    """Random texts and lists, with words that are prefixes of others, overlap, and repeat in other lists."""
    rng = random.Random(seed)
    alphabet = ALPHABETS[seed % len(ALPHABETS)]

    def word(least: int, most: int) -> str:
        return "".join(rng.choices(alphabet, k=rng.randint(least, most)))

    lists = [[word(2, 7) for _ in range(rng.randint(1, 6))] for _ in range(rng.randint(1, 3))]
    lists[0] += [lists[0][0] + word(1, 3), lists[-1][0]]
    allowed = [word(0, 2) + lists[0][0] + word(0, 2) for _ in range(seed % 3)]
    return [word(0, 60) for _ in range(6)], lists, allowed


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("overlapping", [True, False])
def test_equals_a_search_word_by_word(whole: bool, overlapping: bool) -> None:
    total = 0
    for seed in range(150):
        texts, lists, allowed = case(seed)
        expected = reference(texts, lists, allowed, whole=whole, overlapping=overlapping)
        assert ours(texts, *compile_lists(lists, allowed), whole=whole, overlapping=overlapping) == expected, seed
        total += len(expected)
    assert total > 500


@pytest.mark.parametrize("part", ["edges", "heads", "filter", "words"])
def test_a_broken_table_is_noticed(part: str) -> None:
    """Control: the comparison above sees one lost entry of any table."""
    words = ["abcdefg", "abcdxyz", "bcd"]
    texts = ["abcdefg abcdxyz bcd"]
    automaton, names = compile_lists([words], [])
    expected = reference(texts, [words], [], whole=True, overlapping=True)
    assert ours(texts, automaton, names, whole=True, overlapping=True) == expected
    array = getattr(automaton, part)
    places = np.flatnonzero(array >= 0 if part == "words" else array)
    for place in places.tolist():
        broken = array.copy()
        broken[place] = -1 if part == "words" else 0
        assert ours(texts, automaton._replace(**{part: broken}), names, whole=True, overlapping=True) != expected


def test_words_that_share_a_node_stay_apart() -> None:
    entries = ["习近", "习近平", "近平", "平安"]
    automaton, words = build(entries, np.ones(4, np.uint64))
    texts = ["习近平安"]
    assert [f[3] for f in ours(texts, automaton, words, whole=True, overlapping=True)] == entries[:2] + entries[2:]
    assert [f[3] for f in ours(texts, automaton, words, whole=True, overlapping=False)] == ["习近平"]


def test_no_words_and_no_texts() -> None:
    automaton, words = build([], np.zeros(0, np.uint64))
    assert ours(["text", ""], automaton, words, whole=True, overlapping=True) == []
    automaton, words = build(["word"], np.ones(1, np.uint64))
    assert ours([], automaton, words, whole=True, overlapping=True) == []


def test_folding_and_boundaries() -> None:
    automaton, words = build(["Ass", "ｑｑ群", "naïve"], np.ones(3, np.uint64))
    texts = ["ASS class assassin, ass.", "加QQ群", "加aqq群", "NAÏVE", "ＡＳＳ", "ass的", "ass_1"]
    rows = [found[0] for found in ours(texts, automaton, words, whole=True, overlapping=False)]
    assert rows == [0, 0, 1, 3, 4, 5]
    strict, words = build(["Ass"], np.ones(1, np.uint64), fold=False)
    assert [found[0] for found in ours(["ASS", "Ass"], strict, words, whole=True, overlapping=False)] == [1]


def test_a_slice_and_more_hits_than_expected() -> None:
    automaton, words = build(["aa", "aaa"], np.ones(2, np.uint64))
    column = pa.array(["x", "a" * 3000, "y"], pa.large_string()).slice(1, 1)
    hits = find(column, automaton, np.ones(1, np.uint64), whole_words=False, overlapping=True)
    assert len(hits.row) == 2999 + 2998
    assert hits.start.min() == 1 and set(hits.row.tolist()) == {0}


def test_lists_that_are_not_active() -> None:
    automaton, _ = build(["aa", "bb"], np.array([1, 2], np.uint64))
    column = pa.array(["aa bb"] * 3, pa.large_string())
    hits = find(column, automaton, np.array([0, 2, 3], np.uint64))
    assert list(zip(hits.row.tolist(), hits.list.tolist(), strict=True)) == [(1, 1), (2, 0), (2, 1)]


@pytest.mark.parametrize("word", ["a", "a" * (MAX_CHARACTERS + 1)])
def test_words_that_do_not_fit(word: str) -> None:
    with pytest.raises(ValueError, match="2 to 128 characters"):
        build([word], np.ones(1, np.uint64))
