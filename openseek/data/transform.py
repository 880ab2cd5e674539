"""Steps over batches of documents: a Transform rewrites, a Filter names the documents that break its rules.

Text is read once into Statistics; a rule is a vectorised comparison on them, so thresholds are cheap to try and every
dropped document carries the value and the limit. Config classes derive from these, so nothing heavy is imported here.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Rule(NamedTuple):
    """One rule over a batch: the value of each document, the limit, which documents break it, words on each."""

    value: np.ndarray
    limit: float
    broken: np.ndarray
    detail: pa.Array | None = None
    side: Literal["", "<", ">"] = ""
    """Where a value must lie to break the rule: below the limit, above it; empty: no comparison tells."""


def at_least(value: np.ndarray, limit: float) -> Rule:
    """Broken below the limit."""
    return Rule(value, limit, value < limit, side="<")


def at_most(value: np.ndarray, limit: float) -> Rule:
    """Broken above the limit."""
    return Rule(value, limit, value > limit, side=">")


class Judged(NamedTuple):
    """A rule over a batch, its name, and the documents in its scope, bool [rows]."""

    name: str
    rule: Rule
    scope: np.ndarray


class Statistics:
    """Named columns of numbers, one row a document, and the batch that they describe.

    A group of them is counted when a rule asks for one of its names, by one pass of its kernel over all texts.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self.used: set[str] = set()
        self._columns: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            names, statistics = _group(name)
            self._columns |= zip(names, statistics(self.batch.column("text")).T, strict=True)
        self.used.add(name)
        return self._columns[name]

    def ratio(self, name: str, whole: str) -> np.ndarray:
        """One count over another, 0 where there is nothing to divide by."""
        import numpy as np

        return self[name] / np.maximum(self[whole], 1)


GROUPS = (
    "openseek.data.text_kernels",
    "openseek.data.word_kernels",
    "openseek.data.sentence_kernels",
    "openseek.data.code_kernels",
    "openseek.data.math_kernels",
)
"""Modules with `STATISTICS`, the names of their columns, and `statistics(text column) -> numbers [rows, names]`."""


def _group(name: str) -> tuple[Sequence[str], Callable[[pa.Array], np.ndarray]]:
    """The group that counts the statistic `name`."""
    for group in GROUPS:
        module = importlib.import_module(group)
        if name in module.STATISTICS:
            return module.STATISTICS, module.statistics
    raise KeyError(f"no kernel counts the statistic {name!r}")


@dataclasses.dataclass(frozen=True)
class Scope:
    """Which documents a step looks at."""

    enabled: bool = True
    """Whether the step runs at all."""
    languages: tuple[str, ...] = ()
    """Only documents in these languages (ISO 639-1); empty: all."""
    sources: tuple[str, ...] = ()
    """Only documents of these sources; empty: all."""
    except_sources: tuple[str, ...] = ()
    """No document of these sources."""

    def within(self, batch: pa.RecordBatch) -> np.ndarray:
        """Documents in scope, bool [rows]."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        def among(column: str, names: tuple[str, ...]) -> np.ndarray:
            found = pc.is_in(batch.column(column), value_set=pa.array(names, pa.string()))  # type: ignore[attr-defined]
            return found.to_numpy(zero_copy_only=False)

        mask = np.full(batch.num_rows, self.enabled)
        if self.languages:
            mask &= among("lang", self.languages)
        if self.sources:
            mask &= among("source", self.sources)
        if self.except_sources:
            mask &= ~among("source", self.except_sources)
        return mask


@dataclasses.dataclass(frozen=True)
class Filter(Scope, abc.ABC):
    """A set of rules; its fields are its thresholds."""

    reads_text: ClassVar[bool] = False
    """Whether a rule looks at the text, URL or meta itself: then its values are kept beside the statistics."""

    @abc.abstractmethod
    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """Every rule by its name, over all documents of the batch: the same names whatever the batch holds."""


class Transform(Scope, abc.ABC):
    """A rewriting of documents: same rows, same ids, other text."""

    @abc.abstractmethod
    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the documents in scope rewritten."""


