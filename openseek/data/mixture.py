"""What a mixture should be: shares of the sources, caps on their epochs, quality buckets, stages. Light to import.

`mixture_plan.entries` works this out for the tokens that there are.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

TOLERANCE = 1e-3
"""Published weights are rounded: their sum may differ from the whole by this share of it."""
WHOLES = (1.0, 100.0)
MAX_STAGES = 12
NEUTRAL = 1.0


@dataclass(frozen=True)
class Stage:
    """A part of training with weights of its own, such as a curriculum's start or the annealing at the end."""

    name: str
    """What it is called in mixture.json."""
    share: float
    """Share of the training tokens; those of all stages sum to 1."""
    weights: dict[str, float] = field(default_factory=dict)
    """Share of each source within the stage; empty: those of the mixture."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Stage.name is empty: give every stage a name")
        if not 0 < self.share <= 1:
            raise ValueError(f"Stage.share of {self.name!r} is {self.share}: give a share above 0, at most 1")


@dataclass(frozen=True)
class Quality:
    """How sources that come in quality buckets spend their tokens: better buckets are repeated more often.

    Olmo 3 (Olmo team, 2025) repeats its web text along such a rising curve, the best up to 7 times, the worst never.
    """

    enabled: bool = False
    """Make an entry SOURCE#BUCKET of each bucket; without it a source is drawn from evenly."""
    sources: tuple[str, ...] = ()
    """Sources of the mixture that this holds for; empty: all that have buckets."""
    order: tuple[str, ...] = ()
    """Names of the buckets from the worst to the best; empty: by number (q0, q1, ...), or low, medium, high."""
    ratios: dict[str, float] = field(default_factory=dict)
    """Epochs of each bucket relative to the others, rising with the order; empty: by `power`."""
    power: float = 2.0
    """Without `ratios` epochs go as (share of the source's tokens that are worse)^power; 0: all alike."""
    leave_out_below: float = 0.0
    """Without `ratios`: buckets whose middle lies below this share of the source are not used."""
    max_epochs: float = 7.0
    """Most times that a bucket may be repeated; what it cannot take goes to the others. 0: no limit."""

    def __post_init__(self) -> None:
        for bucket, ratio in self.ratios.items():
            if not 0 <= ratio < math.inf:
                raise ValueError(f"quality.ratios gives {bucket!r} {ratio}: it must not be negative")
        if self.ratios and not any(self.ratios.values()):
            raise ValueError("quality.ratios are all 0: give the best bucket at least 1")
        if self.power < 0:
            raise ValueError(f"quality.power is {self.power}: below 0 the worst buckets would be repeated most")
        if not 0 <= self.leave_out_below < 1:
            raise ValueError(f"quality.leave_out_below is {self.leave_out_below}: give a share from 0 to below 1")
        if self.max_epochs < 0:
            raise ValueError(f"quality.max_epochs is {self.max_epochs}: it must not be negative")


@dataclass(frozen=True)
class Mix:
    """Shares of the sources. `--set preset=NAME` starts from a published mixture (published_mixtures.py)."""

    presets: ClassVar[str] = "openseek.data.published_mixtures"

    weights: dict[str, float] = field(default_factory=dict)
    """Share of each source, of a sum of 1 or 100; a source left out has none; empty: by `method`."""
    method: Literal["temperature", "unimax"] = "temperature"
    """Without weights: tokens^(1/temperature), so natural at 1; unimax: equal shares as far as max_epochs lets them."""
    temperature: float = NEUTRAL
    """Above 1 small sources weigh more than in proportion to their tokens (method temperature)."""
    relative: bool = False
    """The weights of mixture and stages are ratios of any sum; without it a sum other than 1 or 100 is refused."""
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Glob patterns of the token sources that make up a source of the mixture; one left out is itself such a source."""
    on_missing: Literal["fail", "leave_out"] = "fail"
    """Weighted sources that the token shards lack: refuse, or leave them out and share their weight among the rest."""
    train_tokens: int = 0
    """Tokens that training will see, from which epochs are worked out; 0: as many as the sources hold."""
    max_epochs: float = 0.0
    """Most times that a source may be repeated, over all stages; 0: no limit."""
    source_max_epochs: dict[str, float] = field(default_factory=dict)
    """The same for single sources."""
    on_cap: Literal["fail", "redistribute"] = "fail"
    """Sources that would be repeated too often: refuse, or share their excess among the others in proportion."""
    quality: Quality = Quality()
    """Repetition by quality bucket."""
    stages: tuple[Stage, ...] = ()
    """Parts of training in their order; none: one stage with the weights above."""

    def __post_init__(self) -> None:
        checked_weights(self.weights, "mix.weights", self.relative)
        for stage in self.stages:
            checked_weights(stage.weights, f"weights of the stage {stage.name!r}", self.relative)
        if self.weights and (self.temperature != NEUTRAL or self.method != "temperature"):
            raise ValueError("mix.temperature and mix.method only work without mix.weights: leave one of them out")
        if self.temperature <= 0:
            raise ValueError(f"mix.temperature is {self.temperature}: it must be above 0")
        if self.method == "unimax" and self.temperature != NEUTRAL:
            raise ValueError("mix.temperature means nothing to method unimax: leave it out")
        for name in ("train_tokens", "max_epochs"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"mix.{name} is {getattr(self, name)}: it must not be negative")
        for source, limit in self.source_max_epochs.items():
            if not 0 < limit < math.inf:
                raise ValueError(f"mix.source_max_epochs gives {source!r} {limit}: it must be above 0")
        for source, patterns in self.sources.items():
            if not patterns:
                raise ValueError(f"mix.sources gives {source!r} no token source: name at least one")
        self._check_stages()

    def _check_stages(self) -> None:
        names = [stage.name for stage in self.stages]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"mix.stages names {twice[0]!r} twice: give every stage its own name")
        if len(names) > MAX_STAGES:
            raise ValueError(f"mix.stages are {len(names)}: give at most {MAX_STAGES}")
        total = sum(stage.share for stage in self.stages)
        if names and abs(total - 1) > TOLERANCE:
            raise ValueError(f"the shares of mix.stages sum to {total:g}: they must sum to 1")


def checked_weights(weights: dict[str, float], what: str, relative: bool) -> None:
    """ValueError for weights that are negative, no numbers, all 0, or of a sum that is neither 1 nor 100."""
    for source, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"{what} gives {source!r} the weight {weight}: it must be a number from 0 on")
    total = sum(weights.values())
    if weights and not total:
        raise ValueError(f"{what} are all 0: give at least one source a weight, or no weights at all")
    if weights and not relative and all(abs(total / whole - 1) > TOLERANCE for whole in WHOLES):
        raise ValueError(
            f"{what} sum to {total:.6g}, which is neither 1 nor 100 within {TOLERANCE:.1%}: correct them, or say that "
            f"they are ratios by relative=true"
        )


def normalised(weights: dict[str, float]) -> dict[str, float]:
    """The positive ones of these weights with the sum 1."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items() if weight > 0}
