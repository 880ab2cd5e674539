"""Contamination by benchmarks: what to look for, the items read from files, and how much of an item a text holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import raw_files

if TYPE_CHECKING:
    import numpy as np

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TABLE_SUFFIXES = (".csv", ".tsv")
COMPRESSED = (".gz", ".zst", ".zstd")


@dataclass(frozen=True)
class BenchmarkFile:
    """Items of one benchmark, which training text must not hold."""

    name: str = ""
    """Name of the benchmark: it stands in the record of each dropped document."""
    path: str = field(default="", metadata={"raw": True})
    """File, folder or glob: .jsonl, .json, .csv, .tsv (each also .gz or .zst) or .parquet."""
    fields: tuple[str, ...] = ("question",)
    """Columns whose text makes an item, joined; a dot goes into objects and lists (`messages.content`)."""

    def __post_init__(self) -> None:
        if not self.name or "#" in self.name:
            raise ValueError(f"BenchmarkFile.name is {self.name!r}: give a name without '#'")
        if not self.path:
            raise ValueError(f"BenchmarkFile.path of {self.name!r} is empty: give a file, a folder or a glob")
        if not self.fields:
            raise ValueError(f"BenchmarkFile.fields of {self.name!r} is empty: name the columns that make an item")


@dataclass(frozen=True)
class Decontaminate:
    """Drop documents that hold an item of a benchmark."""

    benchmarks: tuple[BenchmarkFile, ...] = ()
    """The benchmarks to look for; none: every document stays."""
    ngram: int = 10
    """Words of an n-gram; each Han or Kana character is a word."""
    min_overlap: float = 0.8
    """Share of an item's words covered by n-grams that the document has too, from which the document is dropped."""
    min_words: int = 8
    """Items with fewer words are found only where such an item is the whole document."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_words <= self.ngram:
            raise ValueError(
                f"decontaminate.min_words is {self.min_words}: it must lie between 1 and ngram ({self.ngram})"
            )
        if not 0 < self.min_overlap <= 1:
            raise ValueError(f"decontaminate.min_overlap is {self.min_overlap}: it must be above 0 and at most 1")
        names = [b.name for b in self.benchmarks]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"decontaminate.benchmarks names {', '.join(twice)} twice: give each a name of its own")


def read_items(benchmark: BenchmarkFile) -> Iterator[str]:
    """The text of each item, in order. ValueError names file, record and column where one is missing or unreadable."""
    for path in raw_files(benchmark.path)[1]:
        for number, record in enumerate(_records(path)):
            parts: list[str] = []
            for name in benchmark.fields:
                found = _values(record, name.split("."))
                if found is None:
                    shown = ", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__
                    raise ValueError(
                        f"{path}, record {number}: no column {name!r} (there are: {shown}); "
                        f"set the fields of benchmark {benchmark.name!r}"
                    )
                parts += [str(value) for value in found if value is not None]
            yield "\n".join(parts)


def _values(value: Any, names: Sequence[str]) -> list[Any] | None:
    """What a dotted name reaches in nested objects and lists; None where it leads nowhere."""
    if isinstance(value, list | tuple):
        reached = [found for item in value if (found := _values(item, names)) is not None]
        return [item for found in reached for item in found] if reached or not value else None
    if not names:
        return [value]
    return _values(value[names[0]], names[1:]) if isinstance(value, dict) and names[0] in value else None


def _records(path: Path) -> Iterator[Any]:
    plain = path.with_suffix("") if path.suffix in COMPRESSED else path
    if plain.suffix in JSON_SUFFIXES:
        yield from _json_records(path, plain.suffix == ".json")
    elif plain.suffix in TABLE_SUFFIXES:
        text = io.StringIO(_content(path).decode("utf-8-sig"), newline="")
        yield from csv.DictReader(text, delimiter="\t" if plain.suffix == ".tsv" else ",")
    elif plain.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
    else:
        known = ", ".join((*JSON_SUFFIXES, *TABLE_SUFFIXES, ".parquet"))
        raise ValueError(
            f"{path}: unknown format of a benchmark; known endings: {known} (the text ones also .gz, .zst)"
        )


def _json_records(path: Path, one_value: bool) -> Iterator[Any]:
    """One object a line, or (`one_value`) an array or an object with one array of objects in it."""
    content = _content(path).removeprefix(b"\xef\xbb\xbf")
    try:
        whole = _parse(content) if one_value or content.lstrip().startswith(b"[") else None
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        whole = lists[0] if len(lists) == 1 else [whole]
    if isinstance(whole, list):
        yield from whole
        return
    for number, line in enumerate(content.split(b"\n")):
        if line.strip():
            try:
                yield _parse(line)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number + 1}: no JSON ({error}); mend the line or take it out"
                ) from error


def _parse(data: bytes) -> Any:
    """A JSON value. NaN is no JSON, but published benchmarks hold it for what is missing."""
    return json.loads(data, parse_constant=lambda name: None)


def _content(path: Path) -> bytes:
    from openseek.data.sources.record import BrokenStream, Limits
    from openseek.data.sources.streams import blocks
    from openseek.raw_files import RawFile

    try:
        return b"".join(blocks(RawFile.at(path), Limits(record_bytes=1 << 30, expansion=1000.0)))
    except BrokenStream as broken:
        raise ValueError(f"{path}: {broken.reason} at byte {broken.position}; fetch the benchmark again") from broken


@dataclass(frozen=True)
class Hits:
    """Documents that hold items: one place an overlapping (document, item), in order of documents."""

    rows: np.ndarray
    items: np.ndarray
    overlaps: np.ndarray
    starts: np.ndarray
    stops: np.ndarray


def item_label(benchmark: str, number: int) -> str:
    """How a dropped row names an item: benchmark#number."""
    return f"{benchmark}#{number}"


def label_benchmark(label: str) -> str:
    """The benchmark of an item's label."""
    return label.rpartition("#")[0]
