"""A passage followed by questions and answers about it (after Nemotron-CC's, Su et al., 2024; own wording)."""

import re

from openseek.synthesis import checks
from openseek.synthesis.recipe import Message, Recipe, Reject

_SYSTEM = "You write questions about a text together with their answers. Every answer is found in the text."
_EXAMPLE_TEXT = (
    "Honey bees live in colonies of up to 60,000 workers. "
    "In winter they stay in the hive and live on the honey that they made in summer."
)
_EXAMPLE_ANSWER = (
    "Q: How many workers can live in a colony of honey bees?\nA: Up to 60,000 workers.\n"
    "Q: What do honey bees eat in winter?\nA: They eat the honey that they made in summer."
)
_QUESTION = r"[^\w\n]*\d*[^\w\n]*\b(?:q|question)\b[ *#]*\d*[ *]*[:.]"
_ANSWER = r"[^\w\n]*\d*[^\w\n]*\b(?:a|answer)\b[ *#]*\d*[ *]*[:.]"
_PAIR = re.compile(
    rf"^{_QUESTION}(?P<q>[^\n]+)\n\s*{_ANSWER}(?P<a>.*?)(?=\n{_QUESTION}|\Z)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)


def _ask(passage: str) -> str:
    return f"Text:\n{passage}\n\nWrite up to 4 different questions about this text, each followed by its answer."


def messages(passage: str) -> list[Message]:
    """Ask for question-answer pairs about `passage`; one worked example fixes their form."""
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _ask(_EXAMPLE_TEXT)},
        {"role": "assistant", "content": _EXAMPLE_ANSWER},
        {"role": "user", "content": _ask(passage)},
    ]


def pairs_of(answer: str) -> list[tuple[str, str]]:
    """The question-answer pairs of an answer, each question once."""
    found: dict[str, tuple[str, str]] = {}
    for match in _PAIR.finditer(answer):
        question, reply = (" ".join(match[g].replace("**", "").split()) for g in ("q", "a"))
        if question.endswith("?") and checks.words(reply):
            found.setdefault(" ".join(checks.words(question)), (question, reply))
    return list(found.values())


def judge(passage: str, answer: str, truncated: bool) -> tuple[str, list[Reject]]:
    """The passage followed by its questions and answers, and the checks that they did not pass.

    Of an answer cut at max_tokens the last, unfinished pair is left out.
    """
    pairs = pairs_of(answer)
    pairs = pairs[:-1] if truncated else pairs
    if not pairs:
        return "", [Reject("truncated" if truncated else "no_question", 0, 1)]
    block = "\n\n".join(f"Question: {q}\nAnswer: {a}" for q, a in pairs)
    said = "\n".join(f"{q} {a}" for q, a in pairs)
    return f"{passage}\n\n{block}", checks.failed(
        checks.too_short(said, least=8),
        checks.wrong_language(said, RECIPE.lang),
        checks.talks_about_itself(said),
        checks.repetition(said, most=0.35),
        checks.invented_number(passage, said),
        checks.off_topic(passage, said, least=0.5),
    )


RECIPE = Recipe(name="diverse_qa", version=1, lang="en", messages=messages, judge=judge)
