import os
import subprocess
import sys
from pathlib import Path

import pytest

from openseek.data import kernel_cache

PROGRAM = """
import sys
from pathlib import Path
{use}
sys.path.insert(0, {folder!r})
import outer
print(outer.total(20))
"""
USE = "from openseek.data import kernel_cache; kernel_cache.use(Path({folder!r}))"


def run(folder: Path, use: str, cache: Path) -> int:
    program = PROGRAM.format(folder=str(folder), use=use.format(folder=str(folder)))
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout)


def write(folder: Path, step: int) -> None:
    folder.mkdir(exist_ok=True)
    inner = f"from numba import njit\n@njit(cache=True)\ndef step(i):\n    return i * {step}\n"
    (folder / "inner.py").write_text(inner)
    outer = "from numba import njit\nfrom inner import step\n@njit(cache=True)\ndef total(n):\n    return step(n) + 1\n"
    if not (folder / "outer.py").exists():
        (folder / "outer.py").write_text(outer)


def test_a_kernel_changes_with_what_it_calls(tmp_path: Path) -> None:
    """Left to itself, numba goes on with the stale kernel: the control."""
    folder = tmp_path / "code"
    found = {}
    for name, use in (("keyed", USE), ("by itself", "")):
        write(folder, 2)
        first = run(folder, use, tmp_path / name)
        write(folder, 3)
        found[name] = (first, run(folder, use, tmp_path / name))
    assert found == {"keyed": (41, 61), "by itself": (41, 41)}


def test_the_key_is_that_of_the_kernels_alone(tmp_path: Path) -> None:
    write(tmp_path, 2)
    before = kernel_cache.sources_key(tmp_path)
    (tmp_path / "plain.py").write_text("A = 1\n")
    assert kernel_cache.sources_key(tmp_path) == before
    write(tmp_path, 3)
    assert kernel_cache.sources_key(tmp_path) != before


def test_a_folder_that_is_named_holds_all_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "code", 2)
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))
    first = kernel_cache.use(tmp_path / "code")
    assert first is not None
    assert first.parent == tmp_path / "named"
    write(tmp_path / "code", 3)
    second = kernel_cache.use(tmp_path / "code")
    assert second is not None
    assert second.parent == tmp_path / "named"
    assert first != second
