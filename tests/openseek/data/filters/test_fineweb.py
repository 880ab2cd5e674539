"""FineWeb's rules: a document that just keeps a limit and one that just breaks it."""

import pytest

from openseek.data.filters.fineweb import FineWeb
from openseek.data.transform import apply

LINE = "this line is of forty characters in all{}"
LINES = [LINE.format(c) for c in "abcdefghijklmnopqrstuvwxyz"]


def broken(step: FineWeb, batch) -> dict[str, float]:
    _, dropped = apply([step], batch, task="filter")
    return dict(zip(dropped["rule"].to_pylist(), dropped["value"].to_pylist(), strict=True))


def ended(count: int, lines: list[str]) -> str:
    return "\n".join([line + "." for line in lines[:count]] + lines[count:])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ended(3, LINES[:25]), {}),
        (ended(2, LINES[:25]), {"fineweb_punctuated_lines": 2 / 25}),
        (ended(2, LINES[:25]).replace(".", ". ", 1), {"fineweb_punctuated_lines": 1 / 25}),
        (ended(3, LINES[:6]) + "\n" + "\n".join(f"short line {i} of a few words" for i in range(12)), {}),
        (
            ended(3, LINES[:6]) + "\n" + "\n".join(f"short line {i} of a few words" for i in range(13)),
            {"fineweb_short_lines": 13 / 19},
        ),
        ("\n".join([LINES[0] + "."] * 2 + LINES[1:9]), {"fineweb_duplicate_characters": 41 / 402}),
        (ended(3, LINES[:4]).replace("\n", "\n" * 3), {}),
        (ended(3, LINES[:4]).replace("\n", "\n" * 4), {"fineweb_newlines_per_word": 12 / 35}),
    ],
)
def test_rules(documents, text: str, found: dict[str, float]) -> None:
    assert broken(FineWeb(enabled=True), documents([text])) == pytest.approx(found)


def test_scope_and_limits(documents) -> None:
    text = ended(2, LINES[:25])
    assert broken(FineWeb(enabled=True), documents([text], source="code")) == {}
    assert broken(FineWeb(enabled=True), documents([text], lang="zh")) == {}
    assert broken(FineWeb(enabled=True, min_punctuated_lines=0.08), documents([text])) == {}
    assert broken(FineWeb(), documents([text])) == {}, "off unless switched on"
