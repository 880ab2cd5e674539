"""C4's rules: a document that just keeps a limit and one that just breaks it."""

import pytest

from openseek.data.filters.c4 import C4
from openseek.data.transform import apply

FOUR = "One line of prose.\nAnd here is another!\nIs this the third? It has two.\n"
FIVE = FOUR + 'He said: "yes, of course."\n'


def broken(step: C4, batch) -> dict[str, float]:
    _, dropped = apply([step], batch, task="filter")
    return dict(zip(dropped["rule"].to_pylist(), dropped["value"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FIVE, {}),
        (FOUR, {"c4_min_sentences": 4}),
        (FOUR + "This one does not end\nToo short.\nIt trails off...", {"c4_min_sentences": 4}),
        (FOUR + "Please enable JavaScript now.\nWe use cookies on this site.", {"c4_min_sentences": 4}),
        (FOUR + "This holds only without the mark.[1]", {}),
        (FIVE + "The lorem ipsum stands here.", {"c4_lorem_ipsum": 1}),
        (FIVE + "A bracket { in a line.\nAnother { bracket here.", {"c4_curly_bracket": 2}),
        (FIVE + "A bracket { in a title\nlorem ipsum in a title", {}),
        (FIVE + "With javascript a { is no fault.", {}),
    ],
)
def test_rules(documents, text: str, found: dict[str, float]) -> None:
    assert broken(C4(enabled=True), documents([text])) == found


def test_without_terminal_punctuation(documents) -> None:
    text = FOUR + "This one does not end\nA bracket { in a title"
    assert broken(C4(enabled=True, terminal_punctuation=False), documents([text])) == {"c4_curly_bracket": 1}


def test_scope_and_limits(documents) -> None:
    assert broken(C4(enabled=True), documents(["x = {}"], source="code")) == {}
    assert broken(C4(enabled=True), documents(["太短"], lang="zh")) == {}
    assert broken(C4(enabled=True, min_sentences=4), documents([FOUR])) == {}
    assert broken(C4(), documents([FOUR])) == {}, "off unless switched on"
