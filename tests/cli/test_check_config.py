"""`openseek check-config`: tables, JSON and exit codes."""

import json
from pathlib import Path

import pytest

from cli.__main__ import main
from cli.check_config import shown


def test_without_a_path_it_lists_what_it_can_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config"]) == 0
    out = capsys.readouterr().out
    for name in ("OpenSeek-16B-default", "scores", "mixtures", "deepseek_v3", "debug", "config.json"):
        assert name in out


def test_disagreements_are_shown_and_fail_only_when_strict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert main(["check-config", "scores", "mixtures", "--json", str(file)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "0.3992 0.4135 DIFFERS true of: the mean with C-Eval" in out
    assert "0.2538 0.2410 DIFFERS true of: the mean without C-Eval" in out
    assert "TRAP mixture: the 38 weights sum to 99.96" in out
    assert out.endswith("9 checked: 23 of 25 claims hold; 2 traps found")
    written = json.loads(file.read_text(encoding="utf-8"))
    assert (written["claims"], written["claims_held"], len(written["reports"])) == (25, 23, 9)
    assert main(["check-config", "scores", "--strict"]) == 1
    assert main(["check-config", "mixtures", "--strict"]) == 1
    assert main(["check-config", "openseek_16b", "--strict"]) == 0


def test_a_published_training_is_shown_with_its_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "OpenSeek-Small-v1-Baseline"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "total 1.395 B" in out
    assert "active a token 0.397 B" in out
    assert "loss of the first step 11.93079 ln(151872)" in out
    assert "2.789 GB DIFFERS true with an untied head" in out
    assert "at step 1 1.5e-06" in out


def test_what_cannot_be_checked_is_an_error_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "OpenSeek-Large"]) == 1
    assert "OpenSeek-Large: give a FlagScale experiment file" in capsys.readouterr().err


def test_numbers_as_people_write_them() -> None:
    assert shown(1_394_625_792, "parameters") == "1.395 B"
    assert shown(640, "bytes") == "640 B"
    assert shown(6912, "bytes") == "6.912 kB"
    assert shown(5.415e21, "FLOP") == "5.415 ZFLOP"
    assert shown(0.24095, "share") == "0.2410"
    assert shown(24_000, "count") == "24,000"
    assert shown("wsd", "") == "wsd"
