"""The data engine beside its peers: reading, web pages, rules, sensitive words, and the whole pass."""

import importlib

from benchmarks.rows import Row

PARTS = ("data_reading", "data_html", "data_filters", "data_words", "data_pass")


def measure() -> list[Row]:
    """The rows of all parts, in order."""
    return [row for part in PARTS for row in importlib.import_module(f"benchmarks.{part}").rows()]
