"""Conversations in ChatML: as text, as tokens with a loss mask, and as the prompt of the next answer.

    <|im_start|>role
    content<|im_end|>
    <|im_start|>assistant
    ...

Roles, contents and line ends are tokenised apart, and marks inside a content stay ordinary text. So the tokens of a
conversation's beginning are the beginning of its tokens, and what a model was trained to continue is what it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

START, END = "<|im_start|>", "<|im_end|>"
ROLES = ("system", "user", "assistant", "tool")
# The same rendering in the Jinja form that Hugging Face tokenizers carry.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def check(messages: Any, row: str = "") -> list[dict[str, str]]:
    """The messages, if they are a conversation; ValueError names row, turn and role otherwise."""
    place = f"row {row}: " if row else ""
    if not isinstance(messages, list | tuple) or not messages:
        raise ValueError(f"{place}messages is {type(messages).__name__} without turns: give [{{role, content}}, ...]")
    for number, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise ValueError(f"{place}turn {number} has the role {role!r}: use one of {', '.join(ROLES)}")
        if not isinstance(message.get("content"), str):
            kind = type(message.get("content")).__name__
            raise ValueError(f"{place}turn {number} of role {role} has a content of type {kind}: give text")
        if role == "system" and number:
            raise ValueError(f"{place}turn {number} has the role system: only the first turn may")
    return list(messages)


def render(messages: Sequence[dict[str, str]], add_generation_prompt: bool = False) -> str:
    """The conversation as text, with the head of the next answer where asked."""
    turns = [f"{START}{m['role']}\n{m['content']}{END}\n" for m in check(messages)]
    return "".join(turns) + (f"{START}assistant\n" if add_generation_prompt else "")


def encode(tokenizer: Tokenizer, messages: Sequence[dict[str, str]], row: str = "") -> tuple[list[int], list[bool]]:
    """(token ids, loss mask) of a conversation; the loss is on each assistant's content and the mark that ends it.

    ValueError names `row`, turn and role where the conversation is none.
    """
    ids: list[int] = []
    learned: list[bool] = []
    marks = _marks(tokenizer)
    for message in check(messages, row):
        assistant = message["role"] == "assistant"
        head = _head(tokenizer, marks, message["role"])
        body = [*_plain(tokenizer, message["content"]), marks[1]]
        tail = _plain(tokenizer, "\n")
        ids += [*head, *body, *tail]
        learned += [False] * len(head) + [assistant] * len(body) + [False] * len(tail)
    return ids, learned


def prompt_ids(tokenizer: Tokenizer, messages: Sequence[dict[str, str]], row: str = "") -> list[int]:
    """Token ids that ask for the next answer: the conversation, then the head of an assistant's turn."""
    return [*encode(tokenizer, messages, row)[0], *_head(tokenizer, _marks(tokenizer), "assistant")]


def stop_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids that end an answer: the end of a turn and the end of a document. ValueError when the vocabulary lacks one."""
    return frozenset(_id(tokenizer, token) for token in (END, "<|endoftext|>"))


def eod_id(tokenizer: Tokenizer) -> int:
    """Id of the end-of-document token; ValueError when the vocabulary lacks it."""
    return _id(tokenizer, "<|endoftext|>")


def _id(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"the tokenizer has no token {token!r}: use one that `openseek tokenize` trained")
    return number


def _marks(tokenizer: Tokenizer) -> tuple[int, int]:
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    if start is None or end is None:
        raise ValueError(f"the tokenizer has no {START} and {END}: take the tokenizer.json of a `tokenize` artifact")
    return start, end


def _head(tokenizer: Tokenizer, marks: tuple[int, int], role: str) -> list[int]:
    return [marks[0], *_plain(tokenizer, f"{role}\n")]


def _plain(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokens of text in which no special token is recognised, whatever it spells."""
    before = tokenizer.encode_special_tokens
    tokenizer.encode_special_tokens = True
    try:
        return tokenizer.encode(text, add_special_tokens=False).ids
    finally:
        tokenizer.encode_special_tokens = before
