"""Shares of sources from their tokens, and what caps on epochs make of them. Plain numbers, no files.

All of these take `tokens`: how many tokens each source holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from openseek.data.mixture import normalised

SLACK = 1e-9
"""Relative excess over a cap that is rounding."""
ROUNDS = 100_000
CLOSE = 1e-6
"""Relative excess at which the scaling of several stages may stop."""


@dataclass(frozen=True)
class Seen:
    """What training sees of each source."""

    tokens: dict[str, float]
    """Tokens drawn from each source, repeats counted."""
    epochs: dict[str, float]
    """Times that each source is seen."""
    beyond: dict[str, float]
    """Tokens that the sources above their cap would be drawn beyond it; empty: all caps hold."""


def seen(
    weights: Mapping[str, float],
    tokens: Mapping[str, int],
    train_tokens: float,
    max_epochs: float | Mapping[str, float] = 0.0,
) -> Seen:
    """Tokens and epochs of each weighted source (weights sum to 1), and which caps they break; a cap of 0 is none.

    ValueError names a source that is not there or is empty.
    """
    drawn: dict[str, float] = {}
    epochs: dict[str, float] = {}
    beyond: dict[str, float] = {}
    for source, weight in weights.items():
        if not weight:
            continue
        if not tokens.get(source):
            raise ValueError(f"the mixture gives {source!r} a weight, but it has no tokens: leave it out")
        drawn[source] = weight * train_tokens
        epochs[source] = drawn[source] / tokens[source]
        cap = max_epochs.get(source, 0.0) if isinstance(max_epochs, Mapping) else max_epochs
        if cap and epochs[source] > cap * (1 + SLACK):
            beyond[source] = drawn[source] - cap * tokens[source]
    return Seen(drawn, epochs, beyond)


def weight_caps(tokens: Mapping[str, int], train_tokens: float, max_epochs: float) -> dict[str, float]:
    """The largest weight of each source at which it is repeated no more than max_epochs times; 1 at most.

    No cap (max_epochs 0) gives 1. ValueError if all caps together leave a part of training without tokens.
    """
    if train_tokens <= 0:
        raise ValueError(f"train_tokens is {train_tokens}: caps on epochs need a number of tokens above 0")
    caps = {
        source: min(1.0, max_epochs * count / train_tokens) if max_epochs else 1.0 for source, count in tokens.items()
    }
    if sum(caps.values()) < 1 - SLACK:
        held = max_epochs * sum(tokens.values())
        raise ValueError(lacking(held, train_tokens, f"{max_epochs:g} epochs of all sources"))
    return caps


def lacking(held: float, wanted: float, what: str) -> str:
    """The words for caps that cannot be met."""
    return (
        f"{what} are {held:,.0f} tokens, {wanted - held:,.0f} fewer than the {wanted:,.0f} that training needs: "
        f"raise the caps, lower train_tokens, or give more sources a weight"
    )


def by_temperature(tokens: Mapping[str, int], temperature: float) -> dict[str, float]:
    """Shares in proportion to tokens^(1/temperature); empty sources have none."""
    return normalised({source: count ** (1 / temperature) for source, count in tokens.items() if count})


def unimax(tokens: Mapping[str, int], train_tokens: float, caps: Mapping[str, float]) -> dict[str, float]:
    """Equal shares, but no source above its cap: UniMax of Chung et al. 2023 (arXiv 2304.09151), algorithm 1.

    `caps` are weights (of a sum of 1 or more). The sources with the lowest caps come first; each takes the same part of
    what is left, or its cap where that is less.
    """
    left, shares = 1.0, {}
    filled = sorted((source for source, count in tokens.items() if count), key=lambda source: (caps[source], source))
    for position, source in enumerate(filled):
        shares[source] = min(caps[source], left / (len(filled) - position))
        left -= shares[source]
    if left > CLOSE:
        raise ValueError(lacking((1 - left) * train_tokens, train_tokens, "the capped epochs of all sources"))
    return shares


def within_caps(
    stages: Sequence[Mapping[str, float]], shares: Sequence[float], caps: Mapping[str, float]
) -> list[dict[str, float]]:
    """The weights of each stage, changed as little as the caps on the sources' overall weights ask for.

    `stages` each sum to 1, as `shares` do; a cap limits sum over stages of share * weight. A source at its cap is
    scaled down, and in every stage the others take its part in proportion to their own weights: of all weights that
    keep the caps these have the least Kullback-Leibler divergence from the given ones. Sources without a weight in a
    stage get none. ValueError tells how much of training is left without a source.
    """
    _check_room(stages, shares, caps)
    if len(stages) == 1:
        return [_one_stage(stages[0], caps)]
    import numpy as np

    names = sorted({source for stage in stages for source in stage})
    given = np.array([[stage.get(source, 0.0) for source in names] for stage in stages])
    part, limit = np.array(shares), np.array([caps[source] for source in names])
    scale = np.ones(len(names))
    for _ in range(ROUNDS):
        weights = given * scale / (given @ scale)[:, None]
        drawn = part @ weights
        if (drawn <= limit * (1 + CLOSE)).all():
            return [{s: float(w) for s, w in zip(names, row, strict=True) if w > 0} for row in weights]
        # What a source would draw at scale 1 decides how far it must come down.
        scale = np.minimum(1.0, limit / np.maximum(drawn / scale, 1e-300))
        scale /= scale.max()
    raise ValueError("the caps on epochs leave no room between the stages: raise them a little")


def _one_stage(weights: Mapping[str, float], caps: Mapping[str, float]) -> dict[str, float]:
    """One stage, exactly: every round caps the sources that the last one lifted too high."""
    free, fixed = dict(weights), {}
    while True:
        left, total = max(0.0, 1 - sum(fixed.values())), sum(free.values())
        over = [source for source, weight in free.items() if weight / total * left > caps[source]]
        if not over:
            return {**{s: w / total * left for s, w in free.items()}, **fixed}
        for source in over:
            fixed[source] = caps[source]
            del free[source]
        if not free:
            return fixed


def _check_room(stages: Sequence[Mapping[str, float]], shares: Sequence[float], caps: Mapping[str, float]) -> None:
    """ValueError if some stages together need more than the caps of all their sources (max-flow min-cut)."""
    for size in range(1, len(stages) + 1):
        for group in combinations(range(len(stages)), size):
            sources = {source for stage in group for source, weight in stages[stage].items() if weight > 0}
            need, room = sum(shares[stage] for stage in group), sum(caps[source] for source in sources)
            if room < need * (1 - SLACK):
                raise NoRoom(need, room, group)


class NoRoom(ValueError):
    """Caps that some stages cannot be filled under: shares of training needed and there, and the stages' indices."""

    def __init__(self, need: float, room: float, stages: tuple[int, ...]) -> None:
        super().__init__(f"the caps leave {room:.4f} of training where {need:.4f} is needed")
        self.need, self.room, self.stages = need, room, stages
