"""Tables as text: quoting, positions, ragged and endless records, charsets, damage."""

import csv
import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from openseek.data.sources import Source, delimited
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=10_000, expansion=1000)
ROWS = [("id", "text", "url")] + [
    (str(i), f'line one of {i}, "quoted"\nline two, with\ttab and 中文 👩‍👩‍👧 e\u0301 \u202bשלום', f"http://a/{i}")
    for i in range(300)
]


def table(rows: list[tuple[str, ...]] = ROWS, delimiter: str = ",", end: str = "\r\n") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


def read(tmp_path: Path, data: bytes, name: str = "a.csv", limits: Limits = LIMITS, **options) -> list[Item]:
    path = tmp_path / name
    path.write_bytes(data)
    return list(delimited.read(RawFile.at(path), Source("s", str(path), **options), limits))


@pytest.mark.parametrize("pack", [lambda x: x, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
def test_fields_come_unchanged_with_offsets_of_their_records(tmp_path: Path, pack, end: str, mark: bytes) -> None:
    data = mark + table(end=end)
    items = read(tmp_path, pack(data))
    assert [(i.text, i.url, i.meta["id"]) for i in items if isinstance(i, Row)] == [(t, u, n) for n, t, u in ROWS[1:]]
    for item, row in zip(items, ROWS[1:], strict=True):
        assert isinstance(item, Row)
        assert data[item.position :].startswith(f'{row[0]},"line'.encode())


def test_delimiters_by_ending_and_by_setting(tmp_path: Path) -> None:
    for name, delimiter, options in (("a.tsv", "\t", {}), ("a.tab.gz", "\t", {}), ("a.csv", ";", {"delimiter": ";"})):
        items = read(tmp_path, table(delimiter=delimiter), name, **options)  # type: ignore[arg-type]
        assert [i.text for i in items if isinstance(i, Row)] == [row[1] for row in ROWS[1:]]
    with pytest.raises(ValueError, match=r"no column 'text'; it has 'id;text;url': set .* its `delimiter`, or"):
        read(tmp_path, table(delimiter=";"))
    with pytest.raises(ValueError, match="Source.delimiter of 's' is '||': give one character"):
        Source("s", "p", delimiter="||")


def test_files_without_a_header_take_their_columns_from_the_source(tmp_path: Path) -> None:
    items = read(tmp_path, table(ROWS[1:]), columns=("id", "text", "url"))
    assert len(items) == 300 and all(isinstance(item, Row) for item in items)
    with pytest.raises(ValueError, match="no column 'text'; it has 'id', 'body', 'url'"):
        read(tmp_path, table(ROWS[1:]), columns=("id", "body", "url"))
    with pytest.raises(ValueError, match="has the column 'text' twice"):
        read(tmp_path, b"text,text\na,b\n")


def test_ragged_rows_are_quarantined_with_their_lines(tmp_path: Path) -> None:
    items = read(tmp_path, b'id,text\n1,"a\nb"\n2,b,c\n\n3\n4,d\n')
    assert [type(item) for item in items] == [Row, Bad, Bad, Row]
    assert [item.error for item in items if isinstance(item, Bad)] == [
        "line 4 has 3 fields, 2 columns are known",
        "line 6 has 1 fields, 2 columns are known",
    ]


def test_a_stray_quote_costs_one_record(tmp_path: Path) -> None:
    lines = table([("id", "text", "n")] + [(str(i), f"text {i}", "x") for i in range(50)]).splitlines(keepends=True)
    lines[10] = b'9,"text 9,x\r\n'
    items = read(tmp_path, b"".join(lines))
    assert [item.text for item in items if isinstance(item, Row)] == [f"text {i}" for i in range(50) if i != 9]
    (bad,) = [item for item in items if isinstance(item, Bad)]
    assert (bad.position, bad.error) == (len(b"".join(lines[:10])), "line 11 opens a quote that it does not close")
    # One that another stray quote seems to close.
    lines[30] = b'29,"text 29,x\r\n'
    items = read(tmp_path, b"".join(lines))
    assert len([item for item in items if isinstance(item, Row)]) == 48


def test_a_huge_field_is_quarantined_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with open(path, "wb") as file:
        file.write(b'id,text\n1,before\n2,"')
        for _ in range(30):
            file.write(b"a line of a very long field\n" * 40_000)
        file.write(b'"\n3,between\n4,')
        for _ in range(30):
            file.write(b"x" * 1_000_000)
        file.write(b"\n5,after\n")
    tracemalloc.start()
    items = list(delimited.read(RawFile.at(path), Source("s", str(path)), Limits(1 << 20, 1000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [i.text if isinstance(i, Row) else type(i) for i in items] == ["before", Bad, "between", Bad, "after"]
    assert peak < 16 << 20
    assert path.stat().st_size > 60 << 20


def test_nul_bytes_stay_and_empty_texts_are_dropped(tmp_path: Path) -> None:
    items = read(tmp_path, b'id,text\n1,a\0b\n2,\n3,"  "\n')
    assert [type(item) for item in items] == [Row, Skipped, Skipped]
    assert items[0] == Row(8, "a\0b", meta={"id": "1"})


def test_other_charsets_are_found_and_bad_bytes_cost_one_record(tmp_path: Path) -> None:
    rows = [("id", "text")] + [(str(i), f"这是第{i}个文本，我们在这里说明它的内容") for i in range(20)]
    text = table(rows).decode()
    items = read(tmp_path, text.encode("gb18030"))
    assert [item.text for item in items if isinstance(item, Row)] == [row[1] for row in rows[1:]]
    items = read(tmp_path, text.encode().replace("第3个".encode(), b"\xff\xfe\xfa"))
    assert [type(item) for item in items] == [Row] * 3 + [Bad] + [Row] * 16
    with pytest.raises(ValueError, match="is UTF-16: convert it"):
        read(tmp_path, text.encode("utf-16"))


@pytest.mark.parametrize("data", [b"", b"\n\n\n", b"id,text\n", b"\xef\xbb\xbf"])
def test_files_without_records_have_no_items(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) == []


@pytest.mark.parametrize("cut", [b'299,"line one', b'299,"line one of 299, ""quoted""\nline', b"299"])
def test_a_cut_file_is_a_break_after_the_whole_records(tmp_path: Path, cut: bytes, drain) -> None:
    path = tmp_path / "a.csv"
    data = table(end="\n")
    start = data.index(b"\n299,") + 1
    for name, content in (("a.csv", data[:start] + cut), ("a.csv.gz", gzip.compress(data)[:-100])):
        path = tmp_path / name
        path.write_bytes(content)
        items, broken = drain(delimited.read(RawFile.at(path), Source("s", str(path)), LIMITS))
        assert all(isinstance(item, Row) for item in items)
        assert "cut off" in broken.reason
        assert name.endswith("gz") or (len(items), broken.position) == (299, start)


def test_after_damage_reading_goes_on_at_the_next_line_of_the_next_member(tmp_path: Path) -> None:
    data = table([("id", "text")] + [(str(i), f"text {i} {'y' * 50}") for i in range(4000)], end="\n")
    parts = [gzip.compress(data[start : start + 60_000]) for start in range(0, len(data), 60_000)]
    parts[2] = parts[2][:200] + bytes(50) + parts[2][250:]
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"".join(parts))
    items = list(delimited.read(RawFile.at(path), Source("s", str(path)), Limits(10_000, 1000, resync=True)))
    texts = {item.text for item in items if isinstance(item, Row)}
    lost = {row for row in range(4000) if f"text {row} {'y' * 50}" not in texts}
    assert sum(isinstance(item, Bad) for item in items) == 1
    assert 0 < len(lost) < 1200 and lost == set(range(min(lost), max(lost) + 1))
    with pytest.raises(BrokenStream, match="damaged"):
        list(delimited.read(RawFile.at(path), Source("s", str(path)), LIMITS))


def test_chats_and_problems_have_columns_too(tmp_path: Path) -> None:
    (item,) = read(tmp_path, b"question,answer\nTwo and two?,#### 4\n", kind="problem", answer_marker="####")
    assert isinstance(item, Row)
    assert item.meta["answer"] == "4"
