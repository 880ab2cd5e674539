"""Every nasty file through `ingest`: good records around a bad one stay, and in = kept + dropped + quarantined."""

import bz2
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from openseek.artifact import read_manifest
from openseek.data.sources import Ingest, Source
from tasks.ingest import ingest
from tasks.where import Where

TEXTS = [f"This is the sentence with number {i}, and it says nothing else." for i in range(40)]
LINES = [json.dumps({"text": text}).encode() + b"\n" for text in TEXTS]
WHOLE = b"".join(LINES)
STRANGE = [
    "مرحبا بالعالم، هذا نص عربي.",
    "e\u0301te\u0301 a\u0300 la plage",
    "👩‍👩‍👧‍👦 family and 🇨🇳 flag",
    "שלום עולם",
]


def members(pack: Callable[[bytes], bytes], damage: Callable[[bytes], bytes]) -> bytes:
    """Four compressed members of ten lines, the second one damaged."""
    packed = [pack(b"".join(LINES[i : i + 10])) for i in range(0, 40, 10)]
    return packed[0] + damage(packed[1]) + packed[2] + packed[3]


def flipped(data: bytes) -> bytes:
    """A byte in the middle changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def wrong_crc(data: bytes) -> bytes:
    """A gzip member whose check sum is another."""
    return data[:-8] + bytes([data[-8] ^ 0xFF]) + data[-7:]


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def parquet(texts: list, row_group_size: int = 10) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), sink, row_group_size=row_group_size, compression="zstd")
    return sink.getvalue()


def damaged_row_group() -> bytes:
    data = parquet(TEXTS)
    place = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(0)
    start = place.dictionary_page_offset or place.data_page_offset
    return (
        data[: start + 4]
        + b"\xff" * (place.total_compressed_size - 8)
        + data[start + place.total_compressed_size - 4 :]
    )


def record(kind: str, payload: bytes, extra: bytes = b"") -> bytes:
    head = b"WARC/1.0\r\nWARC-Type: " + kind.encode() + b"\r\nWARC-Record-ID: <urn:uuid:1>\r\n" + extra
    return head + b"Content-Length: " + str(len(payload)).encode() + b"\r\n\r\n" + payload + b"\r\n\r\n"


def page(number: int, charset: str = "utf-8", declared: str = "") -> bytes:
    words = " ".join(f"The garden of number {number} has {n} trees, and each of them bears fruit." for n in range(9))
    body = f"<html><head><title>Garden</title></head><body><article><p>{words}</p></article></body></html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html" + (f"; charset={declared}".encode() if declared else b"")
    payload = head + b"\r\n\r\n" + body.encode(charset)
    return record("response", payload, f"WARC-Target-URI: https://garden.example/{number}\r\n".encode())


SECOND = gzip.compress(page(2))
# name of the file, its bytes, documents kept, {rule: dropped}, records or regions in quarantine
CASES = {
    "a whole file": ("a.jsonl", WHOLE, 40, {}, 0),
    "cut gzip": ("a.jsonl.gz", gzip.compress(WHOLE)[:-9], range(20, 41), {}, 1),
    "cut zstd": ("a.jsonl.zst", zst(b"".join(LINES[:20])) + zst(b"".join(LINES[20:]))[:-40], range(20, 41), {}, 1),
    "cut bzip2": ("a.jsonl.bz2", bz2.compress(WHOLE)[:-20], range(41), {}, 1),
    "a damaged gzip member": ("a.jsonl.gz", members(gzip.compress, flipped), range(30, 40), {}, range(1, 3)),
    "a gzip member with a wrong sum": ("a.jsonl.gz", members(gzip.compress, wrong_crc), range(30, 41), {}, 1),
    "a damaged zstd frame": ("a.jsonl.zst", members(zst, flipped), range(30, 40), {}, range(1, 3)),
    "concatenated gzip members": ("a.jsonl.gz", members(gzip.compress, bytes), 40, {}, 0),
    "concatenated zstd frames": ("a.jsonl.zst", members(zst, bytes), 40, {}, 0),
    "concatenated bzip2 streams": ("a.jsonl.bz2", members(bz2.compress, bytes), 40, {}, 0),
    "a parquet file without its footer": ("a.parquet", parquet(TEXTS)[:-30], 0, {}, 1),
    "a damaged row group": ("a.parquet", damaged_row_group(), 30, {}, 1),
    "a byte order mark": ("a.jsonl", b"\xef\xbb\xbf" + WHOLE, 40, {}, 0),
    "UTF-16": ("a.jsonl", WHOLE.decode().encode("utf-16"), 40, {}, 0),
    "invalid UTF-8 in one line": ("a.jsonl", WHOLE + b'{"text": "caf\xe9 caf\xe9"}\n' + LINES[0], 41, {}, 1),
    "a NUL in one line": ("a.jsonl", WHOLE + b'{"text": "a\x00b"}\n' + LINES[0], 41, {}, 1),
    "an escaped NUL": ("a.jsonl", WHOLE + b'{"text": "a\\u0000b"}\n', 41, {}, 0),
    "a lone surrogate": ("a.jsonl", WHOLE + b'{"text": "a \\ud800 b"}\n' + LINES[0], range(41, 43), {}, range(2)),
    "CRLF": ("a.jsonl", WHOLE.replace(b"\n", b"\r\n"), 40, {}, 0),
    "no final newline": ("a.jsonl", WHOLE[:-1], 40, {}, 0),
    "an empty file": ("a.jsonl", b"", 0, {}, 0),
    "only newlines": ("a.jsonl", b"\n" * 1000, 0, {}, 0),
    "bad JSON between good lines": ("a.jsonl", LINES[0] + b'{"text": \n[]]\nnull\n' + LINES[1], 2, {}, 3),
    "nested JSON": ("a.jsonl", b'{"text": "kept well", "a": {"b": [{"c": [1, {"d": null}]}]}}\n' * 3, 3, {}, 0),
    "mixed schemas": ("a.jsonl", LINES[0] + b'{"text": "b", "n": 1}\n{"text": "c", "n": "x"}\n{"n": 2}\n', 3, {}, 1),
    "null text": ("a.jsonl", LINES[0] + b'{"text": null}\n', 1, {}, 1),
    "text of a wrong type": ("a.jsonl", LINES[0] + b'{"text": 3}\n{"text": ["a"]}\n', 1, {}, 2),
    "null text in a table": ("a.parquet", parquet([*TEXTS, None]), 40, {}, 1),
    "documents of no length": ("a.jsonl", LINES[0] + b'{"text": ""}\n{"text": "  "}\n', 1, {"no_text": 2}, 0),
    "the same document twice": ("a.jsonl", LINES[0] * 2, 2, {}, 0),
    "a line of 20 MB": ("a.jsonl", LINES[0] + b'{"text": "' + b"a" * (20 << 20) + b'"}\n' + LINES[1], 2, {}, 1),
    "garbage between web records": ("a.warc", page(1) + b"garbage\r\n" * 20 + page(2) + page(3), 3, {}, 1),
    "a damaged member among web records": (
        "a.warc.gz",
        gzip.compress(page(1)) + flipped(SECOND) + gzip.compress(page(3)) + gzip.compress(page(4)),
        3,
        {},
        1,
    ),
    "a cut web archive": ("a.warc.gz", gzip.compress(page(1)) + SECOND[: len(SECOND) // 2], 1, {}, 1),
    "a wrong length of a web record": (
        "a.warc",
        page(1) + page(2).replace(b"Content-Length: ", b"Content-Length: 1") + page(3) + page(4),
        range(1, 4),
        {},
        range(1, 3),
    ),
    "strange scripts": ("a.jsonl", b"".join(json.dumps({"text": t}).encode() + b"\n" for t in STRANGE), 4, {}, 0),
}


def count(value: int | range) -> range:
    return range(value, value + 1) if isinstance(value, int) else value


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_lost(case: str, root: Where, tmp_path: Path) -> None:
    name, data, kept, dropped, quarantined = CASES[case]
    path = tmp_path / name
    path.write_bytes(data)
    directory = ingest(config=Ingest((Source("s", str(path)),), on_truncated="quarantine"))
    facts = read_manifest(directory)["facts"]
    assert facts["rows_out"] in count(kept), facts
    assert facts["dropped"] == dropped
    assert facts["quarantined"] in count(quarantined), facts
    assert facts["rows_in"] == facts["rows_out"] + sum(dropped.values()) + facts["quarantined"]
    rows = pq.read_table(directory / "data" / "00000.parquet").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    if name.startswith("a.jsonl") and case != "strange scripts" and kept not in (0, 1, 2, 3):
        # What is kept is what was there, not half a line of it.
        assert {row["text"] for row in rows} >= set(TEXTS[:10]) or not rows
        assert all(row["text"] in TEXTS for row in rows[:30])
    for row in pq.read_table(directory / "quarantine" / "00000.parquet").to_pylist():
        assert row["path"] == name
        assert row["error"]
        assert len(row["bytes"]) <= 4096


def test_strange_scripts_come_out_as_they_went_in(root: Where, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in STRANGE))
    directory = ingest(config=Ingest((Source("s", str(path)),)))
    assert pq.read_table(directory / "data" / "00000.parquet")["text"].to_pylist() == STRANGE


@pytest.mark.parametrize("declared", ["gbk", "big5", "utf-8", "no-such-charset", ""])
@pytest.mark.parametrize("charset", ["gb18030", "big5", "utf-8"])
def test_a_page_with_a_wrong_charset_is_read_right(charset: str, declared: str, root: Where, tmp_path: Path) -> None:
    sentence = (
        "他們在這裡學習語言和歷史，並且寫下自己的故事。"
        if charset == "big5"
        else "他们在这里学习语言和历史，并且写下自己的故事。"
    )
    body = f"<html><body><article>{''.join(f'<p>{n}{sentence * 3}</p>' for n in range(6))}</article></body></html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html" + (f"; charset={declared}".encode() if declared else b"")
    path = tmp_path / "a.warc"
    path.write_bytes(record("response", head + b"\r\n\r\n" + body.encode(charset)))
    directory = ingest(config=Ingest((Source("s", str(path)),)))
    (text,) = pq.read_table(directory / "data" / "00000.parquet")["text"].to_pylist()
    assert sentence in text


@pytest.mark.parametrize("case", ["cut gzip", "a damaged zstd frame", "a damaged row group", "a cut web archive"])
def test_by_default_a_file_that_is_not_whole_ends_the_task(case: str, root: Where, tmp_path: Path) -> None:
    name, data, *_ = CASES[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"(?s){name} is not whole: .* at position \d+.*on_truncated=quarantine"):
        ingest(config=Ingest((Source("s", str(tmp_path / name)),)))


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zst)])
def test_a_bomb_is_quarantined_and_not_loaded(
    name: str, pack: Callable[[bytes], bytes], root: Where, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(WHOLE) + pack(LINES[0] + b'{"text": "' + b"a" * (200 << 20) + b'"}\n'))
    directory = ingest(config=Ingest((Source("s", str(path)),), max_expansion=50.0))
    facts = read_manifest(directory)["facts"]
    assert facts["rows_out"] in (40, 41)
    assert facts["quarantined"] == 1
