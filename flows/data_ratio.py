"""A sweep: proxies of one recipe that differ in mixture or fields, batch by batch, until the optimum is checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from flows.corpus import corpus
from flows.trainings import Trained, losses, side_by_side, train
from openseek.data.mixture_sources import held_sources
from openseek.fields import changed
from openseek.model.size import flops_per_token
from openseek.recipes import Recipe
from openseek.sweep.config import Result, Run, SweepConfig
from openseek.sweep.experiment import Findings
from openseek.sweep.sweep import Sweep
from tasks.conclude import conclude

PROXY = "proxy"
CHECK = "check-"


Finished = Callable[[str, Trained], None]


def data_ratio(recipe: Recipe, finished: Finished = lambda name, trained: None) -> dict[str, Path]:
    """The corpus, all proxies and what they say; the directory of every step by its name.

    `finished` is told of every training.
    """
    base = changed(recipe, recipe.sweep.proxy)
    done = corpus(base)
    done["conclude"] = swept(base, done["tokenize"], finished)
    return done


def swept(recipe: Recipe, tokens: Path, finished: Finished = lambda name, trained: None) -> Path:
    """Train what the search asks for, on these token shards, until it has its verdict; the `conclude` artifact.

    A killed sweep goes on by replay: the search asks for the same runs again, and those that are done are found.
    """
    summary = json.loads((tokens / "tokens.json").read_text(encoding="utf-8"))
    cost = _flops(recipe, summary["vocab_size"])
    search = searched(recipe, summary, cost)
    sweep, results = Sweep(search), []
    trainings: dict[str, Trained] = {}
    while runs := sweep.next(results):
        batch = side_by_side([partial(_proxy, recipe, tokens, run) for run in runs], recipe.sweep.workers)
        for run, trained in zip(runs, batch, strict=True):
            trainings[run.name] = trained
            finished(run.name, trained)
            results.append(Result(run, losses(trained)))
        _enough(results, trainings)
        print(f"sweep: {len(results)} trainings done, the last is {runs[-1].name}", flush=True)
    findings = Findings(
        search=search,
        results=tuple(results),
        confirmed_elsewhere=bool(recipe.sweep.confirm),
        flops_a_run=cost,
        artifacts={name: trained.path.name for name, trained in trainings.items() if trained.path},
        failures={name: trained.reason for name, trained in trainings.items() if not trained.path},
        seconds={name: trained.facts["seconds"] for name, trained in trainings.items() if trained.path},
    )
    return conclude(tokens, config=findings)


def searched(recipe: Recipe, summary: dict[str, Any], cost: float) -> SweepConfig:
    """What the sweep of a recipe searches: the domains of a tokens.json, the runs that cost no more than the budget."""
    experiment = recipe.sweep
    search, domains = experiment.search, {}
    if experiment.mixture:
        domains = {name: held.tokens for name, held in held_sources(summary, recipe.mix.sources).items()}
    runs = search.budget_runs
    if experiment.budget_flops:
        runs = min(runs, int(experiment.budget_flops / cost))
    current = {name: _current(recipe, name) for name, limits in search.fields.items() if limits.current is None}
    ranges = {
        name: replace(limits, current=current[name]) if name in current else limits
        for name, limits in search.fields.items()
    }
    return replace(search, domains=domains, fields=ranges, budget_runs=runs)


def _current(recipe: Recipe, name: str) -> float:
    value: Any = recipe
    for part in name.split("."):
        if not hasattr(value, part):
            raise ValueError(f"sweep.search.fields names {name!r}, but {type(value).__name__} has no field {part!r}")
        value = getattr(value, part)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"sweep.search.fields names {name!r}, which is {value!r}: only numbers can be swept")
    return float(value)


def _proxy(recipe: Recipe, tokens: Path, run: Run) -> Path:
    """Train one point."""
    weights = {name: run.point[name] for name in run.point if name not in recipe.sweep.search.fields}
    overrides: dict[str, Any] = {name: _typed(recipe, name, run.point[name]) for name in recipe.sweep.search.fields}
    overrides["pretrain.seed"] = run.seed
    if run.name.startswith(CHECK):
        overrides |= recipe.sweep.confirm
    if weights:
        mixture = replace(recipe.mix, weights={}, method="temperature", temperature=1.0, stages=())
        # A proxy sees few tokens: the caps of the real training are the search's.
        free = replace(mixture, max_epochs=0.0, source_max_epochs={}, train_tokens=recipe.pretrain.train_tokens)
        recipe = replace(recipe, mix=replace(free, weights=weights, relative=True))
    return train(recipe, tokens, overrides, PROXY)


def _typed(recipe: Recipe, name: str, value: float) -> float | int:
    limits = recipe.sweep.search.fields[name]
    return round(value) if limits.integer else value


def _flops(recipe: Recipe, vocab_size: int) -> float:
    """Floating-point operations of one training."""
    config = recipe.pretrain
    model = replace(config.model, vocab_size=config.model.vocab_size or vocab_size)
    return flops_per_token(model, config.sequence_length) * config.train_tokens


def _enough(results: list[Result], trainings: dict[str, Trained]) -> None:
    """ValueError once most trainings fail: then it is not single points that are to blame."""
    failed = [result for result in results if result.losses is None]
    if len(failed) > len(results) / 2:
        reason = trainings[failed[0].run.name].reason
        raise ValueError(
            f"sweep: {len(failed)} of {len(results)} trainings failed; the first, {failed[0].run.name}: {reason}"
        )
