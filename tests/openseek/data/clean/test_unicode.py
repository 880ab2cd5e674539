"""Repairs, and what must not be repaired."""

import random
import sys
import unicodedata

import numpy as np
import pytest

from openseek.data import unicode_kernels
from openseek.data.clean import unicode
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
def test_repairs(documents, text: str, expected: str) -> None:
    assert NormalizeUnicode()(documents([text, expected]))["text"].to_pylist() == [expected, expected]


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
def test_sound_text_is_left_as_it_is(documents, text: str) -> None:
    batch = documents([text])
    assert NormalizeUnicode()(batch).equals(batch)


def made_up(count: int) -> list[str]:
    """Texts of every kind of damage beside sound characters of many scripts."""
    draw = random.Random(7)
    odd = [
        "\r", "\r\n", "\n", "\x85", "\u2028", "\x00", "\x1b", "\xad", "\u200b", "\ufeff", "\u202e", "\xa0", "\u2003",
        "Ａ", "９", "ｚ", "Ã", "Â", "â", "€", "„", "™", "©", "\x80", "’", "œ", "e", "\u0301", "\u0323", "가", "\u1100",
        "\u1161", "\u11a8", "\u212b", "\uf900", "\U0002f800", "\u2000", "क", "\u093c", "א", "\u05b0", "👩", "\u200d",
        "中", "x", " ",
    ]  # fmt: skip
    texts = ["".join(draw.choice(odd) for _ in range(draw.randint(0, 8))) for _ in range(count)]
    points = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    return texts + ["a" + "".join(chr(draw.choice(points)) for _ in range(3)) for _ in range(count)]


def test_the_scan_gives_what_repair_gives(documents, monkeypatch: pytest.MonkeyPatch) -> None:
    singles = [f"a{chr(c)}" for c in range(0x30000) if not 0xD800 <= c < 0xE000]
    texts = [*made_up(4000), *singles[::7], "", "\n\n"]
    expected = [repair(text) for text in texts]
    assert NormalizeUnicode()(documents(texts))["text"].to_pylist() == expected
    assert NormalizeUnicode()(documents(["\xa0", *texts]).slice(1))["text"].to_pylist() == expected
    # Without the combining marks in the table, decomposed letters stay.
    flags, replacements = unicode.tables()
    flags = np.where(flags & unicode_kernels.COMPOSE, flags ^ unicode_kernels.COMPOSE, flags)
    monkeypatch.setattr(unicode, "tables", lambda: (flags, replacements))
    assert NormalizeUnicode()(documents(texts))["text"].to_pylist() != expected


def test_every_text_without_a_flagged_character_is_composed() -> None:
    flags = unicode_kernels.composition()
    draw = random.Random(3)
    points = [c for c in range(len(flags)) if not flags[c] and not 0xD800 <= c < 0xE000]
    text = "".join(chr(draw.choice(points)) for _ in range(200_000))
    assert unicodedata.is_normalized("NFC", text)


def test_scope(documents) -> None:
    batch = documents(["a\r\nb"], source="code")
    assert NormalizeUnicode()(batch)["text"].to_pylist() == ["a\nb"]
    assert NormalizeUnicode(except_sources=("code",))(batch).equals(batch)
