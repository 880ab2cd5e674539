"""Documents, chats and problems from columns; wrong forms are refused with the reason."""

from typing import Any

import pytest

from openseek.data.sources import Source
from openseek.data.sources.record import Bad, Row, Skipped
from openseek.data.sources.rows import to_item

CHAT = Source("s", "p", kind="chat")
PROBLEM = Source("s", "p", kind="problem")


def row(record: Any, source: Source) -> Row:
    item = to_item(0, record, source)
    assert isinstance(item, Row), item
    return item


def test_columns_are_named_by_the_source_and_the_rest_goes_to_meta() -> None:
    source = Source("s", "p", text_column="body", url_column="link", licence_column="licence", lang="en")
    item = row({"body": "hello", "link": "u", "date": "2024", "licence": "by", "stars": 3}, source)
    assert (item.text, item.url, item.date, item.licence, item.lang) == ("hello", "u", "2024", "by", "en")
    assert item.meta == {"stars": 3}


def test_an_unknown_licence_is_no_class_and_stays_in_meta() -> None:
    item = row({"text": "hello", "licence": "WTFPL"}, Source("s", "p", licence_column="licence"))
    assert (item.licence, item.meta) == ("", {"licence": "WTFPL"})


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]},
        {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
        {"instruction": "2+2?", "input": "", "output": "4"},
        {"instruction": "2+2?", "output": "4"},
    ],
)
def test_all_forms_of_chat_give_the_same_messages(record: dict) -> None:
    item = row(record, CHAT)
    assert item.meta == {"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}
    assert item.text == "2+2?\n\n4"


def test_the_input_of_an_instruction_follows_it() -> None:
    item = row({"instruction": "Translate.", "input": "chat", "output": "cat"}, CHAT)
    assert item.meta["messages"][0]["content"] == "Translate.\n\nchat"


def test_the_answer_is_what_follows_the_marker() -> None:
    source = Source("s", "p", kind="problem", answer_marker="####")
    item = row({"question": "2+2?", "answer": "two and two\n#### 4"}, source)
    assert item.meta == {"answer": "4", "reward": "math_answer", "solution": "two and two"}
    assert row({"question": "2+2?", "answer": 4}, PROBLEM).meta["answer"] == "4"


@pytest.mark.parametrize(
    ("record", "source", "reason"),
    [
        ([1], CHAT, "list"),
        ({"messages": []}, CHAT, "empty"),
        ({"messages": [{"role": "user", "content": "a"}]}, CHAT, "no assistant turn"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, CHAT, "no user turn"),
        ({"messages": [{"role": "robot", "content": "a"}]}, CHAT, "'robot'"),
        ({"messages": [{"role": "user", "content": None}]}, CHAT, "NoneType"),
        ({"messages": ["hello"]}, CHAT, "role None"),
        ({"instruction": "a", "output": None}, CHAT, "NoneType"),
        ({"question": "a"}, PROBLEM, "'answer' is missing"),
        ({"question": "a", "answer": " "}, PROBLEM, "no answer"),
        ({"question": "a", "answer": "4"}, Source("s", "p", kind="problem", answer_marker="####"), "'####'"),
        ({"text": None}, Source("s", "p"), "NoneType"),
        ({"text": b"\xd6\xd0"}, Source("s", "p"), "UTF-8"),
    ],
)
def test_wrong_forms_are_bad_records(record: Any, source: Source, reason: str) -> None:
    item = to_item(7, record, source, b"head")
    assert isinstance(item, Bad)
    assert (item.position, item.head) == (7, b"head")
    assert reason in item.error


def test_a_record_without_text_is_dropped() -> None:
    assert to_item(0, {"text": " \n"}, Source("s", "p")) == Skipped(0, "no_text", 2, 1)
