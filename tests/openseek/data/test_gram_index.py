"""The index of benchmark items: which n-grams lead to which items, what weighs how much, files."""

from pathlib import Path
from typing import Any

import numpy as np

from openseek.data.gram_index import BIT, GramIndex, build_index, key_of, slot_of
from openseek.data.ngrams import BenchmarkItem, Decontaminate
from openseek.data.words import grams_of, hash_words

QUESTION = "A farmer has 17 sheep and buys 5 more every day for 3 days, how many sheep has the farmer now?"
CHINESE = "小明有三个苹果，小红又给了他五个苹果，请问小明现在一共有几个苹果？"


def indexed(*questions: str, **options: Any) -> GramIndex:
    return build_index([BenchmarkItem(question) for question in questions], Decontaminate(**options))


def owners_of(index: GramIndex, text: str, size: int = 5) -> list[set[int]]:
    """For each n-gram of a text the entries that it leads to."""
    words = hash_words(text)
    grams = np.empty(len(words), np.uint64)
    found = []
    for gram in grams[: grams_of(words, len(words), size, grams)]:
        slot = slot_of(index.slots, np.uint64(key_of(gram)))
        first, last = index.ranges[slot] if index.slots[slot] else (0, 0)
        found.append(set(index.places[first:last, 0].tolist()))
    return found


def test_every_ngram_leads_to_every_owner() -> None:
    index = indexed(QUESTION, QUESTION + " Explain it.", CHINESE)
    assert all(owners == {0, 1} for owners in owners_of(index, QUESTION))
    assert owners_of(index, "Explain it. " + QUESTION)[0] == set()
    assert all(owners == {2} for owners in owners_of(index, CHINESE))


def test_ngrams_of_many_owners_lead_nowhere_but_no_item_is_lost() -> None:
    form = "Which of the following statements about this is true"
    questions = [f"{form} number{i} thing{i} matter{i} colour{i} place{i} time{i}?" for i in range(6)]
    index = indexed(*questions, max_owners=5)
    assert owners_of(index, form) == [set(range(6)), *[set()] * 4], "all but the anchor lead nowhere"
    for i, question in enumerate(questions):
        assert {i} in owners_of(index, question)
    same = [f"{form} number{i}" for i in range(6)]
    index = indexed(*same, max_owners=5, min_bits=0)
    assert any(owners_of(index, same[0])), "an item of which every n-gram has many owners is still led to"


def test_words_weigh_by_how_few_items_have_them() -> None:
    index = indexed(*(f"every question asks something about word{i} and nothing else at all" for i in range(64)))
    weights = dict(zip(index.words.tolist(), (index.weights / BIT).tolist(), strict=True))
    common, rare = (weights[int(hash_words(word)[0])] for word in ("question", "word7"))
    assert abs(common - np.log2(1064 / 65)) < 0.01
    assert abs(rare - np.log2(1064 / 2)) < 0.01


def test_a_han_character_weighs_less_than_a_word() -> None:
    index = indexed(QUESTION, CHINESE)
    weights = dict(zip(index.words.tolist(), index.weights.tolist(), strict=True))
    assert weights[int(hash_words("果")[0])] < 0.7 * weights[int(hash_words("farmer")[0])]


def test_items_of_equal_words_are_one_entry() -> None:
    index = indexed(QUESTION, CHINESE, QUESTION.upper().replace(",", " --"))
    assert index.owners.tolist() == [0, 2, 1]
    assert index.owner_bounds.tolist() == [0, 2, 3]


def test_what_is_short_or_common_is_only_a_whole_document() -> None:
    common = "the one and the two and the three and the four"
    index = indexed("3+4=?", "81", "", "?", QUESTION, *[f"{common} {'x' * i}" for i in range(1, 5000)])
    assert index.short_items.tolist()[:1] == [0]
    assert {1, 2, 3, 4} & set(index.short_items.tolist()) == set()
    assert 5 in index.short_items.tolist(), "eleven words that every item has weigh next to nothing"


def test_index_file_round_trip(tmp_path: Path) -> None:
    index = build_index(
        [BenchmarkItem(QUESTION, "32"), BenchmarkItem("3+4=?", "7"), BenchmarkItem("")], Decontaminate()
    )
    index.write(tmp_path / "index.npy")
    read = GramIndex.read(tmp_path / "index.npy")
    for name in vars(index):
        assert np.array_equal(getattr(read, name), getattr(index, name)), name
    assert read.answers[read.answer_bounds[0] : read.answer_bounds[1]].tolist() == hash_words("32").tolist()


def test_nothing_to_index() -> None:
    index = indexed()
    assert (len(index.places), len(index.owners), index.bounds.tolist()) == (0, 0, [0])


def test_what_follows_from_the_words_before_weighs_less_in_a_changed_copy() -> None:
    """By definition, in plain counts: others that go on so, over others that have the one or two words before."""
    form = "write a function to find the"
    questions = [f"{form} word{i % 40} of thing{i}" for i in range(80)]
    index = indexed(*questions, QUESTION)
    entries = [hash_words(question).tolist() for question in (*questions, QUESTION)]
    for number in (0, 39, 80):
        words = entries[number]
        first, last = index.bounds[number : number + 2]
        weights, fresh = index.weights[first:last] / BIT, index.fresh_weights[first:last] / BIT
        for place, weight in enumerate(weights):
            expected = [weight]
            for size in range(1, min(place, 2) + 1):
                context = words[place - size : place]
                having = continuing = 0
                for other in entries[:number] + entries[number + 1 :]:
                    runs = [other[at : at + size + 1] for at in range(len(other) - size + 1)]
                    having += any(run[:size] == context for run in runs)
                    continuing += [*context, words[place]] in runs
                expected.append(np.log2((having + 10) / (continuing + 10 * 2**-weight)))
            assert abs(fresh[place] - max(0, min(expected))) < 0.01
    assert index.fresh_weights[:6].sum() < index.weights[:6].sum() / 2
    assert np.array_equal(index.fresh_weights[first:last], index.weights[first:last]), "what no other item has is new"


def test_the_anchor_is_the_rarest_ngram_of_the_beginning() -> None:
    questions = [f"in this question of many we ask of thing{i} what it is called by all who know" for i in range(9)]
    index = indexed(*questions, "in this question of many we ask nothing")
    anchors = index.places[index.places[:, 1] < 0]
    assert sorted(anchors[:, 0].tolist()) == list(range(10)), "each entry has one"
    for entry, place in anchors[anchors[:, 0] < 9].tolist():
        assert 4 <= ~place <= 5, f"entry {entry}: the beginning ends after ten words, thing{entry} is the ninth"
