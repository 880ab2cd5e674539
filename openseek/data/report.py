"""What a task did to its documents, in numbers that add up over shards: outcomes, rules, groups, quarantine, alarms.

A Summary is fed with batches, written as JSON, and added to others. It holds no text but the excerpts of its examples.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from openseek.data import histogram
from openseek.data.histogram import Bins
from openseek.data.statistics_table import beyond_limit
from openseek.data.transform import Judged, Rule

ALARM = 0.5
"""A source that loses a greater share of its documents is an alarm."""
ALARM_RATIO, ALARM_FLOOR = 4.0, 0.2
"""So is one that loses so many times the median of all sources, and at least this share."""
ALARM_DOCUMENTS = 10
"""Smaller sources raise no alarm: of three documents, two mean nothing."""
EXAMPLES = 3
OUTCOMES = ("kept", "dropped", "quarantined")
QUARANTINE_EXAMPLES = 3

Counts = dict[str, list[int]]
"""Name -> [kept, dropped, quarantined]."""
Example = dict[str, Any]


@dataclasses.dataclass
class RuleSummary:
    """One rule over all documents."""

    limit: float | None = None
    side: str = ""
    looked_at: int = 0
    broken: int = 0
    first: int = 0
    """Documents that broke it before any other rule."""
    only: int = 0
    """Documents that broke it and no other rule: a milder limit would keep them."""
    kept: Bins = dataclasses.field(default_factory=dict)
    """Values of documents that stay."""
    other: Bins = dataclasses.field(default_factory=dict)
    """Values of documents that go by other rules."""
    breaking: Bins = dataclasses.field(default_factory=dict)
    """Values of documents that break it."""
    languages: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    """Language -> [looked at, broken]."""
    passed: list[Example] = dataclasses.field(default_factory=list)
    """Documents nearest to the limit that keep it."""
    failed: list[Example] = dataclasses.field(default_factory=list)
    """Documents nearest to the limit that break it."""

    def add(self, more: RuleSummary) -> None:
        """Take in the same rule of another shard."""
        if self.limit is None:
            self.limit, self.side = more.limit, more.side
        for name in ("looked_at", "broken", "first", "only"):
            setattr(self, name, getattr(self, name) + getattr(more, name))
        for name in ("kept", "other", "breaking"):
            histogram.add(getattr(self, name), getattr(more, name))
        _add_counts(self.languages, more.languages)
        self.passed = nearest(self.passed + more.passed)
        self.failed = nearest(self.failed + more.failed)


def nearest(examples: Sequence[Example]) -> list[Example]:
    """The examples nearest to the limit, then first in order."""
    return sorted(examples, key=lambda e: (e["distance"], e["shard"], e["row"]))[:EXAMPLES]


def _add_counts(total: dict[str, list[int]], more: Mapping[str, Sequence[int]]) -> None:
    for name, counts in more.items():
        total[name] = [a + b for a, b in zip(total.get(name, [0] * len(counts)), counts, strict=True)]


@dataclasses.dataclass
class Summary:
    """All counts of one task."""

    groups: dict[str, Counts] = dataclasses.field(default_factory=dict)
    """Kind (source, language, licence, file) -> name -> [kept, dropped, quarantined]."""
    rules: dict[str, RuleSummary] = dataclasses.field(default_factory=dict)
    """In the order in which they are looked at."""
    quarantine: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """Reason -> count, examples [file, position]."""

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "groups": self.groups,
            "rules": {n: vars(r) for n, r in self.rules.items()},
            "quarantine": self.quarantine,
        }

    @classmethod
    def read(cls, value: dict[str, Any]) -> Summary:
        """From what `json` gave."""
        return cls(value["groups"], {n: RuleSummary(**r) for n, r in value["rules"].items()}, value["quarantine"])

    def add(self, more: Summary) -> None:
        """Take in another shard."""
        for kind, counts in more.groups.items():
            _add_counts(self.groups.setdefault(kind, {}), counts)
        for name, rule in more.rules.items():
            self.rules.setdefault(name, RuleSummary()).add(rule)
        for reason, found in more.quarantine.items():
            mine = self.quarantine.setdefault(reason, {"count": 0, "examples": []})
            mine["count"] += found["count"]
            mine["examples"] = (mine["examples"] + found["examples"])[:QUARANTINE_EXAMPLES]

    def count_groups(self, kind: str, names: pa.Array, gone: np.ndarray) -> None:
        """Count documents that stay and those that go, by the name of each in a column."""
        found = {name: [kept, dropped, 0] for name, (kept, dropped) in _Names(names).counts(~gone, gone).items()}
        _add_counts(self.groups.setdefault(kind, {}), found)

    def count_group(self, kind: str, name: str, outcome: str, count: int) -> None:
        """Add a number of documents of one outcome."""
        counts = [count if outcome == each else 0 for each in OUTCOMES]
        _add_counts(self.groups.setdefault(kind, {}), {name: counts})

    def count_quarantine(self, path: str, position: int, error: str) -> None:
        """Count a record that could not be read."""
        found = self.quarantine.setdefault(error, {"count": 0, "examples": []})
        found["count"] += 1
        if len(found["examples"]) < QUARANTINE_EXAMPLES:
            found["examples"].append([path, position])

    def count_rules(
        self, judged: Sequence[Judged], batch: pa.RecordBatch, first_row: int, shard: int, *, examples: bool = True
    ) -> np.ndarray:
        """Count all rules over a batch with the columns id and lang; returns which documents go, bool [rows]."""
        broken = [np.asarray(rule.broken & scope, bool) for _, rule, scope in judged]
        times = np.sum([np.zeros(batch.num_rows, np.int64), *broken], axis=0)
        gone = np.zeros(batch.num_rows, bool)
        languages = _Names(batch.column("lang"))
        for (name, rule, scope), breaks in zip(judged, broken, strict=True):
            # A value beyond the limit that breaks nothing is none of the rule's concern (other language, ...).
            mine = scope & (breaks | ~beyond_limit(rule) if rule.side else scope)
            found = RuleSummary(float(rule.limit), rule.side, int(mine.sum()), int(breaks.sum()))
            found.first = int((breaks & ~gone).sum())
            found.only = int((breaks & (times == 1)).sum())
            gone |= breaks
            self._bins(found, rule, mine, breaks, times > 0)
            found.languages = languages.counts(mine, breaks)
            if examples:
                found.passed = _near(rule, mine & ~breaks, batch, first_row, shard)
                found.failed = _near(rule, breaks, batch, first_row, shard)
            self.rules.setdefault(name, RuleSummary()).add(found)
        return gone

    def _bins(self, found: RuleSummary, rule: Rule, mine: np.ndarray, breaks: np.ndarray, goes: np.ndarray) -> None:
        share = histogram.is_share(found.limit)
        value = np.asarray(rule.value, np.float64)
        found.kept = histogram.count(value[mine & ~goes], share)
        found.other = histogram.count(value[mine & goes & ~breaks], share)
        found.breaking = histogram.count(value[breaks], share)

    def count_dropped(self, dropped: pa.Table, shard: int, example_rows: int) -> None:
        """Count rules from DROPPED rows alone, where nothing is known of the documents that stay.

        Examples are taken from the first rows of the shard.
        """
        ids = np.asarray(dropped["id"].to_pylist(), object)
        rules = np.asarray(dropped["rule"].to_pylist(), object)
        first = dropped["first"].to_numpy()
        times = dict(zip(*np.unique(ids, return_counts=True), strict=True)) if len(ids) else {}
        for name in dict.fromkeys(rules.tolist()):
            rows = np.flatnonzero(rules == name)
            part = dropped.take(pa.array(rows))
            limit = part["limit"][0].as_py()
            found = RuleSummary(limit, "", 0, len(set(ids[rows])), int(first[rows].sum()))
            found.only = int(sum(times[i] == 1 for i in ids[rows]))
            values = part["value"].to_numpy().astype(np.float64)
            found.breaking = histogram.count(values, histogram.is_share(limit))
            distance = np.nan_to_num(np.abs(values - (limit or 0.0)))
            distance[part["row"].to_numpy() >= example_rows] = np.inf
            chosen = np.argsort(distance, kind="stable")[:EXAMPLES]
            chosen = chosen[np.isfinite(distance[chosen])]
            for i, row in zip(chosen.tolist(), part.take(pa.array(chosen)).to_pylist(), strict=True):
                kept = {key: row[key] for key in ("id", "row", "value", "detail", "partner", "start", "stop")}
                found.failed.append({"distance": float(distance[i]), "shard": shard, **kept})
            self.rules.setdefault(name, RuleSummary()).add(found)


class _Names:
    """A column of names, encoded once for many counts."""

    def __init__(self, column: pa.Array) -> None:
        encoded = column.dictionary_encode()
        self._places = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        self._labels = [*encoded.dictionary.to_pylist(), None]

    def counts(self, *masks: np.ndarray) -> dict[str, list[int]]:
        """Name -> how many of its documents each mask holds; names without any are left out."""
        columns = [np.bincount(self._places[mask], minlength=len(self._labels)).tolist() for mask in masks]
        rows = zip(self._labels, *columns, strict=True)
        return {label or "unknown": counts for label, *counts in rows if any(counts)}


def _near(rule: Rule, mask: np.ndarray, batch: pa.RecordBatch, first_row: int, shard: int) -> list[Example]:
    rows = np.flatnonzero(mask & np.isfinite(rule.value))
    if not len(rows):
        return []
    distance = np.abs(np.asarray(rule.value, np.float64)[rows] - rule.limit)
    if len(rows) > EXAMPLES:
        edge = np.partition(distance, EXAMPLES - 1)[EXAMPLES - 1]
        rows, distance = rows[distance <= edge], distance[distance <= edge]
    order = np.argsort(distance, kind="stable")[:EXAMPLES]
    ids = batch.column("id")
    return [
        {
            "distance": float(distance[i]),
            "shard": shard,
            "row": first_row + int(rows[i]),
            "id": ids[int(rows[i])].as_py(),
            "value": float(rule.value[rows[i]]),
        }
        for i in order.tolist()
    ]


def totals(counts: Counts) -> list[int]:
    """[kept, dropped, quarantined] over all names."""
    return [sum(column) for column in zip(*counts.values(), strict=True)] or [0, 0, 0]


def alarms(summary: Summary) -> dict[str, str]:
    """Source -> why it is an alarm: it loses more than half of its documents, or far more than the other sources."""
    counts = {n: c for n, c in summary.groups.get("source", {}).items() if sum(c) >= ALARM_DOCUMENTS}
    lost = {name: 1 - kept / (kept + dropped + bad) for name, (kept, dropped, bad) in counts.items()}
    found = {}
    for name, share in sorted(lost.items()):
        others = [other for each, other in lost.items() if each != name]
        usual = statistics.median(others) if others else 0.0
        if share > ALARM:
            found[name] = f"source {name} loses {share:.0%} of its documents"
        elif others and share > ALARM_FLOOR and share > ALARM_RATIO * usual:
            found[name] = f"source {name} loses {share:.0%} of its documents, the median of the others is {usual:.0%}"
    return found
