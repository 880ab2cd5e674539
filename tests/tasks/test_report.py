"""The report of a pass: its numbers are those of the manifest, and it tells of a source that is wiped out."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.document import ShardOutput, dropped_table
from openseek.data.filters import Filters
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.filters.length import Length
from openseek.data.repeated_lines import DedupLines
from openseek.data.scorers import Select, Threshold
from openseek.data.sources import Ingest, Source
from tasks.classify import select
from tasks.dedup_exact import dedup_exact
from tasks.dedup_lines import dedup_lines
from tasks.dedup_minhash import dedup_minhash
from tasks.dedup_substring import dedup_substring
from tasks.filter import filter as filter_documents
from tasks.ingest import ingest
from tasks.report import report
from tasks.shards import input_shards, map_shards
from tasks.where import Where, using

PROSE = "The story of the {0} and its friends that have to be told again, and what {0} said of it to all of them."
LENIENT = Filters(gopher_quality=GopherQuality(min_words=20))


def page(directory: Path) -> str:
    return (directory / "report.html").read_text(encoding="utf-8")


def cells(text: str, name: str) -> list[str]:
    """The row of a table whose first cell is `name`."""
    found = re.search(rf"<tr[^>]*><td>{re.escape(name)}</td>(.*?)</tr>", text)
    assert found is not None, name
    return re.findall(r"<td[^>]*>(.*?)</td>", found.group(1))


@pytest.fixture
def documents(documents_of: Callable[..., Path]) -> Path:
    shards = [
        [PROSE.format(f"fox {chr(97 + i)}") for i in range(20)],
        [
            *({"text": PROSE.format(f"wolf {chr(97 + i)}"), "source": "wiki"} for i in range(12)),
            *({"text": f"short <script>alert({i})</script>", "source": "bad"} for i in range(15)),
            {"text": PROSE.format("bear"), "source": "bad", "url": "http://a/?x=<b>"},
        ],
    ]
    return documents_of(shards)


def test_its_numbers_are_those_of_the_manifest(documents: Path) -> None:
    directory = filter_documents(documents, config=LENIENT)
    facts, text = read_manifest(directory)["facts"], page(directory)
    assert facts["rows_in"] == 48
    assert facts["dropped"] == {"length_min": 15}
    assert cells(text, "in") == ["48", "100.0%"]
    assert cells(text, "kept") == ["33", "68.8%"]
    limit, seen, broken, first, _ = cells(text, "length_min")
    assert (limit, seen, broken, first) == ("≥ 100", "48", "15", "15")
    assert cells(text, "wiki") == ["12", "12", "0", "0", "0.0%", ""]
    assert "values of gopher_min_words" in text
    assert {"report.html", "report.md", "statistics/00001.parquet"} <= {
        f["path"] for f in read_manifest(directory)["files"]
    }


def test_a_wiped_source_is_an_alarm_and_the_others_are_not(documents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = filter_documents(documents, config=LENIENT)
    alarm = "source bad loses 94% of its documents"
    assert read_manifest(directory)["facts"]["alarms"] == [alarm]
    assert f"filter: ALARM: {alarm}" in capsys.readouterr().out
    assert cells(page(directory), "bad") == ["16", "1", "15", "0", "93.8%", "ALARM"]
    quality, repetition = GopherQuality(enabled=False), GopherRepetition(enabled=False)
    every = Filters(length=Length(min_characters=1), gopher_quality=quality, gopher_repetition=repetition)
    lenient = filter_documents(documents, config=every)
    assert read_manifest(lenient)["facts"]["alarms"] == []


def test_examples_stand_on_both_sides_and_no_text_becomes_markup(documents: Path) -> None:
    text = page(filter_documents(documents, config=LENIENT))
    section = re.search(r'<section><h3 id="length_min">.*?</section>', text, re.DOTALL)
    assert section is not None
    keep, lose = section.group().split("documents that break it")
    assert "The story of the" in keep
    assert "short &lt;script&gt;alert(" in lose
    assert "<script" not in text
    assert "http://a/?x=<b>" not in text
    assert not re.search(r'(src|href)="', text), "the page needs something else"


def test_the_statistics_have_a_row_for_every_document_in_order(documents: Path) -> None:
    directory = filter_documents(documents, config=LENIENT)
    for shard in sorted((documents / "data").glob("*.parquet")):
        kept = pq.read_table(directory / "statistics" / shard.name)
        assert kept["id"].to_pylist() == pq.read_table(shard)["id"].to_pylist()
        assert "text" not in kept.column_names


def test_workers_and_places_do_not_change_a_byte(
    documents: Path, two_workers: str, tmp_path: Path, root: Where
) -> None:
    here = page(filter_documents(documents, config=LENIENT))
    with using(Where(root=root.root, dask=lambda: two_workers)):
        there = page(filter_documents(documents, config=LENIENT, out=tmp_path / "elsewhere"))
    assert here == there
    assert str(root.root) not in here


def test_scores_and_copies_have_their_pages(documents_of: Callable[..., Path]) -> None:
    twice = documents_of([[PROSE.format("fox"), PROSE.format("owl")], [PROSE.format("fox")]])
    directory = dedup_exact(twice)
    assert cells(page(directory), "exact") == ["", "1", "1", "1"]
    partner = pq.read_table(twice / "data" / "00000.parquet")["id"][0].as_py()
    assert f"instead of it: {partner}" in page(directory)


def test_scores_are_drawn_for_documents_that_stay_too(documents_of: Callable[..., Path], tmp_path: Path) -> None:
    plain = documents_of([[PROSE.format("fox"), PROSE.format("owl")]])
    shard = plain / "data" / "00000.parquet"
    table = pq.read_table(shard)
    pq.write_table(table.append_column("score_quality", [[0.1, 0.9]]), shard)
    directory = select(plain, config=Select((Threshold(minimum=0.5),)))
    assert cells(page(directory), "score_quality_min") == ["≥ 0.5", "2", "1", "1", "1"]
    assert "documents that keep it" in page(directory)


def test_raw_files_are_told_by_source_and_file_with_what_could_not_be_read(root: Where, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": \n{"text": "two"}\n')
    directory = ingest(config=Ingest((Source("mine", str(tmp_path / "a.jsonl"), lang="en", licence="by"),)))
    text = page(directory)
    assert cells(text, "mine") == ["3", "2", "0", "1", "33.3%", ""]
    assert cells(text, "mine: a.jsonl")[:4] == ["3", "2", "0", "1"]
    assert cells(text, "by")[0] == "2"
    assert "a.jsonl at 16" in text
    assert str(tmp_path) not in text


def copies(documents_of: Callable[..., Path], name: str = "copies") -> Path:
    """Two clusters over three shards: one of sixteen copies, one of three."""
    fox, owl = (" ".join(f"{animal}{i}" for i in range(60)) for animal in ("fox", "owl"))
    first = [fox, owl, PROSE.format("bear")]
    second = [{"text": f"{fox} <b>tail</b> {i}", "source": "forum"} for i in range(12)]
    third = [{"text": f"{fox}  {i}", "source": "mirror"} for i in range(3)] + [f"{owl} {i}" for i in range(2)]
    return documents_of([first, second, third], name)


def pairs(text: str) -> Sequence[tuple[str, str]]:
    """The cells of examples beside their partners."""
    return re.findall(r'<table class="pair">.*?<td class="excerpt">(.*?)</td><td class="excerpt">(.*?)</td>', text)


def test_the_partner_stands_beside_the_sample_and_clusters_add_up(documents_of: Callable[..., Path]) -> None:
    documents = copies(documents_of)
    directory = dedup_minhash(documents)
    text, facts = page(directory), read_manifest(directory)["facts"]
    ids = pq.read_table(documents / "data" / "00000.parquet")["id"].to_pylist()
    section = text.partition("<h2>Largest clusters</h2>")[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(<td.*?)</tr>", section)]
    assert [row[:4] for row in rows] == [["15", ids[0], "web", "forum 12, mirror 3"], ["2", ids[1], "web", "web 2"]]
    assert rows[0][4].startswith("fox0 fox1 ")
    assert sum(int(row[0]) for row in rows) == sum(facts["dropped"].values())
    found = pairs(text)
    assert len(found) == 3
    for left, right in found:
        assert left.startswith("<mark>fox0") or left.startswith("<mark>owl0")
        assert right.startswith(left[:40])
    assert facts["alarms"] == ["source forum loses 100% of its documents"]
    assert cells(text, "forum")[-1] == "ALARM"
    assert "| 15 | fox0" in (directory / "report.md").read_text(encoding="utf-8")


def test_a_cut_document_stands_beside_the_passage_that_it_repeats(documents_of: Callable[..., Path]) -> None:
    passage = " ".join(f"Sentence {i} is told." for i in range(50))
    directory = dedup_substring(documents_of([[f"Before. {passage} After."], [f"{passage} Own."]]))
    ((left, right),) = pairs(page(directory))
    assert left.startswith("<mark>Sentence 0 is told.")
    assert right.startswith("Before. <mark>Sentence 0 is told.")
    lines = dedup_lines(documents_of([["one line\nmore"], ["One line"]], "lines"), config=DedupLines(unit="line"))
    assert ("<mark>One line</mark>", "<mark>one line</mark> more") in pairs(page(lines))


def test_workers_do_not_change_the_page_of_a_deduplication(
    documents_of: Callable[..., Path], two_workers: str, tmp_path: Path, root: Where
) -> None:
    documents = copies(documents_of)
    here = page(dedup_minhash(documents))
    with using(Where(root=root.root, dask=lambda: two_workers)):
        there = page(dedup_minhash(documents, out=tmp_path / "elsewhere"))
    assert here == there


def test_a_partner_may_lie_in_shards_of_an_earlier_pass(documents_of: Callable[..., Path], tmp_path: Path) -> None:
    earlier = documents_of([[{"text": PROSE.format("fox"), "source": "old"}]], "earlier")
    documents = documents_of([[PROSE.format("fox") + " Again."], ["nothing"]])
    partner = pq.read_table(earlier / "data" / "00000.parquet")["id"][0].as_py()
    shards = input_shards(documents)

    def without(shard: Path):
        table = pq.read_table(shard)
        row = {"id": table["id"][0].as_py(), "task": "dedup_minhash", "rule": "minhash", "first": True, "row": 0}
        dropped = dropped_table([{**row, "value": 0.9, "limit": 0.7, "partner": partner}])
        yield ShardOutput(table, 1) if shard == shards[1] else ShardOutput(table.slice(1), 1, dropped)

    for place, known in (("with", input_shards(earlier)), ("without", [])):
        out = tmp_path / place
        facts = map_shards(out, shards, without, title="dedup_minhash")
        report(out, facts, shards, title="dedup_minhash", partners=known)
        assert len(pairs(page(out))) == len(known)
        row = re.search(rf"<tr><td class=\"n\">1</td><td>{partner}</td><td>(.*?)</td>", page(out))
        assert row is not None and row.group(1) == ("old" if known else "")


def test_partners_that_are_not_found_have_no_text(
    documents_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: where the search for partners finds nothing, no pair is shown."""
    from openseek.data import lookup

    documents = copies(documents_of)
    monkeypatch.setattr(lookup, "find_in_shard", lambda shard, ids: {})
    text = page(dedup_minhash(documents))
    assert pairs(text) == []
    assert "forum 12, mirror 3" in text
