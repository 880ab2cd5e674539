"""The table that `filter` keeps of every document: what its rules read, so that they can be decided again without text.

One row a document of the input, in order: id, source, lang, script; each statistic that a rule asked for, under its
name (NAME@N where it was counted again after N cleaners); and for filters that read the text itself `rule.NAME`, the
value, and `broken.NAME`; the schema's metadata names the limits of the latter.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from openseek.data.document import DOCUMENT
from openseek.data.transform import Examined, Filter, Judged, Rule, Scope, Statistics, Transform, examine

COLUMNS = ("id", "source", "lang", "script")
LIMITS = b"openseek.limits"
Step = Filter | Transform


class Recorded(Statistics):
    """Statistics out of a table: what no rule asked for then is not there."""

    def __init__(self, batch: pa.RecordBatch, suffix: str = "") -> None:
        super().__init__(batch)
        self._suffix = suffix

    def __getitem__(self, name: str) -> np.ndarray:
        column = f"{name}{self._suffix}"
        if column not in self.batch.schema.names:
            raise ValueError(
                f"the statistics table does not hold {name!r}, for no rule of that run read it: "
                f"run `openseek filter` with the rule set enabled"
            )
        return self.batch.column(column).to_numpy(zero_copy_only=False)


def schema(steps: Sequence[Step]) -> pa.Schema:
    """The columns of the table that these steps leave."""
    empty = pa.RecordBatch.from_pylist([], DOCUMENT)
    names = [(name, DOCUMENT.field(name).type) for name in COLUMNS]
    columns = _columns(steps, examine(steps, empty))
    limits = [[[n, float(r.limit), r.side] for n, r in _rules(step).items()] for step in _readers(steps)]
    counted = [(name, pa.from_numpy_dtype(values.dtype)) for name, values in columns.items()]
    return pa.schema([*names, *counted], {LIMITS: json.dumps(limits)})


def table(steps: Sequence[Step], examined: Examined, kind: pa.Schema) -> pa.Table:
    """The rows of one batch that `examine` went through; `kind` is `schema(steps)`."""
    columns = _columns(steps, examined)
    missing = [name for name in kind.names[len(COLUMNS) :] if name not in columns]
    assert not missing, f"rules must have the same names and read the same statistics for every batch: {missing}"
    arrays = [examined.batch.column(name) for name in COLUMNS]
    arrays += [pa.array(columns[field.name], field.type) for field in list(kind)[len(COLUMNS) :]]
    return pa.Table.from_arrays(arrays, schema=kind)


def _columns(steps: Sequence[Step], examined: Examined) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    suffixes = _suffixes(examined.statistics)
    for cleaners, statistics in examined.statistics.items():
        for name in sorted(statistics.used):
            found[f"{name}{suffixes[cleaners]}"] = statistics[name]
    kept = {name for step in _readers(steps) for name in _rules(step)}
    for name, rule, _ in examined.rules:
        if name in kept:
            found[f"rule.{name}"] = rule.value.astype(np.float64)
            found[f"broken.{name}"] = np.asarray(rule.broken, bool)
    return found


def _suffixes(cleaners: Any) -> dict[int, str]:
    """The ending of the column names for each number of cleaners that ran before a filter."""
    return {number: f"@{number}" if place else "" for place, number in enumerate(sorted(cleaners))}


def _readers(steps: Sequence[Step]) -> list[Filter]:
    """The enabled filters that read the text."""
    return [step for step in steps if isinstance(step, Filter) and step.enabled and step.reads_text]


def _rules(step: Filter) -> dict[str, Rule]:
    """The rules of a step over no document: their names, limits and sides."""
    return step.rules(Statistics(pa.RecordBatch.from_pylist([], DOCUMENT)))


def _placed(steps: Sequence[Step]) -> Iterator[tuple[Step, int]]:
    """Each step with the number of enabled cleaners before it."""
    cleaners = 0
    for step in steps:
        yield step, cleaners
        cleaners += isinstance(step, Transform) and step.enabled


class Decider:
    """Judges rows of the table by changed filters.

    `steps` and `before` are all steps of both configs, in order; `kind` is the table's schema. ValueError names the
    change that needs the text.
    """

    def __init__(self, steps: Sequence[Step], before: Sequence[Step], kind: pa.Schema) -> None:
        if len(steps) != len(before):
            raise ValueError("a cleaner comes or goes, which needs the text")
        suffixes = _suffixes({n for step, n in _placed(before) if isinstance(step, Filter) and step.enabled})
        limits = iter(json.loads((kind.metadata or {}).get(LIMITS, b"[]")))
        self._steps: list[tuple[Filter, str, dict[str, tuple[Rule, Rule]]]] = []
        for (step, cleaners), old in zip(_placed(steps), before, strict=True):
            if isinstance(step, Transform) or isinstance(old, Transform):
                if step != old:
                    raise ValueError(f"{type(step).__name__} rewrites the text, so a change to it needs the text")
                continue
            reads = old.enabled and old.reads_text
            was = {name: Rule(_NONE, limit, _NONE, side=side) for name, limit, side in next(limits)} if reads else {}
            if step.enabled:
                kept = _kept(step, old, was) if step.reads_text else {}
                self._steps.append((step, suffixes.get(cleaners, f"@{cleaners}"), kept))

    def __call__(self, batch: pa.RecordBatch) -> list[Judged]:
        """Every rule over rows of the table."""
        judged: list[Judged] = []
        for step, suffix, kept in self._steps:
            scope = step.within(batch)
            if step.reads_text:
                rules = {name: _decided(name, *pair, batch) for name, pair in kept.items()}
            else:
                rules = step.rules(Recorded(batch, suffix))
            judged += [Judged(name, rule, scope) for name, rule in rules.items()]
        return judged


_NONE = np.zeros(0)


def _kept(step: Filter, old: Filter, was: dict[str, Rule]) -> dict[str, tuple[Rule, Rule]]:
    """Each rule of a filter that reads the text, with the rule as it was: only limits may differ."""
    name = type(step).__name__
    if not old.enabled:
        raise ValueError(f"{name} reads the text and was not enabled, so its values are not known")
    scope = {field.name for field in dataclasses.fields(Scope)}
    fields = [field.name for field in dataclasses.fields(step) if field.name not in scope]
    changes = {field: getattr(step, field) for field in fields if getattr(step, field) != getattr(old, field)}
    now = _rules(step) if changes else was
    for field, value in changes.items():
        alone = _rules(dataclasses.replace(old, **{field: value}))
        moved = [rule for rule in alone if rule not in was or alone[rule].limit != was[rule].limit]
        if set(alone) != set(was) or not moved or any(not alone[rule].side for rule in moved):
            raise ValueError(f"{name}.{field} is no limit, so a change to it needs the text")
    return {rule: (now[rule], was[rule]) for rule in was}


def _decided(name: str, rule: Rule, old: Rule, batch: pa.RecordBatch) -> Rule:
    """A rule whose values are in the table, at its present limit."""
    value = batch.column(f"rule.{name}").to_numpy(zero_copy_only=False)
    broken = batch.column(f"broken.{name}").to_numpy(zero_copy_only=False)
    if rule.limit != old.limit:
        beyond = beyond_limit(old._replace(value=value))
        # What lay beyond the limit and did not break the rule is no concern of the rule.
        broken = beyond_limit(rule._replace(value=value)) & ~(beyond & ~broken)
    return rule._replace(value=value, broken=broken, detail=None)


def beyond_limit(rule: Rule) -> np.ndarray:
    """Which values lie on the side of the limit that breaks the rule, bool [rows]; `broken` where no side is known."""
    if not rule.side:
        return rule.broken
    return rule.value < rule.limit if rule.side == "<" else rule.value > rule.limit
