"""Recipes side by side: the same number of tokens, several seeds, one measure of fixed texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from flows.corpus import corpus
from flows.trainings import Trained, side_by_side, train
from openseek.eval.config import Evaluate
from openseek.recipes import Recipe
from openseek.sweep.experiment import STAGES
from tasks.evaluate import evaluate

LABEL = "ablation"
MEASURE = "bits_per_byte"


@dataclass(frozen=True)
class Arm:
    """One side of a comparison."""

    recipe: Recipe
    without: tuple[str, ...] = ()
    """Steps of the corpus that are left out."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.without) - set(STAGES)):
            raise ValueError(f"{unknown[0]!r} is no step that can be left out; those are {', '.join(STAGES)}")


@dataclass(frozen=True)
class Measured:
    """What an arm came to."""

    losses: dict[int, float] = field(default_factory=dict)
    """{seed: mean bits per byte over the benchmarks}; a seed that failed is left out."""
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    """{seed: {benchmark: bits per byte}}."""
    paths: tuple[Path, ...] = ()
    """The evaluations."""
    tokens: int = 0
    """Tokens in the shards of the arm's corpus."""


def ablation(
    arms: Mapping[str, Arm],
    seeds: int,
    workers: int = 1,
    finished: Callable[[str, Trained], None] = lambda name, trained: None,
) -> dict[str, Measured]:
    """Train and measure every arm with the same seeds; ValueError where they would not be measured alike."""
    first = next(iter(arms.values())).recipe
    measures = Evaluate(
        benchmarks=tuple(b for b in first.evaluate.benchmarks if b.name == MEASURE),
        max_length=first.evaluate.max_length,
    )
    if not measures.benchmarks:
        raise ValueError(f"evaluate.benchmarks has no {MEASURE}: add one whose texts no arm is trained on")
    tokens = {arm.recipe.pretrain.train_tokens for arm in arms.values()}
    if len(tokens) > 1:
        raise ValueError(f"the arms train on {sorted(tokens)} tokens: set pretrain.train_tokens alike")
    found = {}
    for name, arm in arms.items():
        shards = corpus(arm.recipe, arm.without)["tokenize"]
        calls = [partial(_measured, arm, shards, measures, seed) for seed in range(seeds)]
        trained = side_by_side(calls, workers)
        scores = {seed: each.facts["scores"] for seed, each in enumerate(trained) if each.path}
        for seed, each in enumerate(trained):
            finished(f"{name}, seed {seed}", each)
        losses = {seed: sum(each.values()) / len(each) for seed, each in scores.items()}
        paths = tuple(each.path for each in trained if each.path)
        held = Trained(shards).facts["tokens"]
        found[name] = Measured(losses, scores, paths, held)
    return found


def leave_one_out(recipe: Recipe, stages: Collection[str]) -> dict[str, Arm]:
    """The recipe as it is, and without each of some steps; "a+b" leaves two out together."""
    return {"all stages": Arm(recipe)} | {f"without {each}": Arm(recipe, tuple(each.split("+"))) for each in stages}


def _measured(arm: Arm, shards: Path, measures: Evaluate, seed: int) -> Path:
    recipe = replace(arm.recipe, pretrain=replace(arm.recipe.pretrain, seed=arm.recipe.pretrain.seed + seed))
    checkpoint = train(recipe, shards, {}, LABEL)
    return evaluate(checkpoint, config=measures, label=LABEL)
