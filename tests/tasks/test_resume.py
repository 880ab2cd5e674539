"""A kill at any rename of a data task, then a rerun: the same bytes in data/, dropped/, quarantine/ and the manifest.

Children come from a fork server in which every task ran once: kernels are loaded, so that a kill costs little. Each is
killed just before its n-th rename, n from 0 up, until one run lives; what was left is then finished by another run.
"""

import json
import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from openseek.artifact import MANIFEST, file_digest

sys.path.insert(0, str(Path(__file__).parent))
from kill_chain import CHAIN, STEPS, run


@pytest.fixture(scope="module")
def children(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(task, root, samples, renames) -> exit code of a child of a fork server in which every task ran once."""
    folder = tmp_path_factory.mktemp("warm")
    warm = "from pathlib import Path\nfrom kill_chain import STEPS, run\nfor name in STEPS:\n"
    (folder / "warm_chain.py").write_text(
        warm + f"    run(name, Path({str(folder / 'root')!r}), Path({str(samples)!r}), None)\n"
    )
    # The fork server takes no sys.path from its parent, and passes over a module that it cannot find.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(__file__).parent)]))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm_chain"])

    def child(name: str, root: Path, samples: Path, renames: int) -> int | None:
        process = context.Process(target=run, args=(name, root, samples, renames))
        process.start()
        process.join(timeout=120)
        assert process.exitcode is not None, f"{name} hangs after {renames} renames"
        return process.exitcode

    assert child("ingest", folder / "first", samples, 0) == -signal.SIGKILL  # starts the server
    monkeypatch.undo()
    assert (folder / "root" / STEPS[-1]).exists(), "the fork server did not run the tasks"
    return child


@pytest.fixture(scope="module")
def whole(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task run once without interruption."""
    root = tmp_path_factory.mktemp("whole")
    for name in STEPS:
        run(name, root, samples, None)
    return root


def content(directory: Path) -> dict[str, Any]:
    """Digests of all files but the manifest, and the manifest without times."""
    manifest = json.loads((directory / MANIFEST).read_text())
    for name in ("finished", "commit"):  # somebody may commit while the test runs
        manifest.pop(name)
    manifest["facts"].pop("seconds")
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p.name != MANIFEST and p.name[0] != ".")
    return {str(p.relative_to(directory)): file_digest(p) for p in files} | {"manifest": manifest}


@pytest.mark.parametrize("name", STEPS)
def test_a_kill_at_any_rename_changes_no_byte(
    name: str, whole: Path, samples: Path, children: Any, tmp_path: Path
) -> None:
    made = (whole / name).resolve()
    root = tmp_path / "root"
    root.mkdir()
    for before in CHAIN[name]:
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
        run(name, root, samples, None)
        assert content(root / made.name) == content(made), f"differs after a kill at rename {renames}"
    assert killed >= 3
