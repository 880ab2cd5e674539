"""Boilerplate lines go; sentences about them, code and other lines stay."""

import random
import re

import pytest

from openseek.data.clean import boilerplate
from openseek.data.clean.boilerplate import BLANK_LINES, LINE, LITERALS, BoilerplateLines

LONG = "The regulator found that the site did not ask before it began to use cookies, " + "and said so at length " * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A story.\nWe use cookies to improve your visit\nIt ends.", "A story.\nIt ends."),
        ("Text\nShare on Facebook\n© 2024 All rights reserved", "Text"),
        ("正文第一段。\n上一篇：旧闻\n版权所有 未经许可不得转载\n正文第二段。", "正文第一段。\n正文第二段。"),
        ("a\n\n\n \n\nb", "a\n\nb"),
        (LONG, LONG),
        ("Cookies are baked.\nHe took the previous one.", "Cookies are baked.\nHe took the previous one."),
    ],
)
def test_lines(documents, text: str, expected: str) -> None:
    assert BoilerplateLines()(documents([text]))["text"].to_pylist() == [expected]


def by_expression(text: str) -> str:
    """What the cleaner means, on one Python string."""
    lines = [line for line in text.split("\n") if len(line) > 120 or not LINE.search(line)]
    return BLANK_LINES.sub("\n\n", "\n".join(lines))


def made_up(count: int) -> list[str]:
    """Texts of phrases, near phrases and blanks in all orders, with letters that a case-blind expression folds."""
    draw = random.Random(5)
    parts = [
        *LITERALS, "We use cookies", "use of COOKIES", "u\u017fe cookies", "Coo\u212aies use", "coo\u212aie policy",
        "share on X", "click here to subscribe", "cookie policy", "\u0130", "javascr\u0131pt is", "java script",
        "\n", "\n", "\n\n", " ", "\t", "\n \n\t\n", "x" * 60, "中文" * 30, "👩‍👩‍👧", "שלום", "e\u0301", "a",
    ]  # fmt: skip
    return ["".join(draw.choice(parts) for _ in range(draw.randint(0, 12))) for _ in range(count)]


def test_the_scan_finds_what_the_expression_finds(documents, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*made_up(3000), "", "\n", "\n\n\n\n", " \n \n \n", "\n" * 1000 + "end", "cookie policy"]
    expected = [by_expression(text) for text in texts]
    assert BoilerplateLines()(documents(texts))["text"].to_pylist() == expected
    assert BoilerplateLines()(documents(["x", *texts]).slice(1))["text"].to_pylist() == expected
    # A literal left out must show.
    boilerplate._literals.cache_clear()
    monkeypatch.setattr(boilerplate, "LITERALS", tuple(x for x in LITERALS if x != "cookie"))
    assert BoilerplateLines()(documents(texts))["text"].to_pylist() != expected
    boilerplate._literals.cache_clear()


def test_no_other_letters_fold_to_those_of_the_phrases() -> None:
    """The scan knows four letters beyond ASCII; a newer `re` may know more."""
    letters = re.compile("[a-z]", re.IGNORECASE)
    others = "".join(chr(c) for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000 and letters.match(chr(c)))
    assert others == "\u0130\u0131\u017f\u212a"


def test_code_is_left_alone(documents) -> None:
    batch = documents(["print('All rights reserved')\n\n\n\nx = 1"], source="code")
    assert BoilerplateLines()(batch).equals(batch)
