"""filter: documents in, clean documents and reasons out; nothing lost."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.filters import Filters
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.length import Length
from openseek.data.sources import Ingest, Source
from tasks.filter import filter
from tasks.ingest import ingest
from tasks.where import Where

WORDS = [
    f"{a}{b}" for a in ("ri", "ma", "to", "ne", "pu", "ka", "so", "li") for b in ("ver", "son", "nal", "gle", "tic")
]
PROSE = "The story of the {0} and its friends that have to be told. " + " ".join(WORDS)
HANT = "我們在這裡學習漢語，這個故事說的是一個人和他的國家，後來發生了許多事情。" + "".join(
    chr(0x4E00 + 7 * i) for i in range(80)
)


def read(directory: Path, part: str) -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / part).glob("*.parquet"))]).to_pylist()


@pytest.fixture
def documents(root: Where, tmp_path: Path) -> Path:
    rows = [
        {"text": PROSE.format("fox")},
        {"text": "too short"},
        {"text": HANT},
        {"text": "Une histoire en français que personne ne veut garder, car le corpus est anglais et chinois. " * 2},
        {"text": PROSE.format("\u201cwolf\u201d") + "\r\nWe use cookies to improve your visit"},
    ]
    for name, part in (("a", rows[:3]), ("b", rows[3:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return ingest(config=Ingest((Source("web", str(tmp_path / "*.jsonl")),)))


def test_documents_are_cleaned_and_dropped_with_reasons(documents: Path) -> None:
    directory = filter(documents)
    facts = read_manifest(directory)["facts"]
    assert (facts["rows_in"], facts["rows_out"]) == (5, 3)
    assert facts["dropped"] == {"language": 1, "length_min": 1}
    assert (facts["traditional_in"], facts["traditional_out"]) == (1, 0)
    fox, chinese, wolf = read(directory, "data")
    assert fox["text"] == PROSE.format("fox")
    assert chinese["text"].startswith("我们在这里学习汉语")
    assert chinese["script"] == "Hans"
    assert wolf["text"] == PROSE.format("“wolf”")
    rows = read(directory, "dropped")
    assert [(r["shard"], r["row"], r["rule"], r["value"], r["limit"], r["detail"]) for r in rows if r["first"]] == [
        (0, 1, "length_min", 9, 100, ""),
        (1, 0, "language", 1, 0, "fr"),
    ]
    assert "gopher_min_words" in [r["rule"] for r in rows if r["shard"] == 0 and not r["first"]]
    before = {r["id"]: r for r in read(documents, "data")}
    assert all(r["id"] in before for r in rows)


def test_a_changed_threshold_changes_what_stays(documents: Path) -> None:
    quality, repetition = GopherQuality(enabled=False), GopherRepetition(enabled=False)
    lenient = Filters(length=Length(min_characters=5), gopher_quality=quality, gopher_repetition=repetition)
    assert read_manifest(filter(documents, config=lenient))["facts"]["dropped"] == {"language": 1}


def test_most_code_and_math_of_the_samples_stays(root: Where, samples: Path) -> None:
    sources = (
        Source("code", str(samples / "code" / "stack.parquet"), lang="en"),
        Source("math", str(samples / "math" / "*.jsonl.zst"), lang="en"),
    )
    facts = read_manifest(filter(ingest(config=Ingest(sources))))["facts"]
    assert facts["rows_out"] >= 0.9 * facts["rows_in"] > 100


def test_most_real_pages_are_read_and_kept(root: Where, samples: Path) -> None:
    source = Source("zh_web", str(samples / "zh_web" / "*.warc.gz"))
    pages = ingest(config=Ingest((source,)))
    rows = read(pages, "data")
    chinese = [r for r in rows if r["lang"] == "zh"]
    assert len(chinese) > 0.4 * len(rows) > 20
    assert sum("\ufffd" in r["text"] for r in rows) < 0.02 * len(rows)
    kept = read(filter(pages), "data")
    assert len(kept) > 0.5 * len(rows)
    assert {r["script"] for r in kept if r["lang"] == "zh"} == {"Hans"}
