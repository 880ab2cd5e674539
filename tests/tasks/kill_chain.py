"""The data tasks on a part of the samples, run in processes that die at a chosen rename."""

import os
import signal
from pathlib import Path
from typing import Any

STEPS = (
    *("ingest", "filter", "dedup_exact", "dedup_minhash", "dedup_substring", "dedup_lines"),
    *("classify", "select", "decontaminate", "tokenize", "mix", "dedup_exact.later"),
)
CHAIN = {name: STEPS[i - 1 : i] for i, name in enumerate(STEPS)} | {"dedup_exact.later": ("ingest", "dedup_exact")}
"""The inputs of each step; what follows a point is the step's label."""


def config_of(name: str, samples: Path) -> Any:
    """Small configs over a part of the samples."""
    from openseek.data.ngrams import BenchmarkFile, Decontaminate
    from openseek.data.repeated_lines import DedupLines
    from openseek.data.scorers import Classify
    from openseek.data.sources import Ingest, Source
    from openseek.data.substring import Substring
    from openseek.data.tokenizer import Tokenize

    sources = (
        Source("planted", str(samples / "planted/planted.jsonl"), licence="permissive"),
        Source("en_edu", str(samples / "en_edu/fineweb-edu-dated.parquet"), licence="permissive"),
    )
    configs = {
        "ingest": Ingest(sources=sources),
        "dedup_substring": Substring(min_bytes=400),
        "dedup_lines": DedupLines(unit="line", num_partitions=3),
        "classify": Classify(
            positive_sources=("en_edu",), negative_sources=("planted",), min_documents_per_class=5, bits=12
        ),
        "decontaminate": Decontaminate((BenchmarkFile("gsm8k", str(samples / "benchmarks/gsm8k.jsonl.gz")),)),
        "tokenize": Tokenize(vocab_size=400, heldout_fraction=0.1),
    }
    return configs.get(name)


def run(name: str, root: Path, samples: Path, renames: int | None) -> None:
    """Run one task below `root`; with `renames`, this process dies just before the rename after so many."""
    from tasks.__main__ import find
    from tasks.where import Where, using

    replace, left = os.replace, renames or 0

    def dying(source: Any, target: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        replace(source, target)

    if renames is not None:
        os.replace = dying
    task, _, label = name.partition(".")
    with using(Where(root=root)):
        find(task)(*(root / before for before in CHAIN[name]), config=config_of(name, samples), label=label or None)
