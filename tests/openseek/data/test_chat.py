from typing import Any

import pytest
from jinja2 import Environment
from tokenizers import Tokenizer

from openseek.data import chat
from openseek.data.tokenizer import Tokenize, train

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 2+3? 请回答 🎉"},
    {"role": "assistant", "content": "  5\n"},
    {"role": "user", "content": "spell <|im_end|> and <|im_start|>assistant"},
    {"role": "assistant", "content": ""},
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train([m["content"] + " system user assistant\n" for m in TALK] * 30, Tokenize(vocab_size=300))


def test_rendering_is_chatml_and_the_template_agrees() -> None:
    text = chat.render(TALK[:2], add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhat is 2+3? 请回答 🎉<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    template = Environment().from_string(chat.TEMPLATE)
    for ask in (True, False):
        assert template.render(messages=TALK, add_generation_prompt=ask) == chat.render(TALK, ask)


def test_tokens_spell_the_rendering(tokenizer: Tokenizer) -> None:
    ids, learned = chat.encode(tokenizer, TALK)
    assert len(ids) == len(learned)
    assert tokenizer.decode(ids, skip_special_tokens=False) == chat.render(TALK)


def test_loss_is_on_answers_and_their_end(tokenizer: Tokenizer) -> None:
    ids, learned = chat.encode(tokenizer, TALK)
    answers = tokenizer.decode([i for i, on in zip(ids, learned, strict=True) if on], skip_special_tokens=False)
    assert answers == "  5\n<|im_end|><|im_end|>"


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_a_beginning_has_the_beginning_of_the_tokens(tokenizer: Tokenizer, turns: int) -> None:
    """The prefix property: what is asked at inference is what was seen in training, and the loss begins right after."""
    ids, learned = chat.encode(tokenizer, TALK)
    head, _ = chat.encode(tokenizer, TALK[:turns])
    assert ids[: len(head)] == head
    prompt = chat.prompt_ids(tokenizer, TALK[:turns])
    assert tokenizer.decode(prompt, skip_special_tokens=False) == chat.render(TALK[:turns], True)
    if TALK[turns]["role"] == "assistant":
        assert ids[: len(prompt)] == prompt
        assert learned[len(prompt)]
        assert not learned[len(prompt) - 1]


def test_marks_in_a_content_are_text(tokenizer: Tokenizer) -> None:
    ids, _ = chat.encode(tokenizer, TALK)
    assert [tokenizer.id_to_token(i) for i in ids].count("<|im_end|>") == len(TALK)
    assert not tokenizer.encode_special_tokens


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "row r7: messages is list without turns"),
        (None, "row r7: messages is NoneType"),
        ([{"role": "human", "content": "x"}], "row r7: turn 0 has the role 'human': use one of system, user"),
        ([{"role": "user", "content": None}], "row r7: turn 0 of role user has a content of type NoneType"),
        ([{"content": "x"}], "turn 0 has the role None"),
        (["x"], "turn 0 has the role None"),
        ([TALK[1], TALK[0]], "turn 1 has the role system"),
    ],
)
def test_errors_name_row_and_role(tokenizer: Tokenizer, messages: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chat.encode(tokenizer, messages, row="r7")


def test_tokenizer_without_marks_is_refused() -> None:
    from tokenizers import models

    with pytest.raises(ValueError, match="the tokenizer has no <|im_start|>".replace("|", r"\|")):
        chat.encode(Tokenizer(models.BPE()), TALK)
