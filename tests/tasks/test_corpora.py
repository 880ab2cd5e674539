"""Everything below ../shared/corpora goes through ingest and filter, and every record of it is accounted for."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.filters.presets import PRESETS
from openseek.data.sources import Ingest, Source
from openseek.data.sources.catalogue import chosen
from openseek.data.sources.content import Content
from openseek.data.sources.parts import bundled
from openseek.raw_files import find
from tasks.filter import filter as filter_documents
from tasks.ingest import ingest
from tasks.where import Where, using

CATALOGUED = (
    *("nemotron_cc_high_actual", "nemotron_cc_high_diverse_qa_pairs", "fineweb_edu", "cci3_hq"),
    *("fineweb_edu_chinese_4_5", "fineweb_edu_chinese_3_4", "fineweb_edu_chinese_2_3"),
    *("dolma_wiki", "dolma_books", "dolma_papers", "opc_fineweb_code", "python_edu", "the_stack_v2"),
    *("proof_pile_2_arxiv", "proof_pile_2_open_web_math", "finemath_3plus"),
)
FOLDERS = {"Nemotron-CC": "en_edu/nemotron-cc", "dolma": "dolma"}
"""Where the corpora name a set's folder otherwise than its home does."""
PLAIN = (
    ("en_web", "en_web/*.warc.gz", {}),
    ("zh_web", "zh_web/*.warc.gz", {}),
    ("fineweb_edu_10bt", "en_edu/fineweb-edu/sample/10BT/*.parquet", {}),
    ("wikipedia", "dolma/wiki_dump/*.bz2", {}),
    ("cmmlu", "benchmarks/cmmlu/test/*.csv", {"text_column": "Question"}),
    ("chat", "sft/chat/*.jsonl.zst", {"kind": "chat"}),
    ("alpaca", "sft/llama_factory/alpaca_*.json.gz", {"kind": "chat"}),
    ("gsm8k", "rl/gsm8k/train.jsonl.zst", {"kind": "problem", "answer_marker": "####"}),
    ("math", "rl/math/*.json.gz", {"kind": "problem", "question_column": "problem"}),
)


def config_of(corpora: Path) -> Ingest:
    sources = tuple(Source(name, str(corpora / path), **more) for name, path, more in PLAIN)  # type: ignore[arg-type]
    contents = Content("blob_id", str(corpora / "code" / "swh-content"))
    made = []
    for entry in chosen(CATALOGUED):
        folder = FOLDERS.get(entry.dataset) or next(corpora.glob(f"*/{entry.dataset}")).relative_to(corpora)
        more = {"content": contents} if entry.content.column else {}
        made.append(entry.source(str(corpora / folder), **more))
    return Ingest((*sources, *made))


def rows_of(directory: Path, shard: int) -> dict[str, int]:
    """Rows kept, dropped and quarantined of one shard."""
    name = f"{shard:05d}.parquet"
    dropped = pq.read_table(directory / "dropped" / name, columns=["first"])["first"].to_pylist()
    kept, quarantined = (pq.read_metadata(directory / part / name).num_rows for part in ("data", "quarantine"))
    return {"kept": kept, "dropped": sum(dropped), "quarantined": quarantined}


@pytest.fixture(scope="module")
def steps(shared: Path, dask_address: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    with using(Where(root=tmp_path_factory.mktemp("corpora"), dask=lambda: dask_address)):
        documents = ingest(config=config_of(shared))
        return documents, filter_documents(documents, config=PRESETS["web"])


def test_every_record_of_every_file_is_accounted_for(steps: tuple[Path, Path], shared: Path) -> None:
    documents, _ = steps
    records = {e["file"]: e.get("records") for e in json.loads((shared / "manifest.json").read_text())["files"]}
    sources = config_of(shared).sources
    shards = [(source, bundle) for source in sources for bundle in bundled(find(source.path))]
    assert len(list((documents / "data").glob("*.parquet"))) == len(shards)
    assert sum(len(bundle) for _, bundle in shards) > len(shards), "a source of many small files shares shards"
    checked = 0
    for shard, (source, bundle) in enumerate(shards):
        found = rows_of(documents, shard)
        assert found["kept"] > 0, bundle
        told = [records.get(str(Path(str(file)).relative_to(shared))) for file in bundle]
        expected = [count for count in told if count is not None]
        # A table's header and a dump's pages are no records of the list.
        if len(expected) < len(bundle) or source.name in ("cmmlu", "en_web", "zh_web"):
            continue
        assert sum(found.values()) == sum(expected), bundle
        checked += 1
    assert checked > 20


def test_the_filter_accounts_for_every_document(steps: tuple[Path, Path]) -> None:
    documents, filtered = steps
    facts = read_manifest(filtered)["facts"]
    assert facts["rows_in"] == read_manifest(documents)["facts"]["rows_out"]
    assert facts["rows_in"] == facts["rows_out"] + sum(facts["dropped"].values()) + facts["quarantined"]
    assert 0.2 * facts["rows_in"] < facts["rows_out"] < facts["rows_in"]


def test_hardly_anything_is_unreadable(steps: tuple[Path, Path]) -> None:
    facts = read_manifest(steps[0])["facts"]
    assert facts["quarantined"] <= 0.001 * facts["rows_in"], facts


def test_the_same_documents_have_texts_fetched_by_id(steps: tuple[Path, Path], shared: Path) -> None:
    """python-edu and the-stack-v2 hold ids only: each document's text is the content of its blob."""
    import gzip

    found = 0
    for path in sorted((steps[0] / "data").glob("*.parquet")):
        for row in pq.read_table(path, columns=["source", "text", "meta"]).to_pylist():
            if row["source"] == "the_stack_v2":
                blob = (shared / "code" / "swh-content" / json.loads(row["meta"])["blob_id"]).read_bytes()
                assert row["text"] == gzip.decompress(blob).decode("utf-8", "replace")
                found += 1
    assert found > 100
