"""`openseek thresholds`: what it foretells is what a filter with those thresholds does."""

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.__main__ import main
from openseek.artifact import read_manifest
from openseek.data.document import DOCUMENT, document_id
from openseek.data.filters import Filters
from openseek.data.statistics_table import Decider
from openseek.data.thresholds import Comparison, restored, steps
from openseek.fields import changed
from tasks.command import assignments
from tasks.filter import filter as filter_documents
from tasks.shards import map_shards
from tasks.task import task
from tasks.where import Where

CHANGES = (
    {"gopher_quality.min_words": 20, "length.min_characters": 30},
    {"gopher_quality.enabled": False, "chinese.max_characters": 90},
    {"gopher_repetition.max_duplicate_lines": 0.05, "gopher_quality.sources": ["wiki"], "language.keep": ["en"]},
    {"garbled.min_letters": 0.9, "source_code.max_line_characters": 100},
)


def rows() -> list[dict]:
    texts = []
    for i in range(120):
        words = " ".join(f"w{chr(97 + k % 26)}{chr(97 + (i + k) % 26)}rd" for k in range(i))
        texts.append(f"The tale of {i} and that which they have to be. {words}" + "\nagain\nagain" * (i % 7))
    return [
        dict.fromkeys(DOCUMENT.names, "")
        | {"id": document_id("s", "f", i), "text": text, "url": f"http://a/{i}"}
        | {"lang": ("en", "en", "fr", "zh")[i % 4], "source": ("web", "wiki", "code")[i % 3], "meta": "{}"}
        for i, text in enumerate(texts)
    ]


@task
def gather(out: Path, config: None = None) -> dict:
    """Documents of several languages, sources and lengths."""
    import pyarrow as pa

    from openseek.data.document import ShardOutput

    def pieces(part: list[dict]):  # noqa: ANN202
        yield ShardOutput(pa.Table.from_pylist(part, DOCUMENT), len(part))

    return map_shards(out, [rows()[:70], rows()[70:]], pieces, title="gather")


@pytest.fixture
def documents(root: Where) -> Path:
    return gather()


@pytest.mark.parametrize("change", CHANGES)
def test_what_it_foretells_happens(documents: Path, change: dict) -> None:
    filtered = filter_documents(documents)
    config = restored(read_manifest(filtered)["config"])
    assert config == Filters()
    wanted = changed(config, change)
    shards = sorted((filtered / "statistics").glob("*.parquet"))
    found = Comparison(steps(config), steps(wanted), pq.read_schema(shards[0]), examples=3)
    for index, shard in enumerate(shards):
        found.add(pq.read_table(shard).combine_chunks().to_batches()[0], index, 0)
    real = read_manifest(filter_documents(documents, config=wanted))["facts"]
    assert {rule: n for rule, n in found.dropped[1].items() if n} == real["dropped"]
    assert real["dropped"] != read_manifest(filtered)["facts"]["dropped"], "the change changes nothing"
    assert sum(after for _, _, after in found.sources.values()) == real["rows_out"]


def test_it_tells_who_changes_sides_and_how_to_run_it(documents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filtered = filter_documents(documents)
    words = ["thresholds", str(filtered), "--set", "gopher_quality.min_words=20", "length.min_characters=30"]
    assert main(words) == 0
    told = capsys.readouterr().out
    gained = filtered.resolve().parent / "again"
    command = told[told.index("openseek filter ") :].split("--set", 1)[1].split()
    real = filter_documents(documents, config=changed(Filters(), assignments(command)), out=gained)
    more = read_manifest(real)["facts"]["rows_out"] - read_manifest(filtered)["facts"]["rows_out"]
    assert more > 0
    assert f"{more} would stay after all" in told
    assert "(limit 50) http://a/" in told


def test_a_change_to_a_cleaner_is_refused_with_the_reason(documents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filtered = filter_documents(documents)
    assert main(["thresholds", str(filtered), "--set", "boilerplate.max_characters=3"]) == 1
    told = capsys.readouterr().err
    assert "BoilerplateLines rewrites the text" in told
    assert "openseek filter --documents" in told
    assert main(["thresholds", str(documents)]) == 1
    assert "holds no statistics" in capsys.readouterr().err
    assert main(["thresholds", str(filtered), "--source", "nothing"]) == 1


def test_rules_that_have_changed_since_are_noticed(documents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filtered = filter_documents(documents)
    shard = filtered / "statistics" / "00000.parquet"
    table = pq.read_table(shard)
    pq.write_table(table.set_column(table.schema.get_field_index("characters"), "characters", [[0] * 70]), shard)
    assert main(["thresholds", str(filtered)]) == 1
    assert "made by other rules" in capsys.readouterr().err


def test_the_table_has_no_text(documents: Path) -> None:
    filtered = filter_documents(documents)
    kind = pq.read_schema(filtered / "statistics" / "00000.parquet")
    assert not {"text", "url", "meta"} & {*kind.names}
    every = steps(dataclasses.replace(Filters()))
    assert Decider(every, every, kind)


def test_why_tells_the_numbers_of_a_dropped_document(documents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filtered = filter_documents(documents)
    gone = pq.read_table(filtered / "dropped" / "00000.parquet")["id"][0].as_py()
    assert main(["why", gone, "--root", str(filtered.resolve().parent)]) == 0
    told = capsys.readouterr().out
    counted = pq.read_table(filtered / "statistics" / "00000.parquet").to_pylist()
    (row,) = [r for r in counted if r["id"] == gone]
    assert f"characters {row['characters']}" in told
