"""Where numba keeps compiled kernels: a folder named after all their sources.

numba looks at the file of a kernel alone to tell whether a compiled one is stale. A kernel whose callee in another file
has changed would go on as it was, so each state of the sources gets a folder of its own.
"""

import hashlib
import os
import sys
from pathlib import Path

PREFIX = "kernels-"
VARIABLE = "NUMBA_CACHE_DIR"
MARKS = (b"njit", b"openseek.data.kernel import")


def sources_key(folder: Path) -> str:
    """16 hex of the contents of all files below `folder` that hold kernels, and of their names."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        if any(mark in content for mark in MARKS):
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def use(folder: Path) -> Path | None:
    """Let numba keep the kernels of `folder` by their sources: below NUMBA_CACHE_DIR, beside them, or in a cache.

    None where neither place can be written: then numba does as it would.
    """
    given = os.environ.get(VARIABLE)
    if given:
        base = Path(given).parent if Path(given).name.startswith(PREFIX) else Path(given)
    else:
        beside = folder / "__pycache__"
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openseek"
        base = next((place for place in (beside, home) if _writable(place)), None)
        if base is None:
            return None
    place = base / f"{PREFIX}{sources_key(folder)}"
    os.environ[VARIABLE] = str(place)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(place)
    return place


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made itself."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(existing, os.W_OK)
