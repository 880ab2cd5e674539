"""`openseek why` tells which step kept a document and which rule dropped it."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.runs import runs
from cli.why import why
from openseek.data.document import DOCUMENT, ShardOutput, document_id, dropped_table
from tasks.shards import input_shards, map_shards
from tasks.task import task
from tasks.where import Where


@pytest.fixture
def kept_and_dropped(root: Where) -> tuple[str, str]:
    texts = {"http://a/1": "a long text that stays", "http://b/2": "short"}
    ids = [document_id("web", "file", i) for i in range(2)]

    def documents(shard: int) -> Iterator[ShardOutput]:
        empty = [""] * 2
        columns = [
            ids,
            list(texts.values()),
            ["web"] * 2,
            list(texts),
            ["en"] * 2,
            ["Latn"] * 2,
            empty,
            empty,
            ["{}"] * 2,
        ]
        yield ShardOutput(pa.Table.from_arrays([pa.array(c) for c in columns], schema=DOCUMENT), 2)

    def without_short(shard: Path) -> Iterator[ShardOutput]:
        table = pq.read_table(shard)
        row = {"id": ids[1], "task": "shorten", "rule": "length", "value": 5.0, "limit": 10.0, "first": True, "row": 1}
        yield ShardOutput(table.slice(0, 1), 2, dropped_table([row]))

    @task
    def gather(out: Path, config: None = None) -> dict:
        return map_shards(out, [0], documents, title="gather")

    @task
    def shorten(out: Path, documents: Path, config: None = None) -> dict:
        return map_shards(out, input_shards(documents), without_short, title="shorten")

    shorten(gather())
    return ids[0], ids[1]


def test_a_kept_and_a_dropped_document(
    root: Where, kept_and_dropped: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    stays, goes = kept_and_dropped
    assert why(stays, root.root, text=True) == 0
    told = capsys.readouterr().out
    assert told.count("kept (web, en, 22 characters") == 2
    assert "a long text that stays" in told
    assert why(goes[:12], root.root) == 0
    told = capsys.readouterr().out
    assert "gather-" in told
    assert "dropped by length: 5.0 (limit 10.0)" in told
    assert why("b/2", root.root) == 0
    assert goes in capsys.readouterr().out


def test_an_unknown_document_fails(
    root: Where, kept_and_dropped: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert why("0" * 32, root.root) == 1
    assert "no document" in capsys.readouterr().out


def test_runs_lists_artifacts(
    root: Where, kept_and_dropped: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs(root.root) == 0
    told = capsys.readouterr().out
    assert "gather-" in told
    assert "shorten-" in told
    with pytest.raises(ValueError, match="does not exist"):
        runs(root.root / "nowhere")
