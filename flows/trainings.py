"""Trainings that differ in little: what each needs of the corpus is made once, several run side by side."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flows.corpus import corpus
from openseek.artifact import read_manifest
from openseek.fields import changed
from openseek.recipes import Recipe
from tasks.mix import mix
from tasks.train import pretrain

BEFORE_MIX = ("mix", "pretrain", "evaluate", "sweep", "ladder")
"""Fields of a recipe that the token shards do not depend on, of those that trainings may change."""

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Trained:
    """A finished training, or why it failed."""

    path: Path | None
    reason: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of its manifest; nothing of a failed one."""
        return read_manifest(self.path)["facts"] if self.path else {}


def train(
    recipe: Recipe, tokens: Path | None, overrides: Mapping[str, Any], label: str, without: Collection[str] = ()
) -> Path:
    """The pretraining of a recipe with fields changed; `tokens` are the token shards of the recipe as it is.

    The corpus is made again, as far as it differs, where the changes touch it.
    """
    from tasks.tokens import tokenize

    other = changed(recipe, dict(overrides))
    before = {field.name for field in fields(recipe)} - set(BEFORE_MIX)
    same = not without and all(getattr(other, name) == getattr(recipe, name) for name in before)
    shards = tokens if same and tokens is not None else corpus(other, without)[tokenize.name]
    return pretrain(mix(shards, config=other.mix, label=label), config=other.pretrain, label=label)


def side_by_side(calls: Sequence[Callable[[], Path]], workers: int) -> list[Trained]:
    """Every call's result in order, `workers` at a time; one that fails gives its reason, an interrupt ends all."""
    if workers == 1:
        return [_tried(call) for call in calls]
    with ThreadPoolExecutor(workers, thread_name_prefix="training") as pool:
        # Each thread works at the caller's place, under the caller's flow run.
        futures = [pool.submit(contextvars.copy_context().run, _tried, call) for call in calls]
        try:
            return [future.result() for future in futures]
        except BaseException:
            _end(pool, futures)
            raise


def _end(pool: ThreadPoolExecutor, futures: Sequence[Future[Trained]]) -> None:
    """End what runs in the threads, which no interrupt reaches: their jobs, until none has one any more."""
    from tasks.launch import cancel, owner

    pool.shutdown(wait=False, cancel_futures=True)
    while not all(future.done() for future in futures):
        cancel(owner())
        time.sleep(POLL_SECONDS)


def _tried(call: Callable[[], Path]) -> Trained:
    from tasks.launch import RanksFailed

    try:
        return Trained(call())
    except RanksFailed as error:
        print(f"a training failed and is left out: {error}", flush=True)
        return Trained(None, str(error))


def losses(trained: Trained) -> dict[str, float] | None:
    """Held-out bits per byte of each source; None where the training failed."""
    if trained.path is None:
        return None
    found = trained.facts.get("heldout_bits_per_byte")
    if not found:
        raise ValueError(
            f"{trained.path} has no held-out loss of each source: tokenize again with heldout_fraction above 0, and "
            f"set pretrain.heldout_sequences"
        )
    return {name: float(value) for name, value in found.items()}
