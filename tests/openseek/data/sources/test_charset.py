"""Pages decode to what they were written in, declared or not, or falsely declared."""

import re
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from openseek.data.sources.charset import decode

HANS = "<p>我们在这里说的是一个关于中国人和他们的国家的故事，这是为了让大家知道发生了什么。</p>" * 3
HANT = "<p>我們在這裡說的是一個關於中國人和他們的國家的故事，這是為了讓大家知道發生了什麼。</p>" * 3
LATIN = "<p>Déjà vu: les élèves français mangèrent des crêpes à Noël.</p>"
GERMAN = "<p>Die Straße führt über die Brücke zum „Schloß“ – schön, daß Sie da sind.</p>"
JAPANESE = "<p>これは日本語のページです。漢字とかなが混ざっていて、文字コードはどこにも書かれていません。</p>"
KOREAN = "<p>이것은 한국어로 쓴 글입니다. 문자 집합이 어디에도 적혀 있지 않지만 읽을 수 있어야 합니다.</p>"
RUSSIAN = "<p>Это страница на русском языке, кодировка которой нигде не указана, но она должна читаться.</p>"
WRITTEN = [
    (HANS, "gbk"),
    (HANS, "gb18030"),
    (HANS, "utf-8"),
    (HANT, "big5"),
    (HANT, "utf-8"),
    (LATIN, "cp1252"),
    (GERMAN, "cp1252"),
    (JAPANESE, "cp932"),
    (JAPANESE, "euc_jp"),
    (JAPANESE, "iso2022_jp"),
    (KOREAN, "euc_kr"),
    (RUSSIAN, "cp1251"),
    (RUSSIAN, "koi8_r"),
    (HANS, "utf-16"),
    ("<html><body class=text>" + RUSSIAN, "utf-16-le"),
    ("<html><body class=text>" + HANT, "utf-16-be"),
    ("<p>plain</p>", "ascii"),
]


def text_of(data: bytes, header: str | None) -> str | None:
    decoded = decode(data, header)
    return None if decoded is None else decoded.text


@pytest.mark.parametrize("declared", [None, "utf-8", "gb2312", "big5", "iso-8859-1", "shift_jis", "no-such-charset"])
@pytest.mark.parametrize(("text", "codec"), WRITTEN)
def test_the_bytes_tell_whatever_is_declared(text: str, codec: str, declared: str | None) -> None:
    assert text_of(text.encode(codec), declared) == text
    if declared and not codec.startswith("utf-16"):
        page = f'<html><meta charset="{declared}">{text}'
        assert text_of(page.encode(codec), None) == page


@pytest.mark.parametrize(
    ("text", "codec", "declared"),
    [
        ("<p>Łódź i Gdańsk są w Polsce, źdźbło trawy.</p>", "iso8859-2", "iso-8859-2"),
        ("<p>Η σελίδα είναι στα ελληνικά.</p>", "iso8859-7", "iso-8859-7"),
        ("<p>הדף כתוב בעברית.</p>", "cp1255", "windows-1255"),
    ],
)
def test_a_declaration_decides_among_sets_that_bytes_alone_do_not_tell(text: str, codec: str, declared: str) -> None:
    assert text_of(text.encode(codec), declared) == text
    assert text_of(text.encode(codec), None) != text


def test_a_few_bad_bytes_are_replaced_and_noise_is_refused() -> None:
    data = (HANS * 5).encode()
    assert decode(data[:100] + b"\xff" + data[102:], "utf-8") is not None
    assert decode(bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D, 0xFF]) * 200, None) is None


def test_a_utf8_page_cut_in_a_character_stays_utf8() -> None:
    data = (HANS * 5).encode()[:-6]
    for declared in (None, "gbk"):
        decoded = decode(data, declared)
        assert decoded is not None
        assert decoded.charset == "utf-8"
        assert decoded.text[:-1] == (HANS * 5)[: len(decoded.text) - 1]


def test_every_page_of_the_chinese_web_sample_comes_out_right(samples: Path) -> None:
    """Each page again in the sets of its script, without any declaration; the control reads it in a wrong one."""
    wrong = 0
    for page in chinese_pages(samples):
        for codec in ("gbk", "utf-8"):
            data = page.encode(codec, "ignore")
            assert text_of(data, None) == data.decode(codec)
        wrong += data.decode("big5hkscs", "replace") != page
    assert wrong > 30


def chinese_pages(samples: Path) -> list[str]:
    """The HTML of the bundled Chinese web pages, without what they declare."""
    pages = []
    with (samples / "zh_web" / "docs.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            if record.http_headers is not None and record.http_content_type == "text/html":
                decoded = decode(record.reader.read(), record.http_charset)
                assert decoded is not None
                page = re.sub(r"charset=[-\w\"]+", "", decoded.text)
                # Some are English throughout: nothing tells their set, and nothing needs to.
                if len(re.findall("[\u4e00-\u9fff]", page)) >= 4:
                    pages.append(page)
    return pages
