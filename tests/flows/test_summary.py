"""The summary of a run is read from manifests."""

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from flows import summary
from openseek.artifact import MANIFEST, write_manifest

DATA = {
    "rows_in": 1200,
    "rows_out": 1000,
    "dropped": {"short": 150, "score_lang": 40},
    "quarantined": 10,
    "seconds": 2.5,
}
TRAINED = {"tokens": 5000, "loss": 3.25, "heldout_loss": 3.5, "ranks": 2, "accepted": 7, "seconds": 60.0}
MEASURED = {"scores": {"arc": {"acc": 0.25}}, "seconds": 4}


def finished(folder: Path, name: str, facts: dict[str, Any]) -> Path:
    path = folder / name
    path.mkdir()
    write_manifest(path, task=name, label=None, version=1, fingerprint="0" * 64, inputs={}, config={}, facts=facts)
    assert json.loads((path / MANIFEST).read_text())["facts"] == facts
    return path


def test_rows_markdown_table_and_numbers(tmp_path: Path) -> None:
    all_facts = {"filter": DATA, "pretrain": TRAINED, "evaluate.sft": MEASURED}
    rows = summary.rows({name: finished(tmp_path, name, facts) for name, facts in all_facts.items()})
    assert [row["task"] for row in rows] == list(all_facts)
    assert [rows[0][name] for name in ("in", "kept", "dropped", "quarantined")] == [1200, 1000, 190, 10]
    assert rows[0]["scores"] == {}
    assert rows[1]["in"] is None
    assert rows[1]["tokens"] == 5000
    assert rows[1]["losses"] == {"heldout_loss": 3.5, "loss": 3.25}
    assert list(rows[1]["losses"]) == ["heldout_loss", "loss"]
    assert rows[1]["scores"] == {}
    assert rows[2]["scores"] == {"scores.arc.acc": 0.25}

    lines = summary.markdown(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert len({line.count("|") for line in lines}) == 1
    assert "1,200" in lines[2]
    assert summary.numbers(rows) == {
        "filter.seconds": 2.5,
        "pretrain.loss": 3.25,
        "pretrain.heldout_loss": 3.5,
        "pretrain.seconds": 60.0,
        "evaluate.sft.scores.arc.acc": 0.25,
        "evaluate.sft.seconds": 4.0,
    }
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(summary.table(rows, "all"))
    assert "heldout_loss 3.5" in console.export_text()
