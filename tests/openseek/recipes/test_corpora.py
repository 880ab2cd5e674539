"""The corpora: their sources exist, their mixtures hold together, and their counts are only those that were stated."""

import subprocess
import sys
from typing import Any

import pytest

from openseek.data.mixture_plan import planned
from openseek.data.mixture_sources import held_sources
from openseek.data.published_mixtures import PUBLISHED
from openseek.data.sources.catalogue import CATALOGUE
from openseek.recipes import CORPORA, RECIPES
from openseek.recipes.corpus import Corpus, Part, entry_rows, from_catalogue, part_rows

T, B = 10**12, 10**9


def tokens(**counts: int) -> dict[str, Any]:
    """A tokens.json of these sources, four bytes a token."""
    return {
        "sources": {n: {"prefixes": [n], "documents": 1, "tokens": c, "bytes": 4 * c} for n, c in counts.items()},
    }


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_is_a_recipe_whose_sources_and_parts_fit_its_mixture(name: str) -> None:
    corpus = CORPORA[name]
    recipe = corpus.recipe
    assert RECIPES[name] is recipe
    assert all(source in CATALOGUE for source in recipe.ingest.source)
    entries = {entry for part in corpus.parts for entry in part.entries}
    assert entries == set(recipe.mix.weights)
    # Whatever is read belongs to one part and to one source of the mixture, or it would be tokenized for nothing.
    about = tokens(**dict.fromkeys(recipe.ingest.source, 1000))
    held = held_sources(about, recipe.mix.sources)
    assert set(held) <= set(recipe.mix.weights)
    assert sum(row.tokens or 0 for row in part_rows(corpus, about)) == 1000 * len(recipe.ingest.source)
    plain = recipe.filter.gopher_quality.except_sources
    assert set(recipe.ingest.source) - set(plain) == {
        source for source in recipe.ingest.source if CATALOGUE[source].domain in ("web", "books", "wiki")
    }


@pytest.mark.parametrize("name", CORPORA)
def test_every_mixture_can_be_worked_out_where_all_sources_are_there(name: str) -> None:
    mix = CORPORA[name].recipe.mix
    first = {part.token_sources[0] for part in CORPORA[name].parts}
    concrete = {source for source in first if "*" not in source and "[" not in source}
    concrete |= set(CORPORA[name].recipe.ingest.source)
    plan = planned(held_sources(tokens(**dict.fromkeys(concrete, T)), mix.sources), mix)
    assert sum(entry["weight"] for entry in plan.entries) == pytest.approx(1)
    assert [stage["name"] for stage in plan.stages] == (["main", "anneal"] if name in ("pt_4t", "pt_8t") else ["all"])
    assert not any("capped" in note for note in plan.notes)


def test_small_sources_of_a_proposal_are_seen_four_times_at_most() -> None:
    mix = CORPORA["pt_4t"].recipe.mix
    about = tokens(finemath_3plus=10 * B, nemotron_cc_high_actual=4 * T, cci3_hq=4 * T)
    plan = planned(held_sources(about, mix.sources), mix)
    epochs = {entry["source"]: entry["epochs"] for entry in plan.entries}
    assert epochs["math"] == pytest.approx(4, rel=1e-5)
    assert any(note.startswith("math is capped at 4 epochs") for note in plan.notes)
    assert any("left out of the mixture" in note and "code" in note for note in plan.notes)


def test_weights_of_the_first_two_are_those_published() -> None:
    first, second = CORPORA["pt_1.3t_v0.1"].recipe.mix, CORPORA["pt_1.3t_v1.0"].recipe.mix
    assert first.weights["nemotron_cc_high_actual"] == 28.89
    assert sum(first.weights.values()) == pytest.approx(99.99)
    assert first.train_tokens == PUBLISHED["pt_1t"].train_tokens
    assert sum(second.weights.values()) == pytest.approx(99.96)
    assert second.weights["nemotron_cc_medium_actual"] == 14.44
    assert len(CORPORA["pt_1.3t_v0.1"].parts) == 26


def test_counts_are_those_of_the_catalogue_and_none_is_made_up() -> None:
    parts = {part.name: part for part in CORPORA["pt_8t"].parts}
    assert parts["Nemotron-CC, original"].tokens == 4.4 * T
    assert parts["fineweb_edu_chinese_3_4"].tokens == 530 * B
    assert (parts["cci3_hq"].tokens, parts["cci3_hq"].gigabytes) == (None, 500)
    # Its 67.5 TB and the 1 GB of Python-Edu are not sizes of the text.
    assert from_catalogue("the_stack_v2").gigabytes is None
    assert from_catalogue("python_edu").gigabytes is None
    known = sum(part.tokens or 0 for part in parts.values())
    assert known == pytest.approx((4.4 + 1.9) * T + (46 + 530 + 930 + 11 + 34 + 20.5 + 15 + 29) * B)
    assert all(part.stated for corpus in CORPORA.values() for part in corpus.parts)


def test_gaps_compare_what_is_held_with_what_was_published() -> None:
    corpus = CORPORA["pt_4t"]
    about = tokens(
        finemath_3plus=17 * B, cci3_hq=100 * B, nemotron_cc_high_distill=1 * T, nemotron_cc_low_wrap_medium=B
    )
    rows = {row.part.name: row for row in part_rows(corpus, about)}
    assert rows["finemath_3plus"].token_gap == pytest.approx(-0.5)
    assert rows["finemath_3plus"].byte_gap is None
    assert rows["cci3_hq"].token_gap is None
    assert rows["cci3_hq"].byte_gap == pytest.approx(400 / 500 - 1)
    assert rows["Nemotron-CC, synthetic"].tokens == T + B
    assert rows["infiwebmath_3plus"].tokens is None
    assert all(row.tokens is None for row in part_rows(corpus, None))


def test_wanted_tokens_count_all_stages_and_published_ones_only_what_is_known() -> None:
    corpus = CORPORA["pt_8t"]
    rows = {row.name: row for row in entry_rows(corpus, corpus.recipe.mix, tokens(finemath_3plus=B))}
    math = rows["math"]
    assert math.weights == pytest.approx((0.01, 0.12))
    assert math.wanted == pytest.approx(8 * T * (0.9 * 0.01 + 0.1 * 0.12))
    assert (math.published, math.complete, math.held) == (69.5 * B, False, B)
    assert rows["english_web"].complete
    assert rows["english_web"].epochs == pytest.approx(8 * T * (0.9 * 0.28 + 0.1 * 0.15) / (4.4 * T))
    assert (rows["books_wiki"].published, rows["books_wiki"].epochs) == (0, None)
    assert sum(row.wanted for row in rows.values()) == pytest.approx(8 * T)


def test_a_count_that_several_sources_share_is_of_none_of_them() -> None:
    part = Part("both", ("a", "b"), ("a", "b"), "en", "by", tokens=5.0)
    corpus = Corpus("x", 1.0, "", (part,), CORPORA["pt_4t"].recipe)
    mix = CORPORA["pt_4t"].recipe.mix
    rows = entry_rows(corpus, type(mix)({"a": 0.5, "b": 0.5}, train_tokens=10), None)
    assert [(row.published, row.complete, row.wanted) for row in rows] == [(0, False, 5), (0, False, 5)]


def test_the_recipes_load_without_anything_heavy() -> None:
    script = (
        "import sys, openseek.recipes; print([m for m in ('numpy', 'pyarrow', 'torch', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
