"""Repairs, and what must not be repaired."""

import pytest

from openseek.data.clean.unicode import NormalizeUnicode, repair


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("soft\xadhyphen zero\u200bwidth \ufeffmark\x00\x1b", "softhyphen zerowidth mark"),
        ("non\xa0breaking\u3000ideographic", "non breaking\u3000ideographic"),
        ("e\u0301te\u0301", "été"),
        ("ＡＢＣ１２３，中文。", "ABC123，中文。"),
        ("itâ€™s â€œquotedâ€\x9d â€” ok", "it’s “quoted” — ok"),
        ("dÃ©jÃ\xa0 vu, 5Â°C", "déjà vu, 5°C"),
        ("tab\tstays\n", "tab\tstays\n"),
    ],
)
def test_repairs(text: str, expected: str) -> None:
    assert repair(text) == expected
    assert repair(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "plain ascii\n",
        "été naïve Ångström",
        "SÃO PAULO, «à la carte»",
        "x² + y² ≤ ½ ﬁ",
        "中文，日本語、한국어",
        "नमस्ते ‌می‌خواهم",
        "👩‍👩‍👧",
    ],
)
def test_sound_text_is_left_as_it_is(text: str) -> None:
    assert repair(text) == text


def test_scope(documents) -> None:
    batch = documents(["a\r\nb"], source="code")
    assert NormalizeUnicode()(batch)["text"].to_pylist() == ["a\nb"]
    assert NormalizeUnicode(except_sources=("code",))(batch).equals(batch)
