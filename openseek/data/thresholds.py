"""What other thresholds would do: the statistics table decided by the old and the new config, and counted."""

from __future__ import annotations

import collections
import dataclasses
import json
import shlex
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from openseek.data.filters import Filters
from openseek.data.statistics_table import Decider, Step
from openseek.data.transform import Filter, Judged, Transform
from openseek.fields import changed

UNKNOWN = "(files of that run)"


def restored(config: dict[str, Any]) -> Filters:
    """The Filters of a manifest. Paths of raw files, of which a manifest keeps the content only, are not known."""
    return changed(Filters(), _plain(config, Filters))


def _plain(value: Any, kind: Any) -> Any:
    """A manifest's value of a config as plain values of the type `kind`."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        found = {}
        for field in dataclasses.fields(kind):
            item = value[field.name]
            if field.metadata.get("raw"):
                found[field.name] = UNKNOWN if item else ""
            elif field.init:
                found[field.name] = _plain(item, hints[field.name])
        return found
    elements = [k for k in typing.get_args(kind) if dataclasses.is_dataclass(k)]
    return [_plain(item, elements[0]) for item in value] if elements and isinstance(value, list) else value


def steps(config: Filters) -> list[Step]:
    """All steps in order, those that are not enabled too."""
    found: list[Step] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Filter | Transform):
            found.append(value)
        elif hasattr(value, "steps"):
            found += value.steps()
    return found


def as_options(config: Filters) -> list[str]:
    """FIELD=VALUE words that make this config from the defaults."""
    words = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in _differences(config, Filters(), "")]
    return [shlex.quote(word) for word in words]


def _differences(config: Any, default: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Dotted fields that differ from those of `default`, with their plain values."""
    for field in dataclasses.fields(config):
        value, plain = getattr(config, field.name), getattr(default, field.name)
        if dataclasses.is_dataclass(value) and type(value) is type(plain):
            yield from _differences(value, plain, f"{path}{field.name}.")
        elif value != plain:
            yield f"{path}{field.name}", [*map(_as_plain, value)] if isinstance(value, tuple) else value


def _as_plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


@dataclasses.dataclass(frozen=True)
class Change:
    """A document that changes sides, by the rule that drops it on one of them."""

    shard: int
    row: int
    id: str
    rule: str
    value: float
    limit: float


class Comparison:
    """Counts of both decisions, added up over batches of the statistics table."""

    def __init__(self, before: Sequence[Step], after: Sequence[Step], kind: pa.Schema, examples: int) -> None:
        self._before, self._after = Decider(before, before, kind), Decider(after, before, kind)
        self._examples = examples
        self.rows = 0
        self.dropped: tuple[collections.Counter[str], ...] = (collections.Counter(), collections.Counter())
        """Documents by the rule that each breaks first, before and after."""
        self.sources: dict[str, list[int]] = {}
        """Source -> [documents, kept before, kept after]."""
        self.lost: list[Change] = []
        self.gained: list[Change] = []
        self.changes = [0, 0]
        """Documents that would go, documents that would stay after all."""

    def add(self, batch: pa.RecordBatch, shard: int, first_row: int, source: str | None = None) -> None:
        """Decide and count rows of the table; of one source, where it is given."""
        mine = np.full(batch.num_rows, True)
        if source is not None:
            mine = np.array([name == source for name in batch.column("source").to_pylist()], bool)
        before, after = self._before(batch), self._after(batch)
        was, now = _first(before, batch.num_rows), _first(after, batch.num_rows)
        self.rows += int(mine.sum())
        for total, judged, first in zip(self.dropped, (before, after), (was, now), strict=True):
            counts = np.bincount(first[mine] + 1, minlength=len(judged) + 1).tolist()
            for rule, count in zip(judged, counts[1:], strict=True):
                total[rule.name] += count
        self._count_sources(batch, mine, was < 0, now < 0)
        for place, (rows, judged, first, changes) in enumerate(
            (
                (np.flatnonzero(mine & (was < 0) & (now >= 0)), after, now, self.lost),
                (np.flatnonzero(mine & (was >= 0) & (now < 0)), before, was, self.gained),
            )
        ):
            self.changes[place] += len(rows)
            for row in rows[: self._examples - len(changes)].tolist():
                name, rule, _ = judged[first[row]]
                value, limit = float(rule.value[row]), float(rule.limit)
                changes.append(Change(shard, first_row + row, batch.column("id")[row].as_py(), name, value, limit))

    def _count_sources(self, batch: pa.RecordBatch, mine: np.ndarray, was: np.ndarray, now: np.ndarray) -> None:
        encoded = batch.column("source").dictionary_encode()
        places, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
        columns = [np.bincount(places[mask], minlength=len(names)).tolist() for mask in (mine, mine & was, mine & now)]
        for name, *counts in zip(names, *columns, strict=True):
            if counts[0]:
                present = self.sources.setdefault(name, [0, 0, 0])
                self.sources[name] = [a + b for a, b in zip(present, counts, strict=True)]


def _first(judged: Sequence[Judged], rows: int) -> np.ndarray:
    """The number of the rule that each document breaks first, -1 for those that break none."""
    first = np.full(rows, -1)
    for number in range(len(judged) - 1, -1, -1):
        _, rule, scope = judged[number]
        first[rule.broken & scope] = number
    return first
