"""What a reader yields for each record of a file, and the one error that ends a file early."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa


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
class Rows:
    """Neighbouring records that became documents, as columns: the form for formats whose texts stay Arrow."""

    positions: Sequence[int]
    text: "pa.Array"
    """large_string, valid UTF-8, without nulls or texts of nothing but space."""
    meta: Sequence[str]
    """JSON objects (`meta_json`); empty: "{}" for each row."""
    url: Sequence[str] = ()
    """One a row, like the next three; empty: none has one."""
    date: Sequence[str] = ()
    lang: Sequence[str] = ()
    licence: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.positions)

    def slice(self, start: int, stop: int) -> "Rows":
        """The rows from `start` up to `stop`."""
        part = slice(start, stop)
        rest = (self.meta, self.url, self.date, self.lang, self.licence)
        return Rows(self.positions[part], self.text[part], *(column[part] for column in rest))

    def rows(self) -> Iterator[Row]:
        """One Row each, for steps that look at every record."""
        import orjson

        columns = [list(c) or [""] * len(self) for c in (self.url, self.date, self.lang, self.licence)]
        meta = list(self.meta) or ["{}"] * len(self)
        everything = zip(self.positions, self.text.to_pylist(), meta, *columns, strict=True)
        for position, text, told, url, date, lang, licence in everything:
            yield Row(position, text, url, date, lang, licence, orjson.loads(told))

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Rows":
        """Single rows as columns."""
        import pyarrow as pa

        # A lone surrogate cannot be stored; it is replaced, as a browser would.
        texts = [row.text.encode("utf-8", "replace") for row in rows]
        columns = zip(*((r.position, meta_json(r.meta), r.url, r.date, r.lang, r.licence) for r in rows), strict=True)
        positions, *rest = columns if rows else ([] for _ in range(6))
        return cls(positions, pa.array(texts, pa.large_binary()).cast(pa.large_string()), *rest)

    @classmethod
    def join(cls, parts: Sequence["Rows"]) -> "Rows":
        """All rows of the parts, in order."""
        import pyarrow as pa

        if len(parts) == 1:
            return parts[0]
        joined: list[list[Any]] = [[] for _ in range(6)]
        for part in parts:
            empty = [""] * len(part)
            columns = (part.positions, part.meta or ["{}"] * len(part), part.url, part.date, part.lang, part.licence)
            for whole, column in zip(joined, columns, strict=True):
                whole.extend(column or empty)
        text = pa.concat_arrays([part.text for part in parts]) if parts else pa.array([], pa.large_string())
        return cls(joined[0], text, *joined[1:])


def meta_json(meta: dict[str, Any]) -> str:
    """Whatever else the source gave, as JSON; what JSON does not know is written as text."""
    return metas_json([meta])[0]


def metas_json(metas: Sequence[dict[str, Any]]) -> list[str]:
    """`meta_json` of each."""
    from orjson import OPT_NON_STR_KEYS, OPT_SORT_KEYS, dumps

    return [dumps(meta, _as_text, OPT_NON_STR_KEYS | OPT_SORT_KEYS).decode() for meta in metas]


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


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


Item: TypeAlias = Row | Rows | Skipped | Bad


class BrokenStream(Exception):
    """A file that stops in the middle or whose bytes are damaged from `position` on; what came before is sound."""

    def __init__(self, position: int, reason: str, head: bytes = b"", resume: int | None = None) -> None:
        super().__init__(position, reason, head)
        self.position, self.reason, self.head = position, reason, head
        self.resume = resume
        """Where reading goes on, in decompressed bytes, when a sound part follows; None: nothing does."""


class Bomb(BrokenStream):
    """A file that expands beyond `max_expansion`: its rest is quarantined whatever `on_truncated` says."""


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask of the machine, and what to do where it is damaged."""

    record_bytes: int
    """A record above this many bytes is quarantined, never held in memory as a whole."""
    expansion: float
    """Decompressed over compressed bytes at which the rest of a file is quarantined as a decompression bomb."""
    resync: bool = False
    """After damage, go on at the next sound part (a Bad item tells of the gap) instead of raising BrokenStream."""
    page_seconds: float = 10.0
    """CPU seconds that a web page may take to become text."""
    page_memory_bytes: int = 2 << 30
    """Memory that a web page may take to become text."""

    def too_long(self, position: int, size: int, head: bytes = b"") -> Bad:
        """The quarantine row of a record of `size` bytes."""
        return Bad(position, f"the record has {size} bytes, more than {self.record_bytes} (max_record_bytes)", head)
