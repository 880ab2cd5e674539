"""Plain values become typed configs, and every mistake is named by its dotted path."""

import dataclasses
from typing import Any, Literal

import pytest

from openseek.fields import changed, differing, read_yaml


@dataclasses.dataclass(frozen=True)
class Source:
    name: str
    path: str = ""
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Steps:
    kind: Literal["a", "b"] = "a"
    limit: int = 3
    ratio: float | None = None

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"limit is {self.limit}: use 0 or more")


@dataclasses.dataclass(frozen=True)
class Config:
    steps: Steps = Steps(limit=5)
    sources: tuple[Source, ...] = (Source("one"), Source("two"))
    flags: dict[str, int] = dataclasses.field(default_factory=dict)
    on: bool = False


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"steps.limit": 7}, Config(steps=Steps(limit=7))),
        ({"steps": {"kind": "b"}}, Config(steps=Steps(kind="b", limit=5))),
        ({"steps": {"limit": 1}, "steps.kind": "b"}, Config(steps=Steps(kind="b", limit=1))),
        ({"steps.ratio": "1e-3"}, Config(steps=Steps(limit=5, ratio=0.001))),
        ({"steps.ratio": None}, Config()),
        ({"steps.limit": 2.0}, Config(steps=Steps(limit=2))),
        ({"sources.1.weight": 2}, Config(sources=(Source("one"), Source("two", weight=2.0)))),
        ({"sources": [{"name": "x", "weight": 3}]}, Config(sources=(Source("x", weight=3.0),))),
        ({"flags": {"a": 1}, "on": True}, Config(flags={"a": 1}, on=True)),
    ],
)
def test_values_become_fields(values: dict[str, Any], expected: Config) -> None:
    assert changed(Config(), values) == expected


@pytest.mark.parametrize(
    "values, message",
    [
        ({"step.limit": 7}, "step is no field of Config: did you mean 'steps'"),
        ({"steps.limt": 7}, "steps.limt is no field of Steps: did you mean 'limit'"),
        ({"steps.limit": "many"}, "steps.limit is 'many'"),
        ({"steps.limit": True}, "steps.limit is True"),
        ({"steps.limit": -1}, "steps: limit is -1: use 0 or more"),
        ({"steps.kind": "c"}, "steps.kind is 'c': use one of 'a', 'b'"),
        ({"steps": 3}, "steps is 3"),
        ({"sources": [{"weight": 3}]}, "sources.0 lacks name"),
        ({"sources.5.weight": 3}, "sources has the elements 0 to 1"),
        ({"sources": "x"}, "sources is 'x'"),
        ({"on": "yes"}, "on is 'yes'"),
        ({"steps": 3, "steps.limit": 4}, "steps is given twice"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        changed(Config(), values)
    assert message in str(raised.value)


def test_yaml_with_a_key_twice_is_refused_and_a_merged_key_may_be_overridden() -> None:
    assert read_yaml("a: 1\nb: {c: [1, 2]}") == {"a": 1, "b": {"c": [1, 2]}}
    assert read_yaml("x: &x {a: 1}\ny: {<<: *x, a: 2}")["y"] == {"a": 2}
    with pytest.raises(ValueError, match="'web' is given twice in the mapping at line 2"):
        read_yaml("mix:\n  web: 1\n  code: 2\n  web: 3\n")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_yaml("a: [1")


@dataclasses.dataclass(frozen=True)
class Named:
    name: str = ""
    steps: Steps | None = None
    parts: tuple[tuple[int, str], ...] = ()
    kind: Steps | Source = Steps()

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name is empty")


@pytest.mark.parametrize(
    "new, expected",
    [
        (Config(), {}),
        (Config(steps=Steps(limit=6), flags={"a": 1}), {"steps": {"limit": 6}, "flags": {"a": 1}}),
        (Config(sources=(Source("b"),)), {"sources": [{"name": "b", "path": "", "weight": 1.0}]}),
    ],
)
def test_what_differs_makes_the_one_of_the_other(new: Config, expected: dict[str, Any]) -> None:
    assert differing(new, Config()) == expected
    assert changed(Config(), expected) == new


def test_unions_and_nested_values_survive() -> None:
    new, old = Named("b", Steps("b"), ((1, "x"), (2, "y")), Source("s")), Named("a")
    told = differing(new, old)
    assert told["kind"] == {"class": "Source", "name": "s", "path": "", "weight": 1.0}
    assert told["parts"] == [[1, "x"], [2, "y"]]
    assert changed(old, told) == new


def test_a_class_that_refuses_its_own_defaults_is_built_in_one_go() -> None:
    @dataclasses.dataclass(frozen=True)
    class Holder:
        items: tuple[Named, ...] = ()

    assert changed(Holder(), {"items": [{"name": "x", "steps": {"limit": 4}}]}).items[0].steps == Steps(limit=4)
