"""Every shape of a 200 response is an answer or a named failure; the key of a call follows its content."""

import json
from dataclasses import replace
from typing import Any

import pytest

from openseek.synthesis.completion import Completion, Failure, Request, read_completion

REQUEST = Request("m", "", (("user", "hello"),), 8, 0.0, 1.0, 0.0, 5)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


def body(**choice: Any) -> bytes:
    return json.dumps(
        {"choices": [{"finish_reason": "stop", "message": {"content": "hi"}} | choice], "usage": USAGE}
    ).encode()


def test_good_answer() -> None:
    assert read_completion(body()) == Completion("hi", "stop", 3, 2)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_null_content_with_a_reason_is_an_empty_answer(reason: str) -> None:
    assert read_completion(body(finish_reason=reason, message={"content": None})) == Completion("", reason, 3, 2)


@pytest.mark.parametrize("usage", [None, [], {"prompt_tokens": "3", "completion_tokens": True}, {"prompt_tokens": -1}])
def test_absent_or_odd_usage_counts_as_none(usage: Any) -> None:
    answer = json.loads(body()) | {"usage": usage}
    assert read_completion(json.dumps(answer).encode()) == Completion("hi", "stop", 0, 0)


@pytest.mark.parametrize(
    "content, error",
    [
        (b"", "invalid_json"),
        (b"<html>", "invalid_json"),
        (body()[:-5], "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[1]", "invalid_response"),
        (b'{"error": {"message": "busy"}}', "empty_choices"),
        (b'{"choices": []}', "empty_choices"),
        (b'{"choices": {"0": 1}}', "empty_choices"),
        (b'{"choices": ["hi"]}', "invalid_response"),
        (body(message=None), "invalid_response"),
        (body(message={"content": None}), "null_content"),
        (body(message={"content": ["hi"]}), "null_content"),
        (body(message={"content": "\ud800"}), "invalid_text"),
    ],
)
def test_garbage_is_a_failure_worth_another_try(content: bytes, error: str) -> None:
    outcome = read_completion(content)
    assert isinstance(outcome, Failure)
    assert outcome.error.startswith(error)
    assert outcome.retry
    assert not outcome.fatal
    assert outcome.body == content[:4096].decode(errors="replace")


def test_tokens_of_a_useless_answer_are_counted() -> None:
    outcome = read_completion(body(message={"content": None}))
    assert isinstance(outcome, Failure)
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (3, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"revision": "2"},
        {"messages": (("user", "hello!"),)},
        {"messages": (("system", "hello"),)},
        {"max_tokens": 9},
        {"temperature": 0.1},
        {"top_p": 0.9},
        {"frequency_penalty": 0.1},
        {"seed": 6},
        {"index": 1},
    ],
)
def test_every_field_is_part_of_the_key(change: dict[str, Any]) -> None:
    assert replace(REQUEST).key() == REQUEST.key()
    assert replace(REQUEST, **change).key() != REQUEST.key()


def test_payload_holds_what_the_endpoint_needs_and_no_more() -> None:
    assert replace(REQUEST, revision="2", index=1).payload() == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 8,
        "temperature": 0.0,
        "top_p": 1.0,
        "frequency_penalty": 0.0,
        "seed": 5,
    }
