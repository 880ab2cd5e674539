"""Measurements, one file a subject: ours beside its peers on the same input in the same run."""

BENCHMARKS = (
    "minhash",
    "data",
    "dedup",
    "dedup_contamination",
    "dedup_scale",
    "tokens",
    "mixtures",
    "rms_norm",
    "model",
    "convert",
)
"""Subjects that `openseek bench NAME` knows; each is benchmarks/NAME.py with `measure() -> list[Row]`."""
