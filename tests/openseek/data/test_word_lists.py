"""Published lists are read in all their forms, and what cannot be looked for is counted."""

import gzip
from pathlib import Path

import pytest
import zstandard

from openseek.data.word_lists import lines, words

ENTRIES = [
    "猎枪|真枪",
    "气枪价格，气枪专卖店",
    "政府+倒台",
    "a=>b",
    "党",
    "&",
    "ab",
    "abc",
    "自制手枪  ",
    "考试作弊器*",
]
ENTRIES += ["qwe\x7f", "词\t政治,", "abc", "1989年", "女优QQ,", "长" * 200, "两字"]


def test_forms() -> None:
    found = words(ENTRIES)
    assert found.words == (
        "猎枪", "真枪", "气枪价格", "气枪专卖店", "abc", "自制手枪", "考试作弊器", "1989年", "女优QQ", "两字",
    )  # fmt: skip
    assert found.rejected == {
        "compounds": 2, "single characters": 2, "without a letter or digit": 1, "too short": 1,
        "with control characters": 1, "too long": 1,
    }  # fmt: skip
    assert (found.read, found.repeated) == (len(ENTRIES), 1)
    assert "17 lines, 10 words, 1 repeated; left out: 2 compounds" in str(found)


def test_limits() -> None:
    assert words(["ab", "中国", "中国人"], min_characters=3, min_latin_characters=2).words == ("ab", "中国人")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeff# comment\r\none\r\n\r\n  two \r\n".encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"three\n") + gzip.compress(b"four"))
    (tmp_path / "c.zst").write_bytes(zstandard.compress(b"five\n") + zstandard.compress(b"six\n"))
    (tmp_path / "d.txt").write_bytes(b"")
    assert list(lines(str(tmp_path))) == ["one", "two", "three", "four", "five", "six"]
    (tmp_path / "e.txt").write_bytes("敏感".encode("gbk"))
    with pytest.raises(ValueError, match="convert the list to UTF-8"):
        list(lines(str(tmp_path / "e.txt")))
    with pytest.raises(ValueError, match="is not there"):
        list(lines(str(tmp_path / "no.txt")))
