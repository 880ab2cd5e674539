"""Recall and precision on removals made by hand, where the numbers can be counted; wrong removals score worse."""

import pytest

from benchmarks.dedup_corpus import Corpus, Pair
from benchmarks.dedup_minhash import quality_rows, restricted
from benchmarks.dedup_quality import (
    ALL,
    Removal,
    bin_of,
    by_label,
    by_partner,
    joined_above,
    judged,
    measure,
    recall_above,
)
from benchmarks.dedup_reference import jaccard, word_grams, words

ONE = " ".join(f"one{i}" for i in range(40))
NEAR_ONE = f"{ONE} and more"
TWO = " ".join(f"two{i}" for i in range(40))
STRANGE = " ".join(f"strange{i}" for i in range(40))
CORPUS = Corpus(
    texts=[ONE, NEAR_ONE, TWO, TWO, STRANGE],
    kinds=["prose_en", "prose_en", "code", "code", "code"],
    families=[0, 0, 1, 1, 2],
    pairs=[
        Pair(1, 0, "prose_en", "words", 0.05, jaccard(word_grams(ONE), word_grams(NEAR_ONE))),
        Pair(3, 2, "code", "exact", 0.0, 1.0),
    ],
)


def test_words_and_grams_are_those_of_the_definition() -> None:
    assert words("Größe 3, 中文字a") == ["größe", "3", "中", "文", "字", "a"]
    assert word_grams("a b c d e f") == {("a", "b", "c", "d", "e"), ("b", "c", "d", "e", "f")}
    assert word_grams("a b") == {("a", "b")}
    assert jaccard(word_grams("a b c d e f"), word_grams("b c d e f g")) == 1 / 3


@pytest.mark.parametrize(
    "similarity, name", [(1.0, "1"), (0.99, ".9 to 1"), (0.7, ".7 to .8"), (0.69, ".5 to .7"), (0.4, None)]
)
def test_bins(similarity: float, name: str | None) -> None:
    assert bin_of(similarity) == name


def test_a_right_removal_scores_one_everywhere() -> None:
    for removal in (by_label([0, 0, 2, 2, 4]), by_partner({1: 0, 3: 2}, range(5))):
        quality = measure(CORPUS, removal)
        assert recall_above(quality).value == 1.0
        assert recall_above(quality).total == 2
        assert quality.precision[ALL].total == 2
        assert quality.precision[ALL].value == 1.0
        assert quality.largest == 2


def test_nothing_removed_has_no_recall() -> None:
    quality = measure(CORPUS, by_label([0, 1, 2, 3, 4]))
    assert recall_above(quality).value == 0.0
    assert quality.precision[ALL].total == 0


def test_everything_in_one_cluster_is_imprecise() -> None:
    """A removed document counts as right where any other of its cluster is near; the strange one has nobody."""
    quality = measure(CORPUS, by_label([0, 0, 0, 0, 0]))
    assert recall_above(quality).value == 1.0
    assert (quality.precision["code"].hits, quality.precision["code"].total) == (2, 3)
    assert quality.largest == 5


def test_a_partner_that_is_named_must_be_near_itself() -> None:
    quality = measure(CORPUS, by_partner({1: 0, 3: 4}, range(5)))
    assert (quality.precision["code"].hits, quality.precision["code"].total) == (0, 1)
    assert quality.precision["prose_en"].value == 1.0
    assert quality.recall["code", "1"].value == 1.0, "one of the pair is gone"
    assert quality.joined["code", "1"].value == 0.0, "but not for its copy"
    assert (joined_above(quality).hits, joined_above(quality).total) == (1, 2)


def test_partners_of_partners_are_one_cluster() -> None:
    assert by_partner({1: 0, 2: 1}, range(3)).labels == {0: 0, 1: 0, 2: 0}


def test_pairs_outside_of_the_part_do_not_count() -> None:
    quality = measure(CORPUS, by_label([7, 7], rows=[0, 1]))
    assert recall_above(quality).total == 1
    assert restricted(by_partner({1: 0, 3: 2}, range(5)), [0, 1]) == Removal({0: 0, 1: 0}, {1: 0})


def test_another_definition_of_grams_is_used_for_its_kinds() -> None:
    alike = {"code": lambda text: frozenset([("all", "alike")])}
    quality = measure(CORPUS, by_label([0, 0, 0, 0, 0]), grams=alike)
    assert quality.precision["code"].value == 1.0
    strange = {"code": lambda text: frozenset([(text,)]), "prose_en": lambda text: frozenset([(text,)])}
    quality = measure(CORPUS, by_label([0, 0, 2, 2, 4]), grams=strange)
    assert (quality.precision["code"].value, quality.precision["prose_en"].value) == (1.0, 0.0)


def test_the_recorded_pairs_are_judged_by_another_definition_of_grams() -> None:
    halves = {"prose_en": lambda text: frozenset([("all", "alike"), (text,)])}
    assert [pair.jaccard for pair in judged(CORPUS, halves).pairs] == [1 / 3, 1.0]
    assert judged(CORPUS, {}) == CORPUS


def test_rows_name_what_similarity_they_are_of() -> None:
    quality = measure(CORPUS, by_label([0, 0, 2, 2, 4]))
    found = {row.metric: row.value for row in quality_rows("case", "the lexer's tokens", quality, ("code",))}
    assert found["recall, code, by the lexer's tokens, Jaccard from .7 (1 pairs)"] == 1.0
    assert found["precision, code, by the lexer's tokens (1 removed)"] == 1.0
    assert not any("prose" in metric for metric in found)
