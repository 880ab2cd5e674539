"""Parts of a large file together give the documents of the whole: same ids, same texts, same counts."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from openseek.data.sources import Ingest, Source
from openseek.data.sources.documents import read_file
from openseek.data.sources.parts import parts
from openseek.raw_files import RawFile

# Long and short lines, blank ones, one beyond the limit, bad ones, one without text; none ends where a frame does.
RECORDS = [{"text": f"text {i} " + "word " * (i * 37 % 90), "n": i} for i in range(200)]
LINES = [json.dumps(record).encode() for record in RECORDS]
for place, line in (
    (3, b""),
    (50, b"no json"),
    (51, b'{"text": " "}'),
    (90, b'{"text": "' + b"x" * 30_000 + b'"}'),
    (91, b""),
):
    LINES.insert(place, line)
DATA = b"\n".join(LINES) + b"\n"
LIMIT = 10_000


def frames(sized: bool) -> bytes:
    """Frames whose edges fall within lines, and on a newline's either side."""
    end = DATA.index(b"\n", 20_000)
    cuts = [0, 700, 5000, 5001, end, end + 1, 40_000, len(DATA)]
    compressor = zstandard.ZstdCompressor(write_content_size=sized)
    return b"".join(compressor.compress(DATA[a:b]) for a, b in zip(cuts, cuts[1:], strict=False))


def outcome(files: list[RawFile], path: Path) -> tuple[list, list, list, int, float]:
    """(documents, drops, quarantine, rows in, bytes in) of files, each a shard."""
    config = Ingest((Source("s", str(path), lang="en"),), max_record_bytes=LIMIT)
    pieces = [p for file in files for p in read_file((config.sources[0], file), config)]
    kept = pa.concat_tables([p.kept for p in pieces]).to_pylist()
    dropped = [(d["id"], d["rule"]) for p in pieces for d in p.dropped.to_pylist()]
    bad = [tuple(q.values()) for p in pieces for q in p.quarantine.to_pylist()]
    return kept, dropped, bad, sum(p.rows_in for p in pieces), sum(p.facts["bytes_in"] for p in pieces)


FORMS = {
    "a.jsonl": DATA,
    "no_newline.jsonl": DATA[:-1],
    "bom.jsonl": b"\xef\xbb\xbf" + DATA,
    "crlf.jsonl": DATA.replace(b"\n", b"\r\n"),
    "sized.jsonl.zst": frames(True),
    "unsized.jsonl.zst": frames(False),
}


@pytest.mark.parametrize("name", FORMS)
def test_parts_of_any_size_give_the_same_documents(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name])
    file = RawFile.at(path)
    whole = outcome([file], path)
    assert (len(whole[0]), len(whole[1]), len(whole[2]), whole[3]) == (200, 1, 2, 203)
    counts = set()
    for split_bytes in (1 if "zst" in name else 97, 150, 1000, 4096, 11_000, 1 << 20):
        made = parts(file, "jsonl", split_bytes)
        counts.add(len(made))
        assert outcome(made, path) == whole, split_bytes
    assert 1 in counts
    assert max(counts) >= 6


def test_a_part_that_owned_the_line_it_begins_in_would_be_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(DATA)
    file = RawFile.at(path)
    first, second = RawFile(file.url, file.relative, file.size, (0, 999), 0, 999), file
    assert outcome([first, second], path) != outcome([file], path)


def test_row_groups_are_parts_and_keep_their_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {i} " + "word " * (i % 50) for i in range(1000)] + [None], "n": range(1001)})
    pq.write_table(table, path, row_group_size=90)
    file = RawFile.at(path)
    whole = outcome([file], path)
    assert (len(whole[0]), len(whole[2])) == (1000, 1)
    for split_bytes, least in ((1, 12), (2000, 3), (1 << 30, 1)):
        made = parts(file, "parquet", split_bytes)
        assert len(made) >= least
        assert outcome(made, path) == whole


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl.gz", gzip.compress(DATA)),
        ("one_frame.jsonl.zst", zstandard.compress(DATA)),
        ("cut.jsonl.zst", frames(True)[:-9]),
        ("array.json", json.dumps(RECORDS).encode()),
        ("utf16.jsonl", DATA.decode().encode("utf-16")),
        ("cut.parquet", b"PAR1" + bytes(4000)),
    ],
)
def test_what_cannot_be_split_stays_whole(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    file = RawFile.at(tmp_path / name)
    assert parts(file, "parquet" if name.endswith("parquet") else "jsonl", 100) == [file]


def test_a_small_file_is_not_opened(tmp_path: Path) -> None:
    assert len(parts(RawFile(str(tmp_path / "nowhere.jsonl"), "nowhere.jsonl", 100), "jsonl", 100)) == 1
