"""The passage shown to the model; and that no wording changes without a new version."""

import hashlib
import json

import pytest

from openseek.synthesis.recipe import passage_of
from openseek.synthesis.recipes import RECIPES
from tasks.synthesize import synthesize

SENTENCES = " ".join(f"Sentence number {i} ends here." for i in range(20))
WORDING = {
    # recipe: (version of the recipe, digest of the chat it makes of "PASSAGE")
    "wiki_paraphrase": (1, "a82f9e8b50e8b529"),
    "diverse_qa": (1, "7b7ad29f9aea60a3"),
}


@pytest.mark.parametrize("limit", [40, 100, 333])
def test_a_passage_ends_with_a_sentence(limit: int) -> None:
    passage = passage_of(SENTENCES, limit)
    assert limit // 2 < len(passage) <= limit
    assert SENTENCES.startswith(passage)
    assert passage.endswith(".")


def test_a_passage_ends_with_a_paragraph_where_one_fits() -> None:
    text = f"{'First. ' * 10}\n\n{'Second. ' * 10}"
    assert passage_of(text, 100) == ("First. " * 10).strip()
    assert passage_of(text, 1000) == text.strip()


@pytest.mark.parametrize("text", ["x" * 500, "\u4e2d" * 500])
def test_a_text_without_any_end_is_cut(text: str) -> None:
    assert passage_of(text, 100) == text[:100]


def test_words_are_not_cut() -> None:
    assert passage_of("word " * 100, 52) == ("word " * 10).strip()


@pytest.mark.parametrize("name", RECIPES)
def test_wording_is_that_of_its_version(name: str) -> None:
    """When this fails: raise the recipe's version and that of the task, then write the new digest here."""
    recipe = RECIPES[name]
    chat = json.dumps(recipe.messages("PASSAGE"), sort_keys=True)
    assert (recipe.version, hashlib.sha256(chat.encode()).hexdigest()[:16]) == WORDING[name]
    assert synthesize.version >= max(r.version for r in RECIPES.values())
    assert recipe.name == name
