"""Web archives through ingest: planted damage, pages that take too long, and the accounting of both."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastwarc.warc import ArchiveIterator

from openseek.artifact import read_manifest
from openseek.data.sources import Ingest, Source
from tasks.ingest import ingest
from tasks.where import Where


def read(directory: Path, part: str) -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / part).glob("*.parquet"))]).to_pylist()


def members(path: Path) -> list[bytes]:
    """The gzip members of an archive that has one a record."""
    data = path.read_bytes()
    with path.open("rb") as stream:
        starts = [record.stream_pos for record in ArchiveIterator(stream)]
    return [data[start:stop] for start, stop in zip(starts, [*starts[1:], len(data)], strict=True)]


@pytest.fixture(scope="module")
def parts(samples: Path) -> list[bytes]:
    return members(samples / "en_web" / "docs.warc.gz")[:240]


def test_damage_in_many_places_costs_only_what_it_touches(root: Where, tmp_path: Path, parts: list[bytes]) -> None:
    sound, broken = tmp_path / "sound.warc.gz", tmp_path / "broken.warc.gz"
    sound.write_bytes(b"".join(parts))
    whole = read_manifest(ingest(config=Ingest((Source("web", str(sound)),))))["facts"]
    assert whole["quarantined"] == 0
    planted = list(parts)
    # A damaged member, garbage between members, a member without its end, a text that is no record.
    planted[40] = planted[40][:60] + bytes(30) + planted[40][90:]
    planted[90] = b"no gzip at all" * 30 + planted[90]
    planted[150] = planted[150][:-40]
    planted[200] = gzip.compress(b"hello\n" * 50) + planted[200]
    broken.write_bytes(b"".join(planted))
    config = Ingest((Source("web", str(broken)),))
    with pytest.raises(ValueError, match=r"broken.warc.gz is not whole: .*position \d+.*on_truncated=quarantine"):
        ingest(config=config)
    directory = ingest(config=Ingest(config.sources, on_truncated="quarantine"))
    facts = read_manifest(directory)["facts"]
    assert facts["rows_in"] == facts["rows_out"] + sum(facts["dropped"].values()) + facts["quarantined"]
    assert facts["quarantined"] == 4
    # Two of the damaged members held a record each; it may have been one that is no document.
    lost = whole["rows_in"] - (facts["rows_in"] - facts["quarantined"])
    assert 0 <= lost <= 2
    starts = [len(b"".join(planted[:i])) for i in (40, 90, 150, 200)]
    assert [row["position"] for row in read(directory, "quarantine")] == starts


def test_a_page_that_takes_too_long_is_dropped_by_rule(root: Where, tmp_path: Path) -> None:
    def record(url: str, body: bytes) -> bytes:
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Length: {len(block)}\r\n\r\n"
        return head.encode() + block + b"\r\n\r\n"

    paragraph = b"<p>Some words of a paragraph that is long enough to be kept by all.</p>"
    page = b"<html><body>" + paragraph * 5
    path = tmp_path / "a.warc"
    path.write_bytes(
        record("http://a/0", page) + record("http://a/1", paragraph * 100_000) + record("http://a/2", page)
    )
    directory = ingest(config=Ingest((Source("web", str(path)),), page_seconds=0.4))
    facts = read_manifest(directory)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"]) == (3, 2, {"page_seconds": 1})
    (dropped,) = read(directory, "dropped")
    assert (dropped["value"], dropped["limit"]) == (pytest.approx(0.4), pytest.approx(0.4))


def test_limits_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="page_seconds is 0"):
        Ingest(page_seconds=0)
    with pytest.raises(ValueError, match="page_memory_bytes is 5"):
        Ingest(page_memory_bytes=5)