def rewrite(batch: pa.RecordBatch, mask: np.ndarray, function: Callable[[str], str]) -> pa.RecordBatch:
    """The batch with `function` applied to the texts that `mask` names; the other texts are not touched."""
    import numpy as np
    import pyarrow as pa

    rows = np.flatnonzero(mask)
    if not len(rows):
        return batch
    column = batch.column("text")
    texts = column.to_pylist()
    for row in rows.tolist():
        texts[row] = function(texts[row])
    return replace_column(batch, "text", pa.array(texts, column.type))


def replace_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    """The batch with one column exchanged."""
    return batch.set_column(batch.schema.get_field_index(name), batch.schema.field(name), column)


class Examined(NamedTuple):
    """A batch after all steps, nothing dropped yet: documents as the cleaners left them, rules, what the rules read."""

    batch: pa.RecordBatch
    rules: list[Judged]
    statistics: dict[int, Statistics]
    """What filters counted, by the number of cleaners that had run."""


def examine(steps: Sequence[Filter | Transform], batch: pa.RecordBatch) -> Examined:
    """All enabled steps over a batch, in order: every cleaner rewrites, every filter judges all documents."""
    judged: list[Judged] = []
    counted: dict[int, Statistics] = {}
    cleaners = 0
    for step in steps:
        if not step.enabled:
            continue
        if isinstance(step, Transform):
            batch, cleaners = step(batch), cleaners + 1
            continue
        statistics = counted.setdefault(cleaners, Statistics(batch))
        scope = step.within(batch)
        judged += [Judged(name, rule, scope) for name, rule in step.rules(statistics).items()]
    return Examined(batch, judged, counted)


def apply(
    steps: Sequence[Filter | Transform], batch: pa.RecordBatch, *, task: str, first_row: int = 0
) -> tuple[pa.RecordBatch, pa.Table]:
    """(documents that stay, DROPPED rows) after all steps, which run in order on all documents."""
    batch, rules, _ = examine(steps, batch)
    return drop(batch, rules, task=task, first_row=first_row)


def drop(
    batch: pa.RecordBatch, rules: Sequence[tuple[str, Rule, np.ndarray]], *, task: str, first_row: int = 0
) -> tuple[pa.RecordBatch, pa.Table]:
    """(documents that stay, DROPPED rows: one for each broken rule, a document's first in order marked `first`).

    Each rule comes with its name and the documents in its scope; `first_row` is the batch's first row in its shard.
    """
    import numpy as np
    import pyarrow as pa

    from openseek.data.document import DROPPED

    gone = np.zeros(batch.num_rows, bool)
    found = [np.flatnonzero(rule.broken & scope) for _, rule, scope in rules]
    first = []
    for rows in found:
        first.append(~gone[rows])
        gone[rows] = True
    rows = np.concatenate([np.zeros(0, np.int64), *found])
    count, order = len(rows), np.argsort(rows, kind="stable")
    names, values, limits, details = [], [np.zeros(0)], [np.zeros(0)], []
    for (name, rule, _), broken in zip(rules, found, strict=True):
        names += [name] * len(broken)
        values.append(rule.value[broken].astype(np.float64))
        limits.append(np.full(len(broken), float(rule.limit)))
        details += rule.detail.take(pa.array(broken)).to_pylist() if rule.detail is not None else [""] * len(broken)
    columns = {
        "id": batch.column("id").take(pa.array(rows[order])),
        "task": pa.array([task] * count, pa.string()),
        "rule": pa.array([names[i] for i in order], pa.string()),
        "value": np.concatenate(values)[order],
        "limit": np.concatenate(limits)[order],
        "detail": pa.array([details[i] for i in order], pa.string()),
        "partner": pa.nulls(count, pa.string()),
        "start": pa.nulls(count, pa.int64()),
        "stop": pa.nulls(count, pa.int64()),
        "first": pa.array(np.concatenate([np.zeros(0, bool), *first])[order]),
        "shard": np.zeros(count, np.int32),
        "row": rows[order] + first_row,
    }
    return batch.filter(pa.array(~gone)), pa.table(columns, schema=DROPPED)
