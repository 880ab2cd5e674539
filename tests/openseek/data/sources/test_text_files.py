"""Texts and Markdown: charsets, line ends, chapters, front matter."""

import json
from pathlib import Path

import pytest

from openseek.data.sources import Source, text_files
from openseek.data.sources.record import Bad, Item, Limits, Row, Skipped, meta_json
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=100_000, expansion=1000)
ODD = "שלום עולם \u202babc\u202c e\u0301 ก็ 👩‍👩‍👧‍👦 🇨🇳\n第二行\n"
CHINESE = "这是一本书的开头，我们在这里说明它的内容。\n" * 5
BOOK = """---
title: A Book
author: [Ann, Bo]
date: 2024-05-06
licence: by
---
A preface.

# First
Text of the first.
```python
# not a heading
```
Sub
---
more

# Second #
## Part
Text of the second.

Third
=====
The last.
"""


def read(tmp_path: Path, data: bytes, name: str = "a.txt", split: str = "", **options) -> list[Item]:
    path = tmp_path / name
    path.write_bytes(data)
    source = Source("s", str(path), split=split, **options)  # type: ignore[arg-type]
    reader = text_files.read if name.endswith("txt") else text_files.read_markdown
    return list(reader(RawFile.at(path), source, LIMITS))


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (ODD.encode(), ODD),
        (ODD.replace("\n", "\r\n").encode(), ODD),
        (b"\xef\xbb\xbf" + ODD.encode(), ODD),
        (ODD.encode("utf-16"), ODD),
        (CHINESE.encode("gb18030"), CHINESE),
        (CHINESE.encode("big5hkscs", "ignore"), CHINESE.encode("big5hkscs", "ignore").decode("big5hkscs")),
        ((CHINESE + "<meta charset=gbk>").encode(), CHINESE + "<meta charset=gbk>"),
    ],
    ids=["plain", "crlf", "bom", "utf-16", "gbk", "big5", "declares another"],
)
def test_texts_come_as_they_are_with_plain_line_ends(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    (item,) = read(tmp_path, data, name)
    assert isinstance(item, Row)
    assert (item.position, item.text, item.meta["path"]) == (0, text, name)


def test_what_is_no_text_is_quarantined_and_empty_files_are_dropped(tmp_path: Path) -> None:
    for data, error in (
        (b"\x7fELF\0\0\1 and more of it" * 5, "NUL bytes"),
        (b"abc\0def, a text with one of them", "NUL bytes"),
        (bytes(range(128, 256)) * 20, "no character set fits"),
        (b"x" * 100_001, "100001 bytes, beyond max_record_bytes 100000"),
    ):
        (item,) = read(tmp_path, data)
        assert isinstance(item, Bad) and error in item.error
        assert 0 < len(item.head) <= 4096
    for data in (b"", b"\n\r\n  \n", b"\xef\xbb\xbf"):
        (item,) = read(tmp_path, data)
        assert isinstance(item, Skipped) and item.rule == "no_text"


def test_markdown_is_one_document_unless_chapters_are_asked_for(tmp_path: Path) -> None:
    for split in ("", "file"):
        (item,) = read(tmp_path, BOOK.encode(), "a.md", split, licence_column="licence")
        assert isinstance(item, Row)
        assert (item.text, item.date, item.licence) == (BOOK.split("---\n", 2)[2], "2024-05-06", "by")
        assert json.loads(meta_json(item.meta)) == {"path": "a.md", "title": "A Book", "author": ["Ann", "Bo"]}
    items = read(tmp_path, BOOK.encode(), "a.md", "chapter")
    told = [(i.position, i.meta.get("chapter"), i.text.split("\n")[0]) for i in items if isinstance(i, Row)]
    assert told == [
        (0, None, "A preface."),
        (1, "First", "# First"),
        (2, "Second", "# Second #"),
        (3, "Third", "Third"),
    ]
    assert "\n".join(i.text for i in items if isinstance(i, Row)).split() == BOOK.split("---\n", 2)[2].split()


def test_a_book_under_one_title_is_split_at_the_second_level(tmp_path: Path) -> None:
    text = "# Title\n\nIntro.\n\n## One\na\n\nTwo\n---\nb\n### Deeper\nc\n\n"
    text += "a | b\n--|--\n1 | 2\n\n* * *\n~~~\n## no\n~~~\n"
    items = read(tmp_path, text.encode(), "a.md", "chapter")
    assert [(i.meta["title"], i.meta.get("chapter")) for i in items if isinstance(i, Row)] == [
        ("Title", None),
        ("Title", "One"),
        ("Title", "Two"),
    ]


def test_front_matter_that_is_none_stays_text_and_aliases_expand_to_nothing(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    for text in ("---\njust text\n---\nmore\n", "---\nbroken: [\n---\nx\n", "---\nno end\n", f"---\n{bomb}---\nx\n"):
        (item,) = read(tmp_path, text.encode(), "a.md")
        assert isinstance(item, Row)
        assert (item.text, len(item.meta)) == (text, 1)
    (item,) = read(tmp_path, b"---\ntitle: !!python/object/apply:os.system ['true']\n---\nx\n", "a.md")
    assert isinstance(item, Row) and item.text.startswith("---")


def test_chats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="text files give documents, but Source.kind of 's' is 'chat'"):
        read(tmp_path, b"a", kind="chat")
