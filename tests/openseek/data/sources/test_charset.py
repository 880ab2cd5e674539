"""Pages decode to what they were written in, declared or not, or falsely declared."""

import pytest

from openseek.data.sources.charset import decode

HANS = "<p>我们在这里说的是一个关于中国人和他们的国家的故事，这是为了让大家知道发生了什么。</p>" * 3
HANT = "<p>我們在這裡說的是一個關於中國人和他們的國家的故事，這是為了讓大家知道發生了什麼。</p>" * 3
LATIN = "<p>Déjà vu: les élèves français mangèrent des crêpes à Noël.</p>"


@pytest.mark.parametrize(
    ("text", "codec"),
    [(HANS, "gbk"), (HANS, "utf-8"), (HANT, "big5"), (HANT, "utf-8"), (LATIN, "cp1252"), (HANS, "utf-16")],
)
def test_the_bytes_tell_without_a_declaration(text: str, codec: str) -> None:
    assert decode(text.encode(codec), None) == text


@pytest.mark.parametrize(
    ("text", "codec", "header"),
    [
        (HANS, "gbk", "gb2312"),
        (HANT, "big5", "Big5"),
        (LATIN, "cp1252", "iso-8859-1"),
        (HANS, "gbk", "utf-8"),
        (HANT, "big5", "utf-8"),
        (HANS, "utf-8", "iso-8859-1"),
        (HANS, "utf-8", "no-such-charset"),
        (LATIN.replace("é", "”"), "cp1252", "iso-8859-1"),
    ],
)
def test_a_declaration_is_followed_only_when_it_fits(text: str, codec: str, header: str) -> None:
    assert decode(text.encode(codec), header) == text


def test_the_meta_element_declares() -> None:
    page = '<html><meta charset="shift_jis"><p>これは日本語のページです。漢字とかな。</p>'
    assert decode(page.encode("cp932"), None) == page


def test_a_few_bad_bytes_are_replaced_and_noise_is_refused() -> None:
    data = (HANS * 5).encode()
    assert decode(data[:100] + b"\xff" + data[102:], "utf-8") is not None
    assert decode(bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D, 0xFF]) * 200, None) is None


def test_simplified_read_as_big5_would_be_noticed() -> None:
    """Control: the wrong codec gives another text, so the tests above cannot pass by accident."""
    assert HANS.encode("gbk").decode("big5hkscs", "replace") != HANS
