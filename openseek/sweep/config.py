"""What a sweep varies, how many runs it may take, and the runs and results that it trades."""

import math
from dataclasses import dataclass, field
from typing import Literal

LEAST_POINTS = 4
"""Different points that a fit needs."""


@dataclass(frozen=True)
class FieldRange:
    """Values that a sweep may give to one field of a recipe."""

    low: float = 0.0
    """Least value."""
    high: float = 1.0
    """Greatest value."""
    scale: Literal["linear", "log"] = "linear"
    """Scale on which values are spread evenly: log for learning rates and batch sizes."""
    integer: bool = False
    """Round to whole numbers."""
    multiple: int = 1
    """Whole numbers are multiples of this one, as batches are of micro-batches."""
    current: float | None = None
    """The recipe's own value, that of the reference run; left out: the middle of the range."""

    def __post_init__(self) -> None:
        if not self.low < self.high or not math.isfinite(self.high - self.low):
            raise ValueError(f"sweep.fields: low {self.low} and high {self.high} need to be finite and in order")
        if self.multiple < 1 or self.low % self.multiple and self.multiple > 1:
            raise ValueError(f"sweep.fields: low {self.low} must be a multiple of multiple {self.multiple}, from 1 on")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"sweep.fields: low is {self.low}: a log scale needs it above 0; or take scale linear")
        if self.current is not None and not self.low <= self.current <= self.high:
            raise ValueError(
                f"sweep.fields: current {self.current} lies outside {self.low} to {self.high}: widen these"
            )


@dataclass(frozen=True)
class SweepConfig:
    """Proxy trainings that look for the best mixture of domains, the best values of recipe fields, or both."""

    domains: dict[str, int] = field(default_factory=dict)
    """Tokens that each domain holds, which make the natural mixture; empty: no mixture is swept."""
    fields: dict[str, FieldRange] = field(default_factory=dict)
    """Recipe fields by dotted name, each with its range."""
    targets: dict[str, float] = field(default_factory=dict)
    """Weight of each loss in what is minimised (normalised to sum 1); empty: all losses count the same."""
    train_tokens: int = 0
    """Tokens of the training that the mixture is for; with max_epochs it caps the weights; 0: no caps."""
    max_epochs: float = 4.0
    """Most times that this training may repeat a domain; 0: no limit."""
    design: Literal["dirichlet", "sobol"] = "dirichlet"
    """First mixtures: Dirichlet around the natural mixture as RegMix, or Sobol points, even over the simplex."""
    temperature: float = 0.5
    """Power on the natural shares before Dirichlet draws: below 1 small domains are drawn more often."""
    budget_runs: int = 32
    """Most proxy runs of the search; those of the check come on top."""
    initial_runs: int = 0
    """Runs of the first design, with the references and repeats; 0: twice the unknowns, at most half the budget."""
    batch_runs: int = 4
    """Runs proposed at once after the design: fewer learn more from each other, more keep more machines busy."""
    repeats: int = 3
    """Runs of the reference with different seeds: their spread is the noise floor."""
    check_seeds: int = 2
    """Runs of the optimum, of the reference and of a rival at the end, each; 0: no check."""
    folds: int = 5
    """Parts of the cross-validation that weighs the regressors."""
    bootstraps: int = 20
    """Resamples of the runs for the interval of each weight of the optimum."""
    seed: int = 0
    """Seed of every draw."""

    def __post_init__(self) -> None:
        if len(self.domains) == 1:
            raise ValueError(f"sweep.domains has {next(iter(self.domains))!r} alone: a mixture needs two domains")
        if both := set(self.domains) & set(self.fields):
            raise ValueError(f"sweep: {', '.join(sorted(both))} is a domain and a field: rename the domain")
        for name, tokens in self.domains.items():
            if not tokens > 0:
                raise ValueError(f"sweep.domains gives {name!r} {tokens} tokens: leave out a domain without tokens")
        for name, weight in self.targets.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"sweep.targets gives {name!r} the weight {weight}: it must not be negative")
        if self.targets and not sum(self.targets.values()):
            raise ValueError("sweep.targets are all 0: give at least one loss a weight, or no weights at all")
        if not self.temperature > 0:
            raise ValueError(f"sweep.temperature is {self.temperature}: it must be above 0")
        for name in ("train_tokens", "max_epochs", "initial_runs", "check_seeds"):
            if getattr(self, name) < 0:
                raise ValueError(f"sweep.{name} is {getattr(self, name)}: it must not be negative")
        for name, least in (("batch_runs", 1), ("repeats", 1), ("folds", 2), ("bootstraps", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"sweep.{name} is {getattr(self, name)}: it must be at least {least}")
        if self.unknowns:
            self._check_runs()

    def _check_runs(self) -> None:
        if sum(self.caps.values()) < 1 and self.domains:
            held, needed = sum(self.domains.values()), self.train_tokens
            raise ValueError(
                f"sweep.max_epochs {self.max_epochs:g} is infeasible: the domains hold {held} tokens of {needed} to be "
                f"trained on: set max_epochs to {needed / held:.3g} or more, or lower train_tokens"
            )
        if self.budget_runs < max(4, self.unknowns):
            raise ValueError(
                f"sweep.budget_runs is {self.budget_runs}, fewer than the {self.unknowns} domains and fields that vary "
                f"(and never below 4): raise it to {2 * self.unknowns} or more, or merge domains"
            )
        least = self.repeats - 1 + LEAST_POINTS
        if not least <= self.design_runs <= self.budget_runs:
            raise ValueError(
                f"sweep.initial_runs makes {self.design_runs} first runs: they must be at least {least} (the repeats "
                f"and {LEAST_POINTS} different points) and at most budget_runs {self.budget_runs}"
            )

    @property
    def unknowns(self) -> int:
        """Domains and fields that vary."""
        return len(self.domains) + len(self.fields)

    @property
    def design_runs(self) -> int:
        """Runs of the first design."""
        least = self.repeats - 1 + LEAST_POINTS
        return self.initial_runs or max(least, min(2 * self.unknowns, self.budget_runs // 2))

    @property
    def caps(self) -> dict[str, float]:
        """Greatest weight of each domain, from max_epochs."""
        if not self.train_tokens or not self.max_epochs:
            return dict.fromkeys(self.domains, 1.0)
        return {name: min(1.0, self.max_epochs * held / self.train_tokens) for name, held in self.domains.items()}


@dataclass(frozen=True)
class Run:
    """One training that the sweep asks for."""

    name: str
    """Its own name within the sweep: the phase, its batch and its place."""
    kind: str
    """natural, uniform, reference, repeat, design, proposed; of the check: optimum, natural or reference, rival."""
    point: dict[str, float]
    """Weight of each domain and value of each field."""
    seed: int
    """Seed of the training: repeats of a point differ in nothing else."""


@dataclass(frozen=True)
class Result:
    """What became of a run."""

    run: Run
    losses: dict[str, float] | None
    """{loss: value}, such as bits per byte of each domain; None: the training failed."""
