"""Raw files: what a path, a folder, a glob or a URL names, opened the same way wherever they lie."""

import dataclasses
from pathlib import Path, PurePosixPath
from typing import BinaryIO


@dataclasses.dataclass(frozen=True)
class RawFile:
    """One raw file, or the part of it that `span` names. Its text form, for messages, is its path or URL."""

    url: str
    """A local path, or a URL that fsspec opens."""
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
        return self.url

    @property
    def bytes_to_read(self) -> int:
        """Stored bytes of the file, or of the part."""
        return self.stored if self.stored >= 0 else self.size - self.offset

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.url).name

    def open(self) -> BinaryIO:
        """The file's bytes, seekable; OSError when they cannot be had."""
        return open(self.url, "rb")
