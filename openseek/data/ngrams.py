"""Contamination by benchmarks: what to look for, what becomes of it, and the items read from files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from openseek.artifact import raw_files

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TABLE_SUFFIXES = (".csv", ".tsv")
COMPRESSED = (".gz", ".zst", ".zstd")
POLICIES = ("drop", "cut", "tag")
ACTS = ("question", "question_with_answer")


@dataclass(frozen=True)
class BenchmarkFile:
    """Items of one benchmark, which training text must not hold."""

    name: str = ""
    """Name of the benchmark: it stands in the record of each document that holds an item."""
    path: str = field(default="", metadata={"raw": True})
    """File, folder or glob: .jsonl, .json, .csv, .tsv (each also .gz or .zst) or .parquet."""
    fields: tuple[str, ...] = ("question",)
    """Columns whose text makes an item, joined; a dot goes into objects and lists (`messages.content`)."""
    answer_fields: tuple[str, ...] = ()
    """Columns of the answer, looked for beside the item only; none: it is not told whether the answer is there."""
    choice_fields: tuple[str, ...] = ()
    """Columns of the choices, where the answer is a letter (A is the first) or a number (0 is the first) of one."""

    def __post_init__(self) -> None:
        if not self.name or "#" in self.name:
            raise ValueError(f"BenchmarkFile.name is {self.name!r}: give a name without '#'")
        if not self.path:
            raise ValueError(f"BenchmarkFile.path of {self.name!r} is empty: give a file, a folder or a glob")
        if not self.fields:
            raise ValueError(f"BenchmarkFile.fields of {self.name!r} is empty: name the columns that make an item")
        if self.choice_fields and len(self.answer_fields) != 1:
            raise ValueError(
                f"BenchmarkFile.choice_fields of {self.name!r} needs one answer field that says which choice is right, "
                f"not {len(self.answer_fields)}"
            )


@dataclass(frozen=True)
class Decontaminate:
    """Find benchmark items in documents; drop the documents, cut the items out of them, or say so in their metadata."""

    benchmarks: tuple[BenchmarkFile, ...] = ()
    """The benchmarks to look for; none: every document stays."""
    policy: Literal["drop", "cut", "tag"] = "drop"
    """What becomes of a document that holds an item: it goes, it loses the item's span, or its metadata names the
    item. Conversations and problems go under `cut`, too: they are trained on by columns other than the text."""
    act_on: Literal["question", "question_with_answer"] = "question"
    """Whether an item without its answer counts, or only one with it; items of benchmarks without answers count."""
    min_overlap: float = 0.75
    """Share of an item's words that must stand in the document, in order, for the item to be found."""
    min_fragment: float = 0.55
    """The same for the beginning of an item, copied from its first word on with hardly a change."""
    min_bits: float = 25.0
    """What the common words must weigh in all: a word weighs log2 of the number of items over those that have it, less
    where other items, too, have it after the same one or two words."""
    min_whole_bits: float = 15.0
    """The same where all words of an item stand there word for word, each at its full weight. Items that weigh less are
    found only where such an item is the whole document."""
    min_alone_bits: float = 23.0
    """The same for the beginning of an item that stands there word for word and alone: as a sentence or line."""
    min_words: int = 8
    """Items with fewer words must stand alone, word for word, and weigh `min_bits` in full; those that weigh less or
    have fewer words than `ngram` are found only where such an item is the whole document."""
    ngram: int = 5
    """Words in a row that lead to an item; each Han or Kana character is a word."""
    max_owners: int = 300
    """Words in a row that more items have lead only to those that stand there word for word: they are the form of a
    question, not its matter."""
    answer_window: int = 64
    """Words after an item in which its answer is looked for, or twice the answer's length; before it a quarter."""
    min_remaining: int = 50
    """Characters that a cut document must keep, else it goes."""

    def __post_init__(self) -> None:
        if not 1 <= self.ngram <= self.min_words:
            raise ValueError(
                f"decontaminate.ngram is {self.ngram}: it must lie between 1 and min_words ({self.min_words})"
            )
        for name in ("min_overlap", "min_fragment"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"decontaminate.{name} is {getattr(self, name)}: it must be above 0 and at most 1")
        bits = ("min_bits", 0), ("min_whole_bits", 0), ("min_alone_bits", 0)
        for name, least in (*bits, ("max_owners", 1), ("answer_window", 1), ("min_remaining", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"decontaminate.{name} is {getattr(self, name)}: it must be at least {least}")
        for name, known in (("policy", POLICIES), ("act_on", ACTS)):
            if getattr(self, name) not in known:
                raise ValueError(f"decontaminate.{name} is {getattr(self, name)!r}: use one of {', '.join(known)}")
        names = [b.name for b in self.benchmarks]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"decontaminate.benchmarks names {', '.join(twice)} twice: give each a name of its own")


class BenchmarkItem(NamedTuple):
    """A question and its answer, which may be empty."""

    question: str
    answer: str = ""


def read_items(benchmark: BenchmarkFile) -> Iterator[BenchmarkItem]:
    """The items, in order. ValueError names file, record and column where one is missing or unreadable."""
    for path in raw_files(benchmark.path)[1]:
        for number, record in enumerate(_records(path)):
            place = f"{path}, record {number}"
            question = "\n".join(_texts(record, benchmark.fields, benchmark, place))
            answers = _texts(record, benchmark.answer_fields, benchmark, place)
            if benchmark.choice_fields:
                answers = [_chosen(answers, _texts(record, benchmark.choice_fields, benchmark, place), place)]
            yield BenchmarkItem(question, "\n".join(answers))


def _texts(record: Any, names: Sequence[str], benchmark: BenchmarkFile, place: str) -> list[str]:
    """What stands in some columns; nulls are left out."""
    parts: list[str] = []
    for name in names:
        found = _values(record, name.split("."))
        if found is None:
            shown = ", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__
            raise ValueError(
                f"{place}: no column {name!r} (there are: {shown}); set the fields of benchmark {benchmark.name!r}"
            )
        parts += [str(value) for value in found if value is not None]
    return parts


def _chosen(answers: Sequence[str], choices: Sequence[str], place: str) -> str:
    """The choice that a letter or a number names; an item without an answer has none."""
    if not answers:
        return ""
    name = answers[0].strip().strip("().")
    number = int(name) if name.isdecimal() else ord(name.upper()) - ord("A") if len(name) == 1 else -1
    if not 0 <= number < len(choices):
        raise ValueError(
            f"{place}: the answer {answers[0]!r} names none of {len(choices)} choices: use letters from A or numbers "
            f"from 0, or leave choice_fields empty"
        )
    return choices[number]


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


def item_label(benchmark: str, number: int) -> str:
    """How a dropped row names an item: benchmark#number."""
    return f"{benchmark}#{number}"


def label_benchmark(label: str) -> str:
    """The benchmark of an item's label."""
    return label.rpartition("#")[0]
