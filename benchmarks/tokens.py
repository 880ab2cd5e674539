"""From documents to token shards and from those to training batches, beside the tools that others use."""

import importlib

from benchmarks import tokens_plot
from benchmarks.rows import Row

PARTS = ("tokens_encode", "tokens_loader")


def measure() -> list[Row]:
    """The rows of all parts, in order; draws them, too."""
    found = [row for part in PARTS for row in importlib.import_module(f"benchmarks.{part}").rows()]
    tokens_plot.draw(found)
    return found
