"""classify adds scores that tell real sources apart; select drops by them with value and limit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.scorers import Classify, Select, Threshold, hashed_ngrams, labelled
from openseek.data.sources import Ingest, Source
from tasks.classify import classify, select
from tasks.ingest import ingest
from tasks.shards import input_shards
from tasks.where import Where

WEB = Classify(positive_sources=("edu",), negative_sources=("web",), bits=14)


def read(directory: Path, part: str) -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / part).glob("*.parquet"))]).to_pylist()


@pytest.fixture
def documents(documents_of) -> Path:
    generator = np.random.default_rng(1)
    words = [f"word{i}" for i in range(300)]
    rows = []
    for i in range(240):
        source = ("edu", "web", "other")[i % 3]
        extra = ["theorem", "lesson"] if source == "edu" else ["click", "sale"]
        rows.append({"text": " ".join([*generator.choice(words, 30), *generator.choice(extra, 5)]), "source": source})
    return documents_of([rows[:100], rows[100:]])


def test_scores_are_added_to_every_document(documents: Path) -> None:
    directory = classify(documents, config=WEB)
    facts = read_manifest(directory)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"]) == (240, 240, {})
    assert facts["training_documents"] + facts["heldout_documents"] == 160
    assert facts["quality_auc"] > 0.95
    table = pq.read_table(directory / "data" / "00000.parquet")
    assert table.schema.field("score_quality").type == pa.float32()
    assert table.schema.field("score_lang").type == pa.float32()
    before, after = read(documents, "data"), read(directory, "data")
    assert [{k: row[k] for k in before[0]} for row in after] == before
    weights, _ = hashed_ngrams.load(directory / "quality.npz")
    assert weights.shape == ((1 << 14) + 1,)
    assert "quality.npz" in [f["path"] for f in read_manifest(directory)["files"]]


def test_equal_work_gives_equal_files(documents: Path, root: Where, files_of) -> None:
    first, second = (classify(documents, config=WEB, out=root.root / name) for name in ("a", "b"))
    assert files_of(first) == files_of(second)


def test_the_number_of_shards_does_not_matter(documents: Path, root: Where) -> None:
    table = labelled.sample(input_shards(documents), WEB)
    whole = pa.concat_tables([pq.read_table(p) for p in input_shards(documents)])
    pq.write_table(whole, root.root / "one.parquet")
    assert labelled.sample([root.root / "one.parquet"], WEB).equals(table)
    few = labelled.sample(input_shards(documents), Classify(("edu",), ("web",), max_documents_per_class=25))
    assert few["label"].to_pylist().count(True) == few["label"].to_pylist().count(False) == 25


def test_held_out_documents_are_a_share_by_id() -> None:
    ids = [f"{hash_:032x}" for hash_ in np.random.default_rng(0).integers(0, 2**62, 4000).tolist()]
    held = labelled.held_out(ids, 0.2)
    assert 0.17 < held.mean() < 0.23
    assert (labelled.held_out(ids[::-1], 0.2)[::-1] == held).all()


def test_sources_that_are_not_there_are_named(documents: Path) -> None:
    with pytest.raises(ValueError, match=r"0 documents of Classify.positive_sources \(books\), fewer than"):
        classify(documents, config=Classify(positive_sources=("books",), negative_sources=("web",)))


def test_select_drops_below_the_threshold_within_its_scope(documents: Path) -> None:
    scored = classify(documents, config=WEB)
    rows = read(scored, "data")
    limit = sorted(r["score_quality"] for r in rows if r["source"] != "edu")[40]
    directory = select(scored, config=Select((Threshold(minimum=limit, except_sources=("edu",)),)))
    kept, dropped = read(directory, "data"), read(directory, "dropped")
    expected = [r["id"] for r in rows if r["source"] != "edu" and r["score_quality"] < limit]
    assert len(expected) == 40
    assert [r["id"] for r in dropped] == expected
    assert [r["id"] for r in kept] == [r["id"] for r in rows if r["id"] not in set(expected)]
    by_id = {r["id"]: r["score_quality"] for r in rows}
    assert all((r["rule"], r["limit"], r["value"]) == ("score_quality_min", limit, by_id[r["id"]]) for r in dropped)
    facts = read_manifest(directory)["facts"]
    assert facts["dropped"] == {"score_quality_min": len(expected)}


def test_select_without_scores_says_what_to_run(documents: Path) -> None:
    with pytest.raises(ValueError, match="run `classify` before `select`"):
        select(documents)


def test_real_sources_are_told_apart_and_shuffled_labels_are_not(root: Where, shared: Path) -> None:
    sources = (
        Source("edu", str(shared / "dolma" / "wiki" / "*.json.gz")),
        Source("books", str(shared / "dolma" / "books" / "*.json.gz")),
        Source("web", str(shared / "en_edu" / "fineweb-edu" / "sample" / "**" / "*.parquet")),
    )
    documents = ingest(config=Ingest(sources))
    config = Classify(positive_sources=("edu", "books"), negative_sources=("web",))
    assert read_manifest(classify(documents, config=config))["facts"]["quality_auc"] > 0.8
    table = labelled.sample(input_shards(documents), config)
    labels = np.random.default_rng(0).permutation(np.asarray(table["label"]))
    held = labelled.held_out(table["id"].to_pylist(), config.heldout_fraction)
    weights = hashed_ngrams.train(table.filter(~held), labels[~held], config)
    scores = hashed_ngrams.score(table.filter(held), weights, config.max_words)
    assert 0.35 < hashed_ngrams.area_under_curve(scores, labels[held]) < 0.65
