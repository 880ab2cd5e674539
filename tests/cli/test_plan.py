"""`openseek plan` of a corpus: counts, gaps and what is unknown; the steps where the sources are at hand."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.__main__ import main
from openseek.artifact import point_link, write_json, write_manifest

CORPORA = ("pt_1.3t_v0.1", "pt_1.3t_v1.0", "pt_4t", "pt_8t")


def lines_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["plan", *words]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def hold(root: Path, sources: dict[str, int]) -> None:
    """A finished tokenize artifact below `root` with so many tokens of each source, four bytes each."""
    folder = root / "tokenize-12345678"
    folder.mkdir(parents=True)
    entries = {n: {"prefixes": [], "documents": 1, "tokens": c, "bytes": 4 * c} for n, c in sources.items()}
    write_json(folder / "tokens.json", {"sources": entries})
    write_manifest(
        folder, task="tokenize", label=None, version=1, fingerprint="1" * 64, inputs={}, config={}, facts={"tokens": 1}
    )
    point_link(folder, root / "tokenize")


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_tells_its_counts_without_asking_the_network(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(["--recipe", name, "--root", str(tmp_path)], capsys)
    assert lines[0].startswith("OpenSeek-PT-")
    assert any(line.startswith("published: ") and "beside the" in line for line in lines)
    assert lines[-1].startswith("steps: not listed")
    assert f"held below {tmp_path}: nothing" in " ".join(lines)


def test_unknown_counts_are_said_to_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(["--recipe", "pt_8t", "--root", str(tmp_path)], capsys)
    assert "Nemotron-CC, original en terms 4.400 T unknown none none nothing held nothing held 1" in lines
    assert "chinese_web 25.00% 20.00% 1.960 T at least 1.506 T at most 1.30 none none" in lines
    assert "books_wiki 2.00% 4.00% 176.00 B unknown unknown none none" in lines
    found = (
        "published: 7.915 T tokens, -1.1% beside the 8.000 T of its name; 7 of 17 sources have no published token count"
    )
    assert found in lines
    lines = lines_of(["--recipe", "pt_1.3t_v1.0", "--root", str(tmp_path)], capsys)
    assert any(line.startswith("published: tokens unknown beside the 1.300 T of its name; 10 of 10") for line in lines)
    assert "Web-EN en terms unknown 22,498.6 none none nothing held nothing held 1" in lines


def test_what_is_held_is_compared_in_percent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold(tmp_path, {"finemath_3plus": 17 * 10**9, "cci3_hq": 10**11, "dolma_wiki": 5 * 10**6, "infiwebmath_3plus": 9})
    lines = lines_of(["--recipe", "pt_4t", "--root", str(tmp_path)], capsys)
    assert "finemath_3plus en by 34.00 B unknown 17.00 B 68.000 -50.00% unknown 8" in lines
    assert "cci3_hq zh terms unknown 500.0 100.00 B 400.000 unknown -20.00% 4" in lines
    assert "dolma_wiki en by-sa unknown unknown 5,000,000 0.020 unknown unknown 9" in lines
    assert "math 1.00% 12.00% 84.00 B at least 69.50 B at most 1.21 17.00 B 4.94" in lines
    # A little is not nothing.
    assert "infiwebmath_3plus en by 20.50 B unknown 9 0.000 below -99.99% unknown 8" in lines
    assert any(line.startswith("held: 117.01 B tokens, -97.0749% beside its name") for line in lines)


def test_with_a_mirror_the_steps_follow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror = tmp_path / "mirror" / "finemath-3plus"
    mirror.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["2 + 2 = 4"]}), mirror / "train-00000.parquet")
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"base: pt_4t\ningest:\n  source: [finemath_3plus]\n  mirror: {mirror.parent}\nmix:\n  train_tokens: 1000\n"
    )
    lines = lines_of(["--recipe", str(file), "--root", str(tmp_path / "root")], capsys)
    assert lines[0].startswith("OpenSeek-PT-4T")
    assert any("mixture; 1,000 training tokens" in line for line in lines)
    assert any("ingest" in line and "never run here" in line for line in lines)
    assert not (tmp_path / "root").exists()


def test_other_recipes_show_their_steps_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(["--root", str(tmp_path)], capsys)
    assert "0 steps done" in lines[0]
    assert not any("published" in line for line in lines)
