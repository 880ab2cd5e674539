"""JSON lines and arrays: positions, bad records, cut ends, limits."""

import bz2
import gzip
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard

from openseek.data.sources import Source, jsonl
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Rows
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=10_000, expansion=1000)
ROWS = [{"text": f'text number {i} with "quotes", [brackets] and {{braces}} 中文\\', "n": i} for i in range(300)]
LINES = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS)


def singly(items: Iterable[Item]) -> list[Any]:
    """The items, columns taken apart."""
    return [one for item in items for one in (item.rows() if isinstance(item, Rows) else (item,))]


def read(tmp_path: Path, data: bytes, name: str = "a.jsonl", limits: Limits = LIMITS) -> list[Any]:
    path = tmp_path / name
    path.write_bytes(data)
    return singly(jsonl.read(RawFile.at(path), Source("s", str(path)), limits))


@pytest.mark.parametrize("pack", [lambda x: x, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
def test_lines_come_with_their_offsets_in_the_decompressed_bytes(tmp_path: Path, pack, mark: bytes) -> None:
    items = read(tmp_path, pack(mark + LINES))
    assert [item.text for item in items if isinstance(item, Row)] == [row["text"] for row in ROWS]
    for item, row in zip(items, ROWS, strict=True):
        rest = (mark + LINES)[item.position :]
        assert json.loads(rest[: rest.index(b"\n")]) == row


@pytest.mark.parametrize("indent", [None, 1])
def test_arrays_are_read_element_by_element(tmp_path: Path, indent: int | None, monkeypatch) -> None:
    monkeypatch.setattr("openseek.data.sources.streams.BLOCK_BYTES", 700)
    data = json.dumps(ROWS, ensure_ascii=False, indent=indent).encode()
    items = read(tmp_path, data, "a.json")
    assert [item.text for item in items if isinstance(item, Row)] == [row["text"] for row in ROWS]
    assert all(data[item.position : item.position + 1] == b"{" for item in items)


def test_bad_records_are_quarantined_and_the_others_stay(tmp_path: Path) -> None:
    lines = LINES.splitlines(keepends=True)[:5]
    lines[1] = lines[1][:20] + b"\n"
    lines[2] = lines[2].replace("中文".encode(), b"\xd6\xd0")
    lines[3] = b'"only a string"\n'
    lines.insert(4, b"\n")
    items = read(tmp_path, b"".join(lines))
    assert [type(item) for item in items] == [Row, Bad, Bad, Bad, Row]
    bad = [item for item in items if isinstance(item, Bad)]
    assert [item.position for item in bad] == [len(b"".join(lines[:i])) for i in (1, 2, 3)]
    assert bad[0].head == lines[1].strip()
    assert "str" in bad[2].error


def test_scalars_in_an_array_are_bad_records(tmp_path: Path) -> None:
    items = read(tmp_path, b'[1, {"text": "a"}, "b", [2], null]', "a.json")
    assert [type(item) for item in items] == [Bad, Row, Bad, Bad, Bad]


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    (item,) = read(tmp_path, b'{"content": "a", "url": "b"}\n')
    assert isinstance(item, Bad)
    assert item.missing_column == "text"
    assert "content, url" in item.error


@pytest.mark.parametrize("data", [LINES[:-30], gzip.compress(LINES[:-30]), gzip.compress(LINES)[:-200]])
def test_a_cut_end_is_a_break_after_the_sound_records(tmp_path: Path, data: bytes, drain) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    items, broken = drain(jsonl.read(RawFile.at(path), Source("s", str(path)), LIMITS))
    items = singly(items)
    assert 0 < len(items) < len(ROWS)
    assert all(isinstance(item, Row) for item in items)
    assert LINES[broken.position :].startswith(broken.head)
    assert LINES[broken.position - 1 : broken.position] == b"\n"


def test_a_cut_array_is_a_break(tmp_path: Path) -> None:
    data = json.dumps(ROWS).encode()
    with pytest.raises(BrokenStream, match="array is cut off"):
        read(tmp_path, data[: len(data) // 2], "a.json")


def test_a_last_line_without_newline_is_whole(tmp_path: Path) -> None:
    assert len(read(tmp_path, LINES[:-1])) == len(ROWS)


def test_long_lines_are_quarantined_with_their_size(tmp_path: Path) -> None:
    long = json.dumps({"text": "x" * 50_000}).encode()
    items = read(tmp_path, b'{"text": "a"}\n' + long + b'\n{"text": "b"}\n')
    assert [type(item) for item in items] == [Row, Bad, Row]
    bad = items[1]
    assert isinstance(bad, Bad)
    assert (bad.position, bad.head) == (14, long[:4096])
    assert f"{len(long)} bytes, more than 10000 (max_record_bytes)" in bad.error


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf", b"[]", b" [ ] "])
def test_files_without_records_give_none(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) == []


PACKS = {"gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("kind", PACKS)
@pytest.mark.parametrize("cut_in_line", [False, True])
def test_records_after_a_damaged_member_are_kept(tmp_path: Path, kind: str, cut_in_line: bool) -> None:
    edges = [0, *(LINES.index(b"\n", at) + (0 if cut_in_line else 1) for at in (5000, 10_000, 15_000)), len(LINES)]
    packed = [PACKS[kind](LINES[a:b]) for a, b in pairwise(edges)]
    middle = len(packed[1]) // 2
    packed[1] = packed[1][:middle] + bytes(8) + packed[1][middle + 8 :]
    items = read(tmp_path, b"".join(packed), limits=Limits(10_000, 1000, resync=True))
    (bad,) = (item for item in items if isinstance(item, Bad))
    assert "damaged" in bad.error
    texts = [item.text for item in items if isinstance(item, Row)]
    wanted = [row["text"] for row in ROWS]
    before, after = LINES[: edges[1]].count(b"\n"), LINES[edges[2] :].count(b"\n") - cut_in_line
    assert texts[:before] == wanted[:before]
    assert texts[-after:] == wanted[-after:]
    assert len(texts) < len(wanted)
    if kind == "zstd":
        # A frame that tells its size keeps the positions after it.
        assert LINES[items[-1].position :].startswith(b'{"text": "text number 299 ')


def test_a_wrong_checksum_is_told_and_the_next_member_read(tmp_path: Path) -> None:
    first, second = gzip.compress(LINES), gzip.compress(b'{"text": "last"}\n')
    data = first[:-8] + bytes([first[-8] ^ 1]) + first[-7:] + second
    items = read(tmp_path, data, limits=Limits(10_000, 1000, resync=True))
    assert [item.text for item in items if isinstance(item, Row)][-1] == "last"
    assert sum(isinstance(item, Bad) for item in items) == 1
    with pytest.raises(BrokenStream, match="incorrect data check"):
        read(tmp_path, data)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_with_a_mark_is_read(tmp_path: Path, encoding: str) -> None:
    items = read(tmp_path, ("\ufeff" + LINES.decode()).encode(encoding))
    assert [item.text for item in items] == [row["text"] for row in ROWS]


STRANGE = [
    r'{"text": "a\u0000b"}',
    r'{"text": "\ud83d\ude00\u4e2d\n\t\"\\\/\b\f\r"}',
    r'{"te\u0078t": "escaped name"}',
    r'{"text": "one", "text": "two"}',
    r'{"a": {"text": "inner"}, "text": "outer", "b": ["}", {"c": "]\\\""}]}',
    r' {"text" : "spaces" , "n" : 1.5e3 } ',
    r'{"n": 1, "text": "last"}',
    r'{"text": "ünï 中文 😀", "url": null, "date": 2020}',
]
WRONG = [
    r'{"text": "lone \ud800 surrogate"}',
    r'{"text": "lone \udc00 surrogate"}',
    r'{"text": "\ud800A"}',
    r'{"text": "bad \x escape"}',
    '{"text": "raw\ttab"}',
    '{"text": "no end}',
    '{"text": "a"} {"text": "b"}',
    '{"text": "a"},',
    '{"text": "a",}',
    '{"text": "a", "b": [1}}',
    '{"text": "a", "n": NaN}',
    '{"text": "a" "b": 1}',
    '{"text": null}',
    '{"text": ["a"]}',
    "null",
    "{}",
]


@pytest.mark.parametrize("line", STRANGE + WRONG)
@pytest.mark.parametrize("company", ["", '{"text": "good"}\n'])
def test_lines_mean_what_json_says_alone_and_in_company(tmp_path: Path, line: str, company: str) -> None:
    items = read(tmp_path, (company + line + "\n" + company).encode() or b"")
    alone = items[1] if company else items[0]
    if line in WRONG:
        assert isinstance(alone, Bad)
    else:
        record = json.loads(line)
        assert alone.text == record.pop("text")
        url, date = record.pop("url", None), record.pop("date", None)
        assert (alone.url, alone.date, alone.meta) == (url or "", str(date or ""), record)
    assert len(items) == (3 if company else 1)
    assert all(item.text == "good" for item in items if item is not alone)


def test_bytes_that_are_no_utf8_cost_one_line(tmp_path: Path) -> None:
    items = read(tmp_path, b'{"text": "a"}\n{"text": "\xff\xfe"}\n{"text": "b", "n": "\xff"}\n{"text": "c"}\n')
    assert [type(item) for item in items] == [Row, Bad, Bad, Row]


def test_text_of_nothing_but_space_is_dropped(tmp_path: Path) -> None:
    spaces = ["", " \t\n", "\u3000\u00a0", "\x1c\x85", "\u200b", "\u3000a", "中"]
    data = "".join(json.dumps({"text": text}) + "\n" for text in spaces).encode()
    kept = [item.text for item in read(tmp_path, data) if isinstance(item, Row)]
    assert kept == [text for text in spaces if text.strip()]


@pytest.mark.parametrize("size", [1 << 20, 3 << 20])
def test_a_long_line_between_good_ones_is_counted_not_held(tmp_path: Path, size: int) -> None:
    long = b'{"text": "' + b"x" * size + b'"}'
    for data in (b'{"text": "a"}\n' + long + b'\n{"text": "b"}\n', b'[{"text": "a"}, ' + long + b', {"text": "b"}]'):
        items = read(tmp_path, data)
        assert [type(item) for item in items] == [Row, Bad, Row]
        assert f"{len(long)} bytes" in items[1].error
        assert data[items[1].position :].startswith(long[:100])
    items = read(tmp_path, b'{"text": "a"}\n' + long)
    assert [type(item) for item in items] == [Row, Bad]
