"""A ladder of sizes: what more compute buys, and how far that can be told in advance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from flows.corpus import corpus
from flows.trainings import Trained, losses, side_by_side, train
from openseek.fields import changed
from openseek.model.config import flops_per_token
from openseek.recipes import Recipe

LABEL = "ladder"


@dataclass(frozen=True)
class Step:
    """One training of the ladder."""

    rung: str
    seed: int
    parameters: int
    tokens: int
    flops: float
    loss: float
    """Mean held-out bits per byte over the sources."""
    path: Path


def ladder(
    recipe: Recipe, finished: Callable[[str, Trained], None] = lambda name, trained: None
) -> tuple[list[Step], dict[str, Path]]:
    """Every training that finished, from small to large, and the directories of the corpus by step."""
    if len(recipe.ladder.rungs) < 3:
        raise ValueError(f"ladder.rungs are {len(recipe.ladder.rungs)}: a scaling law needs three sizes or more")
    done = corpus(recipe)
    names = [(rung, seed) for rung in recipe.ladder.rungs for seed in range(recipe.ladder.seeds)]
    calls = [
        partial(train, recipe, done["tokenize"], {**rung.fields, "pretrain.seed": recipe.pretrain.seed + seed}, LABEL)
        for rung, seed in names
    ]
    steps = []
    for (rung, seed), trained in zip(names, side_by_side(calls, recipe.ladder.workers), strict=True):
        finished(f"{rung.name}, seed {seed}", trained)
        found = losses(trained)
        if found is None or trained.path is None:
            continue
        config = changed(recipe, rung.fields).pretrain
        vocabulary = config.model.vocab_size or Trained(done["tokenize"]).facts["vocab_size"]
        flops = flops_per_token(replace(config.model, vocab_size=vocabulary), config.sequence_length)
        loss = sum(found.values()) / len(found)
        parameters = trained.facts["active_parameters"]
        total = flops * config.train_tokens
        steps.append(Step(rung.name, seed, parameters, config.train_tokens, total, loss, trained.path))
    return sorted(steps, key=lambda step: step.flops), done
