"""dedup_exact as a task: which copy stays, partners, bad input."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data import bands
from openseek.data.exact import DedupExact
from openseek.data.keep import KeepPolicy
from tasks.dedup_exact import dedup_exact
from tasks.where import Where, using

Documents = Callable[..., Path]


def rows(directory: Path, folder: str = "data") -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / folder).glob("*.parquet"))]).to_pylist()


def texts(directory: Path) -> list[str]:
    return [row["text"] for row in rows(directory)]


def test_planted_duplicate_goes_and_its_twin_stays(documents_of: Documents) -> None:
    documents = documents_of([["one text", "another", " one\ttext\n"], ["One text", "another", "last"]])
    out = dedup_exact(documents, config=DedupExact())
    assert texts(out) == ["one text", "another", "One text", "last"]
    kept = {row["text"]: row["id"] for row in rows(out)}
    dropped = rows(out, "dropped")
    assert [(d["rule"], d["partner"], d["shard"], d["row"], d["first"]) for d in dropped] == [
        ("exact", kept["one text"], 0, 2, True),
        ("exact", kept["another"], 1, 1, True),
    ]
    facts = read_manifest(out)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"]) == (6, 4, {"exact": 2})


def test_trusted_source_keeps_its_copy(documents_of: Documents) -> None:
    documents = documents_of([[{"text": "same", "source": "web"}], [{"text": "same", "source": "book"}]])
    out = dedup_exact(documents, config=DedupExact(keep=KeepPolicy(sources=("book",))))
    assert [row["source"] for row in rows(out)] == ["book"]


def test_many_equal_documents_and_empty_ones(documents_of: Documents) -> None:
    documents = documents_of([["the same"] * 20_000, ["", "  ", "other"], ["the same"] * 10_000])
    out = dedup_exact(documents)
    assert texts(out) == ["the same", "", "other"]
    dropped = rows(out, "dropped")
    assert len(dropped) == 30_000
    assert {d["partner"] for d in dropped[:19_999]} == {rows(out)[0]["id"]}


@pytest.mark.parametrize("shards", [[], [[]], [[], ["", "only"]]])
def test_empty_shards(documents_of: Documents, shards: list[list[str]]) -> None:
    out = dedup_exact(documents_of(shards))
    assert read_manifest(out)["facts"]["rows_out"] == sum(map(len, shards))


def test_a_later_crawl_is_compared_with_earlier_ones(documents_of: Documents) -> None:
    first = dedup_exact(documents_of([["one", "two"], ["three", "one "]], name="crawl1"), label="1")
    second = dedup_exact(documents_of([["four", "two"], ["five"]], name="crawl2"), first, label="2")
    trusted = [{"text": "three", "source": "book"}, {"text": "new", "source": "web"}]
    documents = documents_of([["five", "new", "one", "two"], trusted], name="crawl3")
    out = dedup_exact(documents, second, config=DedupExact(keep=KeepPolicy(sources=("book",))), label="3")
    stays = {row["text"]: row["id"] for part in (first, second, out) for row in rows(part)}
    # A document of an earlier crawl stays whatever the trust in the source of the later one.
    assert [texts(part) for part in (first, second, out)] == [["one", "two", "three"], ["four", "five"], ["new"]]
    assert [(d["shard"], d["row"], d["partner"]) for d in rows(out, "dropped")] == [
        (0, 0, stays["five"]),
        (0, 2, stays["one"]),
        (0, 3, stays["two"]),
        (1, 0, stays["three"]),
        (1, 1, stays["new"]),
    ]
    facts = read_manifest(out)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"], facts["older_shards"]) == (6, 1, {"exact": 5}, 4)


def test_an_older_corpus_of_other_hashes_is_refused(documents_of: Documents) -> None:
    documents = documents_of([["one", "two"]])
    older = dedup_exact(documents, config=DedupExact(normalise="case"), label="older")
    with pytest.raises(ValueError, match="use the same settings"):
        dedup_exact(documents, older)
    with pytest.raises(ValueError, match="is no result of dedup_exact"):
        dedup_exact(documents, documents)


def test_a_damaged_earlier_result_is_named_and_left_alone(documents_of: Documents) -> None:
    documents = documents_of([["one", "two"]])
    older = dedup_exact(documents, label="older")
    kept = older / "hashes" / "00000.npy"
    kept.write_bytes(kept.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"hashes/00000.npy is missing or damaged: run the task that made its folder"):
        dedup_exact(documents, older)
    assert kept.exists()


def test_partitions_do_not_change_a_byte(
    documents_of: Documents, files_of, root: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = documents_of([[f"text {i % 70}" for i in range(100)], [f"text {i}" for i in range(90)]])
    one = files_of(dedup_exact(documents))
    monkeypatch.setattr(bands, "LEAST_RECORDS", 10)
    monkeypatch.setattr(bands, "SLICE_RECORDS", 1)
    assert bands.partition_bits(190, 2) > 3
    with using(replace(root, root=root.root / "many")):
        assert files_of(dedup_exact(documents)) == one


def test_a_damaged_intermediate_file_is_made_again(
    documents_of: Documents, files_of, root: Where, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks import dedup_exact as module

    documents = documents_of([[f"text {i}" for i in range(50)], ["text 7", "text 9"]])
    whole = files_of(dedup_exact(documents))
    honest, done = module._decide, []

    def damaging(partition: int, target: Path, *, hashes: list[Path], num_older: int):
        if not done:
            done.append(hashes[1].write_bytes(hashes[1].read_bytes()[:-3]))
        return honest(partition, target, hashes=hashes, num_older=num_older)

    monkeypatch.setattr(module, "_decide", damaging)
    with using(replace(root, root=root.root / "damaged")):
        assert files_of(dedup_exact(documents)) == whole
    assert "00001.npy is missing or damaged: it is made again" in capsys.readouterr().out
