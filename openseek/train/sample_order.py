"""Which source each training sample takes: a pure function of its number, worked out for any stretch of numbers.

Samples of a stage come in order of their due times: sample k of a source of weight w is due at (k + 1/2) / w, and of
two due together the one of the earlier source comes first. So after n samples each source has had w * n of them, give
or take less than two. A stage begins where the one before has had its share of the samples; a source goes on there with
the sample it had come to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CHUNK = 4096
"""Samples worked out at a time."""
TOLERANCE = 1e-6
"""Shares and weights of a mixture sum to one within this."""


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one set of weights."""

    name: str
    """Name, for errors and reports."""
    share: float
    """Share of the samples."""
    weights: tuple[float, ...]
    """Weight of each source, in the order of the mixture's entries; they sum to one."""


def read_stages(content: dict[str, Any]) -> tuple[Stage, ...]:
    """The stages of a mixture.json; without any, one of its entries' weights. ValueError names what does not add up."""
    weights = [float(entry["weight"]) for entry in content["entries"]]
    given = content.get("stages")
    if given is None:
        total = sum(weights)
        if not weights or min(weights) < 0 or not 0 < total < math.inf:
            raise ValueError(f"mixture weights {weights} must not be negative and need a positive sum: run mix again")
        return (Stage("all", 1.0, tuple(weight / total for weight in weights)),)
    stages = tuple(Stage(stage["name"], float(stage["share"]), tuple(map(float, stage["weights"]))) for stage in given)
    for stage in stages:
        if len(stage.weights) != len(weights):
            raise ValueError(
                f"stage {stage.name!r} of the mixture has {len(stage.weights)} weights for {len(weights)} entries: "
                "run mix again"
            )
        if stage.share <= 0 or min(stage.weights) < 0 or abs(sum(stage.weights) - 1) > TOLERANCE:
            raise ValueError(
                f"stage {stage.name!r} of the mixture has the share {stage.share} and the weights {stage.weights}: a "
                "share must be positive, weights not negative and sum to one"
            )
    if abs(sum(stage.share for stage in stages) - 1) > TOLERANCE:
        raise ValueError(f"the shares of the mixture's stages {[s.share for s in stages]} do not sum to one")
    return stages


def counts_before(weights: np.ndarray, due: float) -> np.ndarray:
    """Samples int64 [S] of each source that are due before the time `due`."""
    counts = np.maximum(np.floor(weights * due + 0.5).astype(np.int64) + 1, 0)
    # The product is rounded: the time that also orders the samples decides.
    for _ in range(3):
        counts -= (counts > 0) & (_due(counts - 1, weights) >= due)
    return counts


def _due(number: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (number + 0.5) / weights


def _positive(weights: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(sources that have a weight, their weights scaled to sum to one)."""
    shares = np.asarray(weights, np.float64)
    sources = np.flatnonzero(shares > 0)
    return sources, shares[sources] / shares[sources].sum()


def interleave(weights: Sequence[float], first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(source, its sample) int64 [count] of samples first, first + 1, ... of a stage with these weights."""
    sources, shares = _positive(weights)
    # After `due` samples' time, the sources together have had that many, give or take one half each.
    begun = counts_before(shares, first - len(shares))
    enough = counts_before(shares, first + count + len(shares))
    each = enough - begun
    source = np.repeat(np.arange(len(shares)), each)
    number = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each) + begun[source]
    order = np.lexsort((source, _due(number, shares[source])))
    order = order[first - int(begun.sum()) :][:count]
    return sources[source[order]], number[order]


class SampleOrder:
    """The order of `num_samples` samples that go through the stages."""

    def __init__(self, stages: Sequence[Stage], num_samples: int) -> None:
        self.stages, self.num_samples = tuple(stages), num_samples
        ends = np.cumsum([stage.share for stage in stages]) / sum(stage.share for stage in stages)
        self._ends = [round(float(end) * num_samples) for end in ends]
        self._begins = [0, *self._ends[:-1]]
        had = np.zeros(len(stages[0].weights), np.int64)
        self._had: list[np.ndarray] = []
        for stage, begin, end in zip(stages, self._begins, self._ends, strict=True):
            self._had.append(had)
            had = had + samples_of(stage.weights, end - begin)
        self.totals = had
        """Samples int64 [S] of each source in the whole run."""
        self._chunks: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(source, its sample) int64 [count] of global samples first, first + 1, ..."""
        parts = [self._chunk(i) for i in range(first // CHUNK, (first + count - 1) // CHUNK + 1)]
        begin = first % CHUNK
        source, number = (np.concatenate(part)[begin : begin + count] for part in zip(*parts, strict=True))
        return source, number

    def _chunk(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index not in self._chunks:
            while len(self._chunks) > 3:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[index] = self._stretch(index * CHUNK, min((index + 1) * CHUNK, self.num_samples))
        return self._chunks[index]

    def _stretch(self, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        source, number = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for stage, had, begin, end in zip(self.stages, self._had, self._begins, self._ends, strict=True):
            low, high = max(first, begin), min(stop, end)
            if low < high:
                of, its = interleave(stage.weights, low - begin, high - low)
                source.append(of)
                number.append(its + had[of])
        return np.concatenate(source), np.concatenate(number)


def samples_of(weights: Sequence[float], count: int) -> np.ndarray:
    """Samples int64 [S] of each source among the first `count` of a stage."""
    sources, shares = _positive(weights)
    counts = np.zeros(len(weights), np.int64)
    counts[sources] = counts_before(shares, count - len(shares))
    begun = int(counts.sum())
    source, _ = interleave(weights, begun, count - begun)
    return counts + np.bincount(source, minlength=len(weights))
