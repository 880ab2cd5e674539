"""One raw record (a dict of columns) to one item: plain documents, chats, problems."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from openseek.data.sources.record import Bad, Item, Row, Rows, Skipped, metas_json

if TYPE_CHECKING:
    from openseek.data.sources import Source

LICENCES = ("by", "by-sa", "nc", "nd", "permissive", "terms", "public", "unknown")
ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "observation": "tool",
}


class _Refused(ValueError):
    """Why a record is no row; `column` when that column is missing."""

    def __init__(self, message: str, column: str = "") -> None:
        super().__init__(message)
        self.column = column


def to_item(position: int, record: Any, source: "Source", head: bytes = b"") -> Item:
    """A Row, or Skipped for a record without text, or Bad (with `head`, its first bytes) for one of the wrong form."""
    try:
        if not isinstance(record, dict):
            raise _Refused(f"the record is a {type(record).__name__}, not an object with columns")
        rest = dict(record)
        text, meta = _FORMS[source.kind](rest, source)
        plain = {name: _plain(rest, name, column) for name, column in _plain_columns(source).items()}
    except _Refused as refused:
        return Bad(position, str(refused), head, refused.column)
    if not text.strip():
        return Skipped(position, "no_text", len(text), 1)
    return Row(position, text, lang=source.lang, meta={**rest, **meta}, **plain)


def plain_columns(records: list[dict[str, Any]], source: "Source") -> dict[str, list[str]]:
    """The columns of `Rows` besides position and text, from sound records of documents without their text."""
    columns: dict[str, list[str]] = {"lang": [source.lang] * len(records)}
    for name, column in _plain_columns(source).items():
        if name == "licence":
            columns[name] = [_plain(record, name, column) for record in records]
        else:
            values = [record.pop(column, None) for record in records]
            columns[name] = [v if type(v) is str else "" if v is None else str(v) for v in values]
    return {**columns, "meta": metas_json(records)}


def blank_rows(rows: Rows) -> Iterator[tuple[int, int, Item]]:
    """(index, 1, what it becomes) of each row whose text is nothing but space."""
    import numpy as np

    from openseek.data.sources.json_kernels import may_be_blank
    from openseek.data.words import string_buffers

    found = np.empty(len(rows), np.bool_)
    may_be_blank(*string_buffers(rows.text), found)
    for index in np.flatnonzero(found).tolist():
        text = rows.text[index].as_py()
        if not text.strip():
            yield index, 1, Skipped(rows.positions[index], "no_text", len(text), 1)


def interleave(rows: Rows, *others: Iterable[tuple[int, int, Item]]) -> Iterator[Item]:
    """The rows with other items between them: (row that it stands before, rows that it stands for: 0 or 1, item)."""
    begin = 0
    for index, instead, item in sorted((o for group in others for o in group), key=lambda o: o[:2]):
        if index > begin:
            yield rows.slice(begin, index)
        yield item
        begin = index + instead
    if begin < len(rows):
        yield rows.slice(begin, len(rows)) if begin else rows


def text_column(source: "Source") -> str:
    """The column that a document's text, or the id under which it is fetched, stands in."""
    return source.content.column or source.text_column


def needed_columns(source: "Source") -> tuple[tuple[str, ...], ...]:
    """Alternatives of columns that a table must have for this source: one whole tuple of them must be there."""
    if source.kind == "chat":
        return (
            (source.messages_column,),
            (source.conversations_column,),
            (source.instruction_column, source.output_column),
        )
    if source.kind == "problem":
        return ((source.question_column, source.answer_column),)
    return ((text_column(source),),)


def _plain_columns(source: "Source") -> dict[str, str]:
    columns = {"url": source.url_column, "date": source.date_column, "licence": source.licence_column}
    return {name: column for name, column in columns.items() if column}


def _plain(record: dict[str, Any], name: str, column: str) -> str:
    """Take a column as text; what is no licence class stays among the rest, as the source wrote it."""
    if name == "licence" and record.get(column) not in LICENCES:
        return ""
    value = record.pop(column, None)
    return "" if value is None else str(value)


def _text(record: dict[str, Any], column: str) -> str:
    """Take a column that must hold text out of the record."""
    if column not in record:
        shown = ", ".join(sorted(map(str, record))) or "none"
        raise _Refused(f"the column {column!r} is missing (columns: {shown})", column)
    value = record.pop(column)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _Refused(f"the column {column!r} is no UTF-8 ({error})") from error
    if not isinstance(value, str):
        raise _Refused(f"the column {column!r} holds {type(value).__name__}, not text")
    return value


def _document(record: dict[str, Any], source: "Source") -> tuple[str, dict[str, Any]]:
    return _text(record, text_column(source)), {}


def _problem(record: dict[str, Any], source: "Source") -> tuple[str, dict[str, Any]]:
    """Text is the problem; meta gets `answer`: all of the answer column, or what follows its last answer_marker."""
    question = _text(record, source.question_column)
    value = record.get(source.answer_column)
    if isinstance(value, int | float) and not isinstance(value, bool):
        record[source.answer_column] = str(value)
    answer = _text(record, source.answer_column)
    meta = {}
    if source.answer_marker:
        solution, found, answer = answer.rpartition(source.answer_marker)
        if not found:
            raise _Refused(f"the column {source.answer_column!r} has no {source.answer_marker!r} before its answer")
        meta["solution"] = solution.strip()
    if not answer.strip():
        raise _Refused(f"the column {source.answer_column!r} holds no answer")
    return question, {**meta, "answer": answer.strip(), "reward": source.reward}


def _chat(record: dict[str, Any], source: "Source") -> tuple[str, dict[str, Any]]:
    """Text is all turns, a blank line between; meta gets `messages`: [{role, content}] in ChatML's roles."""
    if source.messages_column in record:
        messages = _turns(record.pop(source.messages_column), ("role", "content"))
    elif source.conversations_column in record:
        messages = _turns(record.pop(source.conversations_column), ("from", "value"))
    else:
        instruction = _text(record, source.instruction_column)
        given = record.pop(source.input_column, None) or ""
        prompt = f"{instruction}\n\n{given}" if str(given).strip() else instruction
        answer = _text(record, source.output_column)
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    if not any(m["role"] == "assistant" and m["content"].strip() for m in messages):
        raise _Refused("the conversation has no assistant turn with text: nothing to learn from")
    if not any(m["role"] == "user" and m["content"].strip() for m in messages):
        raise _Refused("the conversation has no user turn with text")
    return "\n\n".join(m["content"] for m in messages), {"messages": messages}


def _turns(value: Any, keys: tuple[str, str]) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise _Refused("the conversation is no list of turns, or an empty one")
    messages = []
    for turn in value:
        role, content = (turn.get(keys[0]), turn.get(keys[1])) if isinstance(turn, dict) else (None, None)
        if role not in ROLES:
            raise _Refused(f"a turn has the role {role!r}; known: {', '.join(ROLES)}")
        if not isinstance(content, str):
            raise _Refused(f"a turn of the {role} holds {type(content).__name__}, not text")
        messages.append({"role": ROLES[role], "content": content})
    return messages


_FORMS = {"document": _document, "chat": _chat, "problem": _problem}
