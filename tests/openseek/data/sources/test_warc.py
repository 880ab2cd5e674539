"""Web archives: pages, other records, positions, damage."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from openseek.data.sources import Source, warc
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Rows, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=200_000, expansion=1000)
SENTENCE = "This is the story of number {0}, which is long enough for a paragraph that an extractor keeps as text. "
HTML = (
    "<html><head><title>T</title></head><body><nav><a href='/'>Home</a></nav>"
    "<article><h1>Story {0}</h1>{1}</article></body></html>"
)


def page(number: int) -> bytes:
    return HTML.format(number, "".join(f"<p>{SENTENCE.format(number) * 3}</p>" for _ in range(3))).encode()


def record(kind: str, url: str, body: bytes, http: str | None = "HTTP/1.1 200 OK\r\nContent-Type: text/html") -> bytes:
    block = body if http is None else f"{http}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-02T03:04:05Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{len(body):012d}>\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


RECORDS = [
    record("warcinfo", "", b"software: test\r\n", None),
    record("request", "http://a/0", b"", "GET / HTTP/1.1\r\nHost: a"),
    record("response", "http://a/0", page(0)),
    record("response", "http://a/1", page(1), "HTTP/1.1 404 Not Found\r\nContent-Type: text/html"),
    record("response", "http://a/2", b"\x89PNG", "HTTP/1.1 200 OK\r\nContent-Type: image/png"),
    record("response", "http://a/3", page(3) + b" " * 250_000),
    record("response", "http://a/4", b"<html><body></body></html>"),
    record("metadata", "http://a/4", b"fetchTimeMs: 3\r\n", None),
    record("response", "http://a/5", page(5)),
]


def read(path: Path, data: bytes, limits: Limits = LIMITS) -> list[Item]:
    path.write_bytes(data)
    return list(warc.read(RawFile.at(path), Source("web", str(path)), limits))


@pytest.mark.parametrize("form", ["plain", "member a record", "one member"])
def test_pages_are_documents_and_the_rest_is_accounted_for(tmp_path: Path, form: str) -> None:
    parts = [gzip.compress(r) for r in RECORDS] if form == "member a record" else RECORDS
    data = b"".join(parts)
    items = read(tmp_path / "a.warc.gz", gzip.compress(data) if form == "one member" else data)
    assert [type(item) for item in items] == [Row, Skipped, Skipped, Bad, Skipped, Row]
    assert [item.rule for item in items if isinstance(item, Skipped)] == ["http_status", "content_type", "no_text"]
    assert isinstance(items[3], Bad)
    assert "more than 200000 (max_record_bytes)" in items[3].error
    first, last = items[0], items[-1]
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert (first.url, first.date) == ("http://a/0", "2024-01-02T03:04:05Z")
    assert SENTENCE.format(5).strip() in last.text
    assert "Home" not in last.text
    assert [item.position for item in items if not isinstance(item, Rows)] == [
        len(b"".join(parts[:i])) for i in (2, 3, 4, 5, 6, 8)
    ]


@pytest.mark.parametrize("compressed", [True, False])
def test_a_cut_archive_is_a_break_after_the_whole_records(tmp_path: Path, compressed: bool, drain) -> None:
    parts = [gzip.compress(r) if compressed else r for r in RECORDS]
    data, path = b"".join(parts), tmp_path / "a.warc.gz"
    path.write_bytes(data[:-200])
    items, _ = drain(warc.read(RawFile.at(path), Source("web", str(path)), LIMITS))
    assert len(items) == 5


def test_damage_in_the_middle_is_a_break(tmp_path: Path) -> None:
    parts = [gzip.compress(r) for r in RECORDS]
    parts[3] = parts[3][:40] + bytes(40) + parts[3][80:]
    with pytest.raises(BrokenStream, match="damaged"):
        read(tmp_path / "a.warc.gz", b"".join(parts))


def test_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no WARC file"):
        read(tmp_path / "a.warc", b"hello world\n" * 100)


def test_bodies_in_chunks_and_in_gzip_are_decoded_within_the_limit(tmp_path: Path) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(page(1)), page(1))
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        file.write(page(3) + b" " * 30_000_000)
    data = (
        record("response", "http://a/0", gzip.compress(page(0)), head + "Content-Encoding: gzip")
        + record("response", "http://a/1", chunks, head + "Transfer-Encoding: chunked")
        + record("response", "http://a/2", b"no gzip at all", head + "Content-Encoding: gzip")
        + record("response", "http://a/3", bomb.getvalue(), head + "Content-Encoding: gzip")
    )
    items = read(tmp_path / "a.warc", data)
    assert [type(item) for item in items] == [Row, Row, Bad, Bad]


PAGES = [record("response", f"http://a/{i}", page(i)) for i in range(12)]
RESYNC = Limits(record_bytes=200_000, expansion=1000, resync=True)


def members(parts: list[bytes]) -> bytes:
    return b"".join(map(gzip.compress, parts))


def damaged_member(data: bytes) -> bytes:
    whole = gzip.compress(data)
    return whole[: len(whole) // 2] + bytes(60) + whole[len(whole) // 2 + 60 :]


def with_length(data: bytes, change: int) -> bytes:
    """The record with a wrong Content-Length of its own (not of the HTTP message)."""
    head, end, block = data.partition(b"\r\n\r\n")
    first, name, length = head.rpartition(b"Content-Length: ")
    return first + name + str(int(length) + change).encode() + end + block


# Name: what is damaged in a file of 12 pages, and the pages that are lost with it.
DAMAGES: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "garbage between plain records": (
        lambda: b"".join([*PAGES[:4], b"\x00garbage\r\nWARC/1.0 is what I am\r\n" * 30, *PAGES[4:]]),
        set(),
    ),
    "garbage between members": (
        lambda: members(PAGES[:4]) + b"no gzip here" * 50 + members(PAGES[4:]),
        set(),
    ),
    "garbage in a member of its own": (lambda: members([*PAGES[:4], b"hello\n" * 100, *PAGES[4:]]), set()),
    "a damaged member": (
        lambda: members(PAGES[:4]) + damaged_member(PAGES[4]) + members(PAGES[5:]),
        {4},
    ),
    "a wrong CRC": (
        lambda: members(PAGES[:4]) + gzip.compress(PAGES[4])[:-8] + bytes(8) + members(PAGES[5:]),
        {4},
    ),
    "a cut member in the middle": (
        lambda: members(PAGES[:4]) + gzip.compress(PAGES[4])[:-60] + members(PAGES[5:]),
        {4},
    ),
    "a plain record that says too much": (
        lambda: b"".join([*PAGES[:4], with_length(PAGES[4], 700), *PAGES[5:]]),
        {4},
    ),
    "a plain record that says too little": (
        lambda: b"".join([*PAGES[:4], with_length(PAGES[4], -300), *PAGES[5:]]),
        {4},
    ),
    "a member that says too much": (lambda: members([*PAGES[:4], with_length(PAGES[4], 700), *PAGES[5:]]), {4}),
    "a member that says too little": (lambda: members([*PAGES[:4], with_length(PAGES[4], -300), *PAGES[5:]]), {4}),
    "a record without a head": (lambda: b"".join([*PAGES[:4], PAGES[4][9:], *PAGES[5:]]), {4}),
    "a cut end, plain": (lambda: b"".join(PAGES)[:-200], {11}),
    "a cut end, gzip": (lambda: members(PAGES)[:-50], {11}),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_quarantine_row_and_the_good_records_around_it_are_kept(tmp_path: Path, name: str, drain) -> None:
    make, lost = DAMAGES[name]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(make())
    items: list[Item] = []
    try:
        for item in warc.read(RawFile.at(path), Source("web", str(path)), RESYNC):
            items.append(item)
    except BrokenStream as broken:
        items.append(Bad(broken.position, broken.reason, broken.head))
    kept = {int(item.url.rpartition("/")[2]) for item in items if isinstance(item, Row)}
    assert kept == set(range(12)) - lost
    assert [type(item) for item in items].count(Bad) == 1
    assert len(items) == 12 - len(lost) + 1
    # By default the same file is refused, with the position of what is wrong.
    got, broken = drain(warc.read(RawFile.at(path), Source("web", str(path)), LIMITS))
    assert len(got) == min(lost, default=4)
    assert broken.position == next(item.position for item in items if isinstance(item, Bad))


def test_wet_files_are_texts(tmp_path: Path) -> None:
    text = "Héllo wörld, this is text.\nAnd a second line."
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://u:p@a.example/x\r\n"
        "WARC-Date: 2024-01-02T03:04:05Z\r\nWARC-Record-ID: <urn:uuid:2>\r\nWARC-Refers-To: <urn:uuid:1>\r\n"
        "WARC-Identified-Content-Language: eng,fra\r\nContent-Type: text/plain\r\n"
    )
    body = text.encode()
    data = record("warcinfo", "", b"x: y\r\n", None) + (
        head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n"
    )
    for name, form in (
        ("a.wet", data),
        ("a.warc.wet.gz", gzip.compress(data)),
        ("a.wet.zst", zstandard.compress(data)),
    ):
        source = Source("web", str(tmp_path / name))
        assert source.format_of(RawFile(name, name, 0)) == "warc"
        (row,) = read(tmp_path / name, form)
        assert isinstance(row, Row)
        assert (row.text, row.url, row.date) == (text, "http://a.example/x", "2024-01-02T03:04:05Z")
        assert row.meta == {"warc_record_id": "<urn:uuid:1>", "content_language": "eng,fra", "charset": "utf-8"}


def test_plain_text_responses_are_documents_and_their_charset_is_found(tmp_path: Path) -> None:
    text = "这是一个关于中国的故事，我们在这里说的是他们的国家。\n第二行。"
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Language: zh"
    (row,) = read(tmp_path / "a.warc", record("response", "https://user:secret@a/robots", text.encode("gbk"), head))
    assert isinstance(row, Row)
    assert (row.text, row.url, row.meta["charset"], row.meta["content_language"]) == (
        text,
        "https://a/robots",
        "gb18030",
        "zh",
    )
    assert row.meta["html_bytes"] == len(text.encode("gbk"))


def test_records_beyond_the_limit_go_by_unread(tmp_path: Path) -> None:
    big = record("response", "http://a/big", page(1) + b" " * 5_000_000)
    items = read(tmp_path / "a.warc", PAGES[0] + big + PAGES[2])
    assert [type(item) for item in items] == [Row, Bad, Row]
    items = read(tmp_path / "a.warc.gz", members([PAGES[0], big, PAGES[2]]))
    assert [type(item) for item in items] == [Row, Bad, Row]


def test_resiliparse_is_a_second_extractor(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(PAGES))
    items = list(warc.read(RawFile.at(path), Source("web", str(path), extractor="resiliparse"), LIMITS))
    assert [SENTENCE.format(i).strip() in item.text for i, item in enumerate(items) if isinstance(item, Row)] == [
        True
    ] * 12
