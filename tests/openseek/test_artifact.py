"""Fingerprints move when content does and stay when it does not; manifests say what is there."""

import dataclasses
import json
from pathlib import Path

import pytest

from openseek import artifact


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    workers: int = dataclasses.field(default=2, metadata={"runtime": True})


@dataclasses.dataclass(frozen=True)
class Config:
    path: str = dataclasses.field(default="", metadata={"raw": True})
    name: str = "x"
    inner: Inner = Inner()
    weights: tuple[tuple[str, float], ...] = (("a", 1.0),)


def of(config: Config, task: str = "t", version: int = 1, **inputs: str | None) -> str:
    return artifact.fingerprint(task, version, inputs, config)


def test_fingerprint_moves_with_task_version_inputs_and_config() -> None:
    base = of(Config(), a="f" * 64)
    others = [
        of(Config(), task="u", a="f" * 64),
        of(Config(), version=2, a="f" * 64),
        of(Config(), a="e" * 64),
        of(Config(), a="f" * 64, b=None),
        of(Config(name="y"), a="f" * 64),
        of(Config(inner=Inner(rate=0.25)), a="f" * 64),
        of(Config(weights=(("a", 2.0),)), a="f" * 64),
    ]
    assert len({base, *others}) == 1 + len(others)


def test_runtime_fields_do_not_count() -> None:
    assert of(Config(inner=Inner(workers=64))) == of(Config())
    assert artifact.canonical(Config(), runtime=True)["inner"]["workers"] == 2


def test_raw_files_count_by_relative_path_and_content_not_by_place(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "sub" / "a.txt").write_text("same")
    one, two = (of(Config(path=str(tmp_path / p))) for p in ("one", "two"))
    assert one == two
    assert of(Config(path=str(tmp_path / "one" / "**" / "*.txt"))) == one
    (tmp_path / "two" / "sub" / "a.txt").write_text("diff")
    assert of(Config(path=str(tmp_path / "two"))) != one
    (tmp_path / "one" / "sub" / "a.txt").rename(tmp_path / "one" / "sub" / "b.txt")
    assert of(Config(path=str(tmp_path / "one"))) != one


@pytest.mark.parametrize("pattern", ["nothing.jsonl", "*.jsonl", "empty"])
def test_a_raw_path_without_files_is_named(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=pattern.replace("*", r"\*")):
        artifact.raw_files(str(tmp_path / pattern))


def test_a_config_that_cannot_be_fingerprinted_is_a_bug() -> None:
    with pytest.raises(TypeError, match="set"):
        artifact.canonical({"a": {1, 2}})


def test_manifest_lists_visible_files_with_their_hashes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.bin").write_bytes(b"12345")
    (tmp_path / ".scratch").mkdir()
    (tmp_path / ".scratch" / "y").write_text("no")
    written = artifact.write_manifest(
        tmp_path, task="t", label=None, version=1, fingerprint="f", inputs={}, config=Config(), facts={"rows_in": 1}
    )
    assert artifact.read_manifest(tmp_path) == json.loads(json.dumps(written))
    assert [f["path"] for f in written["files"]] == ["data/x.bin"]
    assert written["files"][0] == {
        "path": "data/x.bin",
        "bytes": 5,
        "xxh3_128": artifact.file_digest(tmp_path / "data/x.bin"),
    }


def test_unfinished_missing_and_broken_artifacts_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        artifact.read_manifest(tmp_path / "none")
    (tmp_path / artifact.STARTED).write_text("f")
    with pytest.raises(ValueError, match="unfinished"):
        artifact.read_manifest(tmp_path)
    (tmp_path / artifact.MANIFEST).write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        artifact.read_manifest(tmp_path)
    (tmp_path / artifact.MANIFEST).write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        artifact.read_manifest(tmp_path)
