"""Deduplication and decontamination beside their peers, on one corpus with recorded truth."""

import importlib

from benchmarks.rows import Row

PARTS = ("dedup_minhash", "dedup_substring", "dedup_contamination", "dedup_scale")


def measure() -> list[Row]:
    """The rows of all parts, in order."""
    return [row for part in PARTS for row in importlib.import_module(f"benchmarks.{part}").rows()]
