"""Experiments of a recipe: what its proxy trainings vary, what they have in common, what they came to."""

from dataclasses import dataclass, field
from typing import Any

from openseek.sweep.config import Result, SweepConfig

LEAST_RUNS = 4
STAGES = (
    "filter",
    "dedup_exact",
    "dedup_minhash",
    "dedup_substring",
    "dedup_lines",
    "select",
    "decontaminate",
    "synthesize",
)
"""Steps of the corpus that an ablation can leave out."""


@dataclass(frozen=True)
class Experiment:
    """Proxy trainings that look for better values of a recipe: `openseek sweep`."""

    mixture: bool = True
    """Vary the weights of the sources of `mix`; their tokens are those of the token shards."""
    search: SweepConfig = SweepConfig()
    """Recipe fields that vary, losses that count, runs; its domains are filled in from the token shards."""
    proxy: dict[str, Any] = field(default_factory=dict)
    """Recipe fields of every proxy by dotted name, such as {"pretrain.train_tokens": 100000}."""
    confirm: dict[str, Any] = field(default_factory=dict)
    """Recipe fields of the runs of the check, on top of `proxy`: such as those of the next larger model."""
    budget_flops: float = 0.0
    """Most floating-point operations of the search: they limit its runs, too; 0: no limit but search.budget_runs."""
    workers: int = field(default=1, metadata={"runtime": True})
    """Proxies that train at the same time."""

    def __post_init__(self) -> None:
        if not self.mixture and not self.search.fields:
            raise ValueError("sweep: neither the mixture nor a field varies: set mixture, or name fields in search")
        if self.search.domains:
            raise ValueError("sweep.search.domains comes from the token shards: leave it out")
        if self.search.budget_runs < LEAST_RUNS:
            # The domains are known only when the corpus is there: too late for what can be told now.
            runs = self.search.budget_runs
            raise ValueError(f"sweep.search.budget_runs is {runs}: no search has fewer than {LEAST_RUNS} runs")
        if self.workers < 1:
            raise ValueError(f"sweep.workers is {self.workers}: it must be at least 1")
        if self.budget_flops < 0:
            raise ValueError(f"sweep.budget_flops is {self.budget_flops}: it must not be negative")


@dataclass(frozen=True)
class Findings:
    """The results of a sweep's trainings, from which tables, plots and the verdict are made."""

    search: SweepConfig = SweepConfig()
    """What was searched."""
    results: tuple[Result, ...] = ()
    """What became of every run, in order."""
    confirmed_elsewhere: bool = False
    """The check ran with other settings (a larger model): only differences of its losses can be compared."""
    flops_a_run: float = 0.0
    """Floating-point operations of one proxy."""
    artifacts: dict[str, str] = field(default_factory=dict, metadata={"runtime": True})
    """Folder of each run below the root."""
    failures: dict[str, str] = field(default_factory=dict, metadata={"runtime": True})
    """Why runs failed."""
    seconds: dict[str, float] = field(default_factory=dict, metadata={"runtime": True})
    """How long each run took."""


@dataclass(frozen=True)
class Rung:
    """One size of a ladder."""

    name: str = ""
    """Its name in tables and plots."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Recipe fields by dotted name."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Rung.name is empty: give every rung a name")


@dataclass(frozen=True)
class Ladder:
    """Trainings of growing size, from which a scaling law is fitted: `openseek ladder`."""

    rungs: tuple[Rung, ...] = ()
    """The sizes, from small to large."""
    seeds: int = 1
    """Trainings of each size."""
    workers: int = field(default=1, metadata={"runtime": True})
    """Trainings that run at the same time."""

    def __post_init__(self) -> None:
        names = [rung.name for rung in self.rungs]
        if len(set(names)) < len(names):
            raise ValueError(f"ladder.rungs are named {', '.join(names)}: give each a name of its own")
        if self.seeds < 1 or self.workers < 1:
            raise ValueError("ladder.seeds and ladder.workers must be at least 1")
