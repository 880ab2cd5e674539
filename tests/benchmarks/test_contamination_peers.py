"""The peer of decontamination on a few texts, and how items are planted for it."""

import pytest

from benchmarks.contamination_peers import datatrove, language_of
from benchmarks.dedup_contamination import BANDS, VARIANTS, _quality, beginning, halves, plant
from benchmarks.peers import PYTHON
from openseek.data.words import hash_words

QUESTION = "A farmer has 17 sheep and buys 5 more every day for 3 days, how many sheep has the farmer now?"
CHINESE = "小明有三个苹果，小红又给了他五个苹果，请问小明现在一共有几个苹果？"


@pytest.mark.skipif(not PYTHON.exists(), reason="the peers are not installed: `make peers`")
def test_datatrove_flags_what_has_an_ngram_of_an_item() -> None:
    texts = [
        f"Before it. {QUESTION} After it.",
        "nothing of the kind",
        f"{QUESTION[:40]}",
        f"例题：{CHINESE}解：八个。",
    ]
    told = datatrove([QUESTION, CHINESE], texts, [language_of(text) for text in texts], 12)
    assert told is not None
    assert told[0] > 0
    assert told[1] == {0, 3}


def test_languages() -> None:
    assert [language_of(text) for text in (QUESTION, CHINESE, "word 字", "")] == ["eng", "cmn_Hani", "eng", "eng"]


def test_halves_have_no_item_in_common_and_none_that_is_short() -> None:
    words = [3, 8, 9, 20, 7, 30, 8]
    first, second = halves(words, 8)
    assert sorted(first + second) == [1, 2, 3, 5, 6]
    assert halves(words, 8) == (first, second)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_of_the_first_documents_holds_its_item(variant: str) -> None:
    questions = [f"{QUESTION} number {i}" for i in range(20)]
    hosts = [f"host {i} " * 1000 for i in range(50)]
    planted = plant(variant, questions, range(10, 20), hosts, 5)
    assert len(planted.texts) == 10
    assert len(planted.items) == 5
    assert set(planted.items) <= set(range(10, 20))
    for text, item in zip(planted.texts, planted.items, strict=False):
        assert VARIANTS[variant][0](questions[item]) in text
    assert not any("sheep" in text.lower() for text in planted.texts[5:])


def test_a_beginning_has_a_share_of_the_words() -> None:
    assert len(hash_words(beginning(QUESTION))) == 13
    assert QUESTION.startswith(beginning(QUESTION))
    assert beginning(CHINESE) == CHINESE[:20]


def test_bands_leave_no_gap() -> None:
    assert [high + 1 for _, high in BANDS[:-1]] == [low for low, _ in BANDS[1:]]


def test_recall_and_precision_of_flagged_documents() -> None:
    assert _quality({10, 11, 13, 99}, range(10, 14), 2) == (1.0, 2 / 3)
    assert _quality(set(), range(10, 14), 2) == (0.0, 0.0)
