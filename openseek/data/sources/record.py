"""What a reader yields for each record of a file, and the one error that ends a file early."""

import dataclasses
from typing import Any, TypeAlias


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A record that became a document."""

    position: int
    """Row number, WARC record offset or offset of the jsonl line in the decompressed bytes."""
    text: str
    url: str = ""
    date: str = ""
    lang: str = ""
    """ISO 639-1 code; empty: to be identified from the text."""
    licence: str = ""
    """Licence class; empty: the source's own."""
    meta: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Skipped:
    """A sound record that is no document: it is recorded as dropped, with rule, value and limit."""

    position: int
    rule: str
    value: float | None = None
    limit: float | None = None
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be read: it goes to quarantine with its first bytes."""

    position: int
    error: str
    head: bytes = b""
    missing_column: str = ""
    """The column whose absence is the error, so that a file without a single good record can be refused."""


Item: TypeAlias = Row | Skipped | Bad


class BrokenStream(Exception):
    """A file that stops in the middle or whose bytes are damaged from `position` on; what came before is sound."""

    def __init__(self, position: int, reason: str, head: bytes = b"") -> None:
        super().__init__(position, reason, head)
        self.position, self.reason, self.head = position, reason, head


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask of the machine."""

    record_bytes: int
    """A record above this many bytes is skipped, never held in memory as a whole."""
    expansion: float
    """Decompressed over compressed bytes at which a file is refused as a decompression bomb."""
