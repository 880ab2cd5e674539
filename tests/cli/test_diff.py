"""`openseek diff` names what differs and the first task that does."""

import dataclasses
from pathlib import Path

import pytest

from cli.diff import diff, differences, first_difference
from tasks.task import task
from tasks.where import Where


@dataclasses.dataclass(frozen=True)
class Config:
    limit: int = 1
    parts: tuple[str, ...] = ("a",)


@task
def source(out: Path, config: Config = Config()) -> dict:
    """Make a number."""
    (out / "n").write_text(str(config.limit))
    return {"n": config.limit}


@task
def middle(out: Path, first: Path, config: Config = Config()) -> dict:
    """Pass a number on."""
    (out / "n").write_text((first / "n").read_text())
    return {}


def test_nested_differences_have_dotted_paths() -> None:
    a = {"x": 1, "y": {"z": [1, 2]}, "list": [{"a": 1}, {"a": 2}]}
    b = {"x": 1, "y": {"z": [1, 3]}, "list": [{"a": 1}, {"a": 5}], "new": True}
    assert differences(a, b) == [("y.z", [1, 2], [1, 3]), ("list.1.a", 2, 5), ("new", None, True)]
    assert differences(a, a) == []


def test_the_first_task_that_differs_is_found_upstream(root: Where, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = source(), source(config=Config(limit=2))
    a, b, c = middle(one), middle(two), middle(one, config=Config(parts=("b",)))
    assert first_difference(a, b) == (one, two)
    assert first_difference(a, c) == (a, c)
    assert first_difference(a, a) is None
    assert diff(a, b) == 0
    printed = capsys.readouterr().out
    assert "first task that differs: source" in printed
    assert "limit: 1  |  2" in printed
