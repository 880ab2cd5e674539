"""Raw files: what a path, a folder, a glob or a URL names, opened the same way wherever they lie."""

import dataclasses
import os
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

_WILDCARDS = frozenset("*?[")


@dataclasses.dataclass(frozen=True)
class RawFile:
    """One raw file, or the part of it that `span` names. Its text form, for messages, is its path or URL."""

    url: str = dataclasses.field(repr=False)
    """A local path, or a URL that fsspec opens; it may hold a signature, so messages show its text form."""
    relative: str
    """Path below the source root, part of every document's id."""
    size: int
    """Bytes as stored."""
    span: tuple[int, int] | None = None
    """First and end of the part to read, in what the format counts (row groups, decompressed bytes); None: all."""
    offset: int = 0
    """Stored bytes before the part."""
    stored: int = -1
    """Stored bytes of the part; -1: of all that follows `offset`."""

    @classmethod
    def at(cls, path: Path) -> "RawFile":
        """A local file by itself."""
        return cls(str(path), path.name, path.stat().st_size)

    def __str__(self) -> str:
        from openseek.remote_files import shown

        return shown(self.url)

    @property
    def is_remote(self) -> bool:
        """Whether it lies elsewhere, where each look costs a request."""
        return "://" in self.url

    @property
    def bytes_to_read(self) -> int:
        """Stored bytes of the file, or of the part."""
        return self.stored if self.stored >= 0 else self.size - self.offset

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.relative).name or PurePosixPath(str(self)).name

    def open(self) -> BinaryIO:
        """The file's bytes, seekable; OSError when they cannot be had."""
        from openseek.remote_files import open_remote

        return open_remote(self.url) if self.is_remote else open(self.url, "rb")


def find(pattern: str) -> list[RawFile]:
    """The files that a raw path names (a file, folder, glob, URL, or a published list of URLs), in order."""
    if "://" in pattern:
        from openseek.remote_files import remote_files

        return [RawFile(url, relative, size) for url, relative, size, _ in remote_files(pattern)]
    root, files = raw_files(pattern)
    return [RawFile(str(file), str(file.relative_to(root)), file.stat().st_size) for file in files]


def raw_files(pattern: str) -> tuple[Path, list[Path]]:
    """The source root and the sorted files that a local raw path (file, folder or glob) names.

    Raises ValueError with the remedy when nothing matches or a match cannot be read.
    """
    if "://" in pattern:
        from openseek.remote_files import shown

        raise ValueError(f"{shown(pattern)} is a URL, and this reads local files: copy it to a folder and give that")
    path = Path(pattern).expanduser()
    fixed = [part for part in path.parts if not _WILDCARDS & set(part)]
    if len(fixed) < len(path.parts):
        index = next(i for i, part in enumerate(path.parts) if _WILDCARDS & set(part))
        root = Path(*path.parts[:index]) if index else Path(".")
        files = sorted(p for p in root.glob(str(Path(*path.parts[index:]))) if p.is_file())
    elif path.is_dir():
        root, files = path, sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    else:
        root, files = path.parent, [path] if path.is_file() else []
    if not files:
        what = "is not there" if not path.exists() else "holds no file"
        raise ValueError(f"raw input {pattern!r} {what}: give an existing file, a folder with files or a glob")
    for file in files:
        if not os.access(file, os.R_OK):
            raise ValueError(f"raw input {file} cannot be read: change its permissions (chmod +r) or leave it out")
    return root, files


def file_digest(path: Path) -> str:
    """xxh3_128 of a file's bytes as 32 hex digits."""
    import xxhash

    digest = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _cached_digests(files: list[Path]) -> list[str]:
    """Digests of raw files, remembered by path, size and modification time in the user's cache folder."""
    import sqlite3  # like fsspec, late: every --help passes here

    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "openseek"
    found: dict[str, tuple[int, int, str]] = {}
    fresh: dict[str, tuple[int, int, str]] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / "digests.sqlite", timeout=60)) as cache:
            cache.execute("CREATE TABLE IF NOT EXISTS digest (path TEXT PRIMARY KEY, bytes INT, mtime INT, xxh3 TEXT)")
            for file in files:
                stat, name = file.stat(), str(file.resolve())
                row = cache.execute("SELECT bytes, mtime, xxh3 FROM digest WHERE path = ?", (name,)).fetchone()
                if row is None or row[:2] != (stat.st_size, stat.st_mtime_ns):
                    row = fresh[name] = (stat.st_size, stat.st_mtime_ns, file_digest(file))
                found[name] = row
            if fresh:
                # One short transaction after the hashing: other commands never wait for it.
                with cache:
                    rows = [(name, *row) for name, row in fresh.items()]
                    cache.executemany("INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?)", rows)
    except sqlite3.Error as error:
        raise ValueError(
            f"the cache of file digests {folder / 'digests.sqlite'} cannot be used ({error}): free some space, delete "
            f"it, or set XDG_CACHE_HOME to a folder that you may write to"
        ) from error
    return [found[str(file.resolve())][2] for file in files]


def raw_listing(pattern: str) -> list[list[Any]]:
    """[path below the source root, bytes, xxh3_128] of each file that a raw path names; [] for an empty path.

    Of a file at a URL the last is its etag, or what else the server tells of its state.
    """
    if not pattern:
        return []
    if "://" in pattern:
        from openseek.remote_files import names, remote_files

        return names(remote_files(pattern))
    root, files = raw_files(pattern)
    digests = _cached_digests(files)
    return [[str(f.relative_to(root)), f.stat().st_size, d] for f, d in zip(files, digests, strict=True)]
