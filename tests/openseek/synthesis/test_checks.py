"""Each check refuses what it is for and lets ordinary text pass."""

import pytest

from openseek.synthesis import checks
from openseek.synthesis.completion import Completion
from openseek.synthesis.recipes import RECIPES

PASSAGE = (
    "The lighthouse on the island of Fastnet was finished in 1904 after eight years of work. Its granite blocks were "
    "cut in Cornwall, numbered, and shipped to the rock, where workers fitted them together without mortar. The light "
    "stands 49 metres above the sea and can be seen from 27 nautical miles away on a clear night."
)
REWRITE = (
    "After eight years of construction, Fastnet's island lighthouse was completed in 1904. Workers on the rock "
    "assembled numbered granite blocks from Cornwall and used no mortar. From 49 metres above the water, its light is "
    "visible at 27 nautical miles."
)
PAIRS = (
    "Q: When was the lighthouse finished?\nA: It was finished in 1904.\n\n"
    "Q: Where were the granite blocks cut?\nA: The blocks were cut in Cornwall."
)


def rules(recipe: str, answer: str, finish_reason: str = "stop") -> list[str]:
    return [r.rule for r in checks.verdict(RECIPES[recipe], PASSAGE, Completion(answer, finish_reason, 1, 1))[1]]


@pytest.mark.parametrize(
    "answer, rule",
    [
        ("", "empty_answer"),
        (" \n", "empty_answer"),
        ("A lighthouse near Fastnet.", "too_short"),
        (REWRITE + " " + " ".join(f"Granite block {w} followed." for w in "abcdefghijklmnopqrst" * 2), "too_long"),
        (PASSAGE, "copies_source"),
        ("Granite blocks from Cornwall. " * 8, "repetition"),
        (REWRITE + " It cost 70,000 pounds.", "invented_number"),
        (REWRITE + " This passage is about a lighthouse.", "talks_about_itself"),
        (
            "As an AI, I have no opinion about lighthouse work, granite blocks or the island of Fastnet.",
            "talks_about_itself",
        ),
        (
            "El faro de la isla se terminó tras ocho años de trabajo, y sus bloques de granito vienen de Cornualles.",
            "wrong_language",
        ),
        (
            "Many people enjoy cooking dinner together because fresh vegetables bring happiness to us every evening.",
            "off_topic",
        ),
    ],
)
def test_a_bad_rewrite_is_refused_with_the_reason(answer: str, rule: str) -> None:
    assert rules("wiki_paraphrase", answer)[0] == rule


def test_a_good_rewrite_passes_without_its_opening() -> None:
    for answer in (
        REWRITE,
        f"Here is a rewrite of it:\n\n{REWRITE}",
        f'"{REWRITE}"',
        f"**Rewritten article:** {REWRITE}",
    ):
        text, rejects = checks.verdict(RECIPES["wiki_paraphrase"], PASSAGE, Completion(answer, "stop", 1, 1))
        assert not rejects
        assert text == REWRITE


@pytest.mark.parametrize("recipe, answer", [("wiki_paraphrase", REWRITE), ("diverse_qa", "Q: When was it fin")])
def test_a_cut_answer_is_refused(recipe: str, answer: str) -> None:
    assert rules(recipe, answer, "length")[0] == "truncated"
    assert rules(recipe, "", "length") == ["truncated"]


def test_a_filtered_answer_is_refused() -> None:
    assert rules("diverse_qa", PAIRS, "content_filter") == ["content_filter"]


@pytest.mark.parametrize(
    "answer, rule",
    [
        (REWRITE, "no_question"),
        ("Q: The lighthouse was finished.\nA: Yes, it was.", "no_question"),
        ("Q: When was the lighthouse finished?\nA:", "no_question"),
        ("Q: When was the lighthouse finished?\nA: In 1911, it was finished by the workers.", "invented_number"),
        ("Q: Who likes cooking dinner?\nA: Families everywhere enjoy preparing vegetables.", "off_topic"),
        ("Q: Who was finished?\nA: " + "The lighthouse was finished. " * 6, "repetition"),
    ],
)
def test_bad_questions_are_refused_with_the_reason(answer: str, rule: str) -> None:
    assert rules("diverse_qa", answer)[0] == rule


@pytest.mark.parametrize(
    "form",
    [
        PAIRS,
        PAIRS.replace("Q:", "**Question:**").replace("A:", "**Answer:**"),
        PAIRS.replace("Q:", "1. Question 1:").replace("A:", "Answer:"),
        PAIRS + "\n\nQ: When was the lighthouse finished?\nA: It was finished in 1904.",
    ],
)
def test_questions_are_read_in_every_usual_form(form: str) -> None:
    text, rejects = checks.verdict(RECIPES["diverse_qa"], PASSAGE, Completion(form, "stop", 1, 1))
    assert not rejects
    assert text == (
        f"{PASSAGE}\n\nQuestion: When was the lighthouse finished?\nAnswer: It was finished in 1904.\n\n"
        "Question: Where were the granite blocks cut?\nAnswer: The blocks were cut in Cornwall."
    )


def test_the_unfinished_pair_of_a_cut_answer_is_left_out() -> None:
    cut = PAIRS + "\n\nQ: How high does the light stand?\nA: It stands 49"
    text, rejects = checks.verdict(RECIPES["diverse_qa"], PASSAGE, Completion(cut, "length", 1, 1))
    assert not rejects
    assert text.endswith("cut in Cornwall.")
