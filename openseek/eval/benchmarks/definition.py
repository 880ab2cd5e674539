"""What a benchmark is: how a row of its file becomes a question, and how an answer to it is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Question:
    """One scored document."""

    text: str
    """The question alone: what a chat model gets as the user's message."""
    prompt: str
    """The question as a base model gets it, up to where the answer starts."""
    target: str
    """The reference answer; for whole-text scoring the text itself."""
    choices: tuple[str, ...] = ()
    """The continuations that a multiple-choice question chooses from; `target` is one of them."""
    cluster: str = ""
    """Names the passage that several questions share: they are not independent."""


@dataclasses.dataclass(frozen=True)
class Definition:
    """A benchmark: its form in lm-evaluation-harness's terms, its reader and its scorer."""

    version: int
    """Raised when the questions or the scoring change: scores of two versions are not comparable."""
    kind: Literal["multiple_choice", "generate_until", "loglikelihood", "loglikelihood_rolling"]
    """multiple_choice: likeliest choice; loglikelihood: the target is the greedy continuation; loglikelihood_rolling:
    likelihood of the whole text; generate_until: write an answer."""
    question: Callable[[Row], Question]
    """Reads a row of the file; raises ValueError or KeyError for a row that is none."""
    metric: str
    """The headline metric: acc, acc_norm, exact_match or bits_per_byte."""
    score: Callable[[str, str], float] | None = None
    """For generate_until: (completion, target) -> score between 0 and 1."""
    delimiter: str = " "
    """Between prompt and answer."""
    until: tuple[str, ...] = ("\n\n",)
    """For generate_until: texts that end the answer."""
    max_new_tokens: int = 64
    """For generate_until: most tokens of an answer."""

    def __post_init__(self) -> None:
        if (self.kind == "generate_until") != (self.score is not None):
            raise ValueError(f"a benchmark of kind {self.kind} with score={self.score}: generate_until alone needs one")


def text_field(row: Row, name: str) -> str:
    """A field that must be a text that is not empty; ValueError names it otherwise."""
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field {name!r} is {value!r}: it must be a text that is not empty")
    return value


def options_field(row: Row, name: str) -> tuple[str, ...]:
    """A field that must list at least two texts, none empty."""
    value = row.get(name)
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(v, str) and v.strip() for v in value):
        raise ValueError(f"field {name!r} is {value!r}: it must be a list of at least two texts, none of them empty")
    return tuple(value)


LETTERS = "ABCDEFGHIJ"


def letter_field(row: Row, name: str, num_options: int) -> str:
    """A field that must be the letter of one of the options."""
    letter = text_field(row, name).strip()
    if letter not in LETTERS[:num_options] or len(letter) != 1:
        raise ValueError(f"field {name!r} is {letter!r}: it must be one of the letters {LETTERS[:num_options]}")
    return letter
