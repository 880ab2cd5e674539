"""`openseek sources`: the table, one entry in full, and a check that fails loudly and tells no token."""

from pathlib import Path

import pytest

from cli.__main__ import main
from cli.sources import sources
from openseek.data.sources.catalogue import CATALOGUE

TOKEN = "hf_thisisasecret"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def test_the_table_has_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert sources() == 0
    told = capsys.readouterr().out
    for name, entry in CATALOGUE.items():
        (line,) = [line for line in told.splitlines() if line.split()[1:2] == [name]]
        assert entry.licence in line and entry.size in line and entry.access in line


def test_one_entry_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sources", "the_stack_v2"]) == 0
    told = capsys.readouterr().out
    for wanted in ("datasets@softwareheritage.org", "detected_licenses", "data/**/*.parquet", "67,500 GB", "HF_TOKEN"):
        assert wanted in told
    assert main(["sources", "the_stack"]) == 1
    assert "did you mean the_stack_v2" in capsys.readouterr().err


def test_check_tells_needs_and_no_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert sources(check=True) == 0
    told = capsys.readouterr().out
    assert "HF_TOKEN is not set" in told and "(HF_TOKEN is not set)" in told
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert sources(check=True) == 0
    told = capsys.readouterr().out
    assert "HF_TOKEN is set" in told and "not set" not in told and TOKEN not in told


def test_check_reads_the_first_record_of_a_mirror(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part_000000.jsonl").write_text('{"id": "1", "text": "你好", "score": 3.5}\n')
    assert sources(("cci3_hq",), check=True, mirror=str(tmp_path)) == 0
    assert "cci3_hq: part_000000.jsonl has id, score, text" in capsys.readouterr().out
    (tmp_path / "data" / "part_000000.jsonl").write_text('{"id": "1", "content": "你好"}\n')
    assert sources(("cci3_hq",), check=True, mirror=str(tmp_path)) == 1
    told = capsys.readouterr().out
    assert "cci3_hq: FAILED" in told and "'text' is missing (columns: content, id)" in told
    # The column of the text is a setting; what else is missing is told too.
    assert sources(("cci3_hq",), check=True, mirror=str(tmp_path), override=("text_column=content",)) == 1
    assert "has no column 'score'; it has content, id" in capsys.readouterr().out


def test_check_of_a_place_out_of_reach_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert sources(("dolma_wiki",), check=True, mirror="http://127.0.0.1:9/dolma", timeout=20) == 1
    assert "dolma_wiki: FAILED: cannot reach" in capsys.readouterr().out
