"""A ladder of sizes: what more compute buys, and how far that can be told in advance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from flows.corpus import corpus
from flows.trainings import Trained, losses, side_by_side, train
from openseek.fields import changed
from openseek.model.size import flops_per_token
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


Finished = Callable[[str, Trained], None]


def ladder(recipe: Recipe, finished: Finished = lambda name, trained: None) -> list[Step]:
    """The corpus and every training that finished, from small to large."""
    return climbed(recipe, corpus(recipe)["tokenize"], finished)


def climbed(recipe: Recipe, tokens: Path, finished: Finished = lambda name, trained: None) -> list[Step]:
    """Every training that finished on these token shards, from small to large."""
    if len(recipe.ladder.rungs) < 3:
        raise ValueError(f"ladder.rungs are {len(recipe.ladder.rungs)}: a scaling law needs three sizes or more")
    names = [(rung, seed) for rung in recipe.ladder.rungs for seed in range(recipe.ladder.seeds)]
    calls = [
        partial(train, recipe, tokens, {**rung.fields, "pretrain.seed": recipe.pretrain.seed + seed}, LABEL)
        for rung, seed in names
    ]
    vocabulary = Trained(tokens).facts["vocab_size"]
    steps = []
    for (rung, seed), trained in zip(names, side_by_side(calls, recipe.ladder.workers), strict=True):
        finished(f"{rung.name}, seed {seed}", trained)
        found = losses(trained)
        if found is None or trained.path is None:
            continue
        config = changed(recipe, rung.fields).pretrain
        model = replace(config.model, vocab_size=config.model.vocab_size or vocabulary)
        total = flops_per_token(model, config.sequence_length) * config.train_tokens
        parameters, loss = trained.facts["active_parameters"], sum(found.values()) / len(found)
        steps.append(Step(rung.name, seed, parameters, config.train_tokens, total, loss, trained.path))
    return sorted(steps, key=lambda step: step.flops)
