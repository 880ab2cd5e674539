"""Mixture regression and sequential design on public proxy runs."""

import importlib

from benchmarks.rows import Row

PARTS = ("mixtures_regmix",)


def measure() -> list[Row]:
    """The rows of all parts, in order."""
    return [row for part in PARTS for row in importlib.import_module(f"benchmarks.{part}").rows()]
