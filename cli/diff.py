"""`openseek diff A B`: what differs between two artifacts, and the first task of their histories that does."""

from pathlib import Path
from typing import Any

import tyro

from openseek.artifact import read_manifest
from tasks.task import inputs_of


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """A nested config as {dotted path: leaf}."""
    if isinstance(value, dict):
        items = {k: v for k, v in value.items()}
    elif isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        items = {str(i): v for i, v in enumerate(value)}
    else:
        return {path: value}
    leaves: dict[str, Any] = {}
    for key, item in items.items():
        leaves |= flat(item, f"{path}.{key}" if path else str(key))
    return leaves


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(dotted path, value in a, value in b) wherever two nested values differ; None where one lacks it."""
    left, right = flat(a), flat(b)
    keys = list(left) + [k for k in right if k not in left]
    return [(k, left.get(k), right.get(k)) for k in keys if left.get(k) != right.get(k)]


def first_difference(a: Path, b: Path) -> tuple[Path, Path] | None:
    """The earliest pair of matching artifacts in two histories that differ although all their inputs agree."""
    left, right = read_manifest(a), read_manifest(b)
    if left["fingerprint"] == right["fingerprint"]:
        return None
    for x, y in zip(inputs_of(left, a.resolve().parent), inputs_of(right, b.resolve().parent), strict=False):
        if (earlier := first_difference(x, y)) is not None:
            return earlier
    return a, b


def diff(a: tyro.conf.Positional[Path], b: tyro.conf.Positional[Path]) -> int:
    """Compare two artifacts.

    Args:
        a: Directory of a finished artifact.
        b: Directory of another one.
    """
    left, right = read_manifest(a), read_manifest(b)
    for name in ("task", "version", "fingerprint", "commit"):
        mark = "=" if left[name] == right[name] else "!"
        print(f"{mark} {name}: {left[name]}" + ("" if mark == "=" else f"  |  {right[name]}"))
    for name in ("config", "inputs", "packages", "facts"):
        found = differences(left[name] or {}, right[name] or {})
        print(f"{'!' if found else '='} {name}" + (f": {len(found)} differ" if found else ""))
        for path, x, y in found:
            print(f"    {path}: {_short(x)}  |  {_short(y)}")
    earliest = first_difference(a, b)
    if earliest is None:
        print("the fingerprints are equal: same task, inputs and config")
        return 0
    one, other = read_manifest(earliest[0]), read_manifest(earliest[1])
    print(f"first task that differs: {one['task']} ({earliest[0].name} | {earliest[1].name})")
    for path, x, y in differences(
        {"version": one["version"], **one["config"]}, {"version": other["version"], **other["config"]}
    ):
        print(f"    {path}: {_short(x)}  |  {_short(y)}")
    return 0


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
