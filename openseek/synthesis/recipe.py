"""What a recipe is: how a passage becomes a question to a model, and how the answer becomes a document or a refusal."""

import re
from collections.abc import Callable
from dataclasses import dataclass

Message = dict[str, str]


@dataclass(frozen=True)
class Reject:
    """A check that an answer did not pass."""

    rule: str
    """Name of the check, the `rule` of the dropped row."""
    value: float | None = None
    """What was measured."""
    limit: float | None = None
    """What was allowed."""


@dataclass(frozen=True)
class Recipe:
    """One way to make a document from a passage."""

    name: str
    """Its key in RECIPES; documents get the source `synthetic-NAME`."""
    version: int
    """Version of wording and checks. Raise it, and that of the task `synthesize`, with every change of either."""
    lang: str
    """Language of the instruction and of the answers it accepts."""
    messages: Callable[[str], list[Message]]
    """The chat that asks for an answer to a passage."""
    judge: Callable[[str, str, bool], tuple[str, list[Reject]]]
    """(passage, answer, whether it was cut at max_tokens) -> the document's text and the checks it did not pass."""


def passage_of(text: str, limit: int) -> str:
    """The beginning of `text` up to the last paragraph or sentence end within `limit` characters."""
    text = text.strip()
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    for pattern in (r"\n\s*\n", r"[.!?][\"')\]]?\s", r"\s"):
        ends = [m.end() for m in re.finditer(pattern, head)]
        # An early end would throw most of the allowance away; then the next finer kind of end is taken.
        if ends and ends[-1] > limit // 2:
            return head[: ends[-1]].strip()
    return text[:limit]
