"""Web archives: pages, other records, positions, damage."""

import gzip
import io
from pathlib import Path

import pytest

from openseek.data.sources import Source, warc
from openseek.data.sources.record import Bad, BrokenStream, Item, Limits, Row, Skipped
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


def read(path: Path, data: bytes) -> list[Item]:
    path.write_bytes(data)
    return list(warc.read(RawFile.at(path), Source("web", str(path)), LIMITS))


@pytest.mark.parametrize("form", ["plain", "member a record", "one member"])
def test_pages_are_documents_and_the_rest_is_accounted_for(tmp_path: Path, form: str) -> None:
    parts = [gzip.compress(r) for r in RECORDS] if form == "member a record" else RECORDS
    data = b"".join(parts)
    items = read(tmp_path / "a.warc.gz", gzip.compress(data) if form == "one member" else data)
    assert [type(item) for item in items] == [Row, Skipped, Skipped, Skipped, Skipped, Row]
    assert [item.rule for item in items if isinstance(item, Skipped)] == [
        "http_status",
        "content_type",
        "record_bytes",
        "no_text",
    ]
    first, last = items[0], items[-1]
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert (first.url, first.date) == ("http://a/0", "2024-01-02T03:04:05Z")
    assert SENTENCE.format(5).strip() in last.text
    assert "Home" not in last.text
    assert [item.position for item in items] == [len(b"".join(parts[:i])) for i in (2, 3, 4, 5, 6, 8)]


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
    assert [type(item) for item in items] == [Row, Row, Bad, Skipped]
