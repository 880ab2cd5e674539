"""Rewrite a passage as encyclopaedic prose (after the paraphrase step of Nemotron-CC, Su et al., 2024; own wording)."""

import re

from openseek.synthesis import checks
from openseek.synthesis.recipe import Message, Recipe, Reject

_SYSTEM = "You rewrite texts as short, clear encyclopedia articles. You keep every fact and add nothing."
_OPENING = re.compile(
    r"\A(?:sure|certainly|of course)?[,!. ]*here(?:'s| is)[^\n]{0,80}:\s*"
    r"|\A\**(?:rewritten|article|answer)[^\n:]{0,40}:\**\s*",
    re.I,
)


def messages(passage: str) -> list[Message]:
    """Ask for a rewrite of `passage`."""
    ask = f"Text:\n{passage}\n\nRewrite this text in different words, in the style of Wikipedia. Write one paragraph."
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": ask}]


def judge(passage: str, answer: str, truncated: bool) -> tuple[str, list[Reject]]:
    """The rewrite without an opening phrase or quotes around it, and the checks that it did not pass."""
    text = _OPENING.sub("", answer.strip()).strip().strip('"“”').strip()
    source_words = len(checks.words(passage))
    return text, checks.failed(
        Reject("truncated") if truncated else None,
        checks.too_short(text, least=max(15, source_words // 5)),
        checks.too_long(text, most=source_words * 3 // 2 + 20),
        checks.wrong_language(text, RECIPE.lang),
        checks.talks_about_itself(text),
        checks.repetition(text),
        checks.copies_source(passage, text),
        checks.invented_number(passage, text),
        checks.off_topic(passage, text, least=0.35),
    )


RECIPE = Recipe(name="wiki_paraphrase", version=1, lang="en", messages=messages, judge=judge)
