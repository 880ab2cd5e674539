"""Quality-aware repetition: how a source spends its tokens on its quality buckets."""

import re
from collections.abc import Mapping

from openseek.data.mixture import Quality
from openseek.data.mixture_methods import within_caps
from openseek.data.mixture_sources import Bucket

USUAL = ("low", "medium-low", "medium_low", "mid", "medium", "medium-high", "medium_high", "high")
"""Names whose order needs no telling."""
NUMBERED = re.compile(r"\d+$")
"""Nor does that of q0, q1, ..., which tokenize makes by rising score."""


def ordered_buckets(source: str, buckets: Mapping[str, Bucket], quality: Quality) -> list[str]:
    """The buckets of a source that hold tokens, from the worst to the best; ValueError where the order is not known."""
    names = [name for name, bucket in buckets.items() if bucket.tokens]
    if quality.order:
        place = {name: index for index, name in enumerate(quality.order)}
    elif len({NUMBERED.sub("", name) for name in names}) == 1 and all(map(NUMBERED.search, names)):
        place = {name: int(NUMBERED.findall(name)[0]) for name in names}
    else:
        place = {name: index for index, name in enumerate(USUAL)}
    if unknown := sorted(set(names) - set(place)):
        raise ValueError(
            f"mix.quality does not know the order of {', '.join(unknown)} of {source!r}: give all its buckets "
            f"({', '.join(sorted(names))}) in quality.order, from the worst to the best"
        )
    return sorted(names, key=lambda name: place[name])


def ratios(buckets: Mapping[str, Bucket], order: list[str], quality: Quality) -> dict[str, float]:
    """Epochs of each bucket relative to the others, not falling along `order`; ValueError if a given table falls."""
    if quality.ratios:
        if missing := [name for name in order if name not in quality.ratios]:
            raise ValueError(
                f"mix.quality.ratios has no entry for the bucket {missing[0]!r}: give it one, 0 to leave it out"
            )
        found = {name: quality.ratios[name] for name in order}
        for worse, better in zip(order, order[1:], strict=False):
            if found[worse] > found[better]:
                raise ValueError(
                    f"mix.quality.ratios repeats {worse!r} ({found[worse]:g}) more often than the better {better!r} "
                    f"({found[better]:g}): let them rise from the worst to the best"
                )
        return found
    total, below, found = sum(buckets[name].tokens for name in order), 0.0, {}
    for name in order:
        middle = (below + buckets[name].tokens / 2) / total
        found[name] = middle**quality.power if middle >= quality.leave_out_below else 0.0
        below += buckets[name].tokens
    return found


def buckets_with_room(buckets: Mapping[str, Bucket], order: list[str], quality: Quality, cap: float) -> float:
    """Tokens that the buckets in use may give under their caps."""
    limit = min(cap, quality.max_epochs or cap)
    return sum(limit * buckets[name].tokens for name, ratio in ratios(buckets, order, quality).items() if ratio)


def bucket_shares(
    source: str, buckets: Mapping[str, Bucket], order: list[str], quality: Quality, budget: float, cap: float
) -> dict[str, float]:
    """Share of each bucket in use of the `budget` tokens of a source: epochs = min(cap, c * ratio), with c to fit."""
    given = {name: ratio * buckets[name].tokens for name, ratio in ratios(buckets, order, quality).items() if ratio}
    if not given:
        raise ValueError(
            f"mix.quality leaves no bucket of {source!r} in use: lower leave_out_below or raise the ratios"
        )
    total, limit = sum(given.values()), min(cap, quality.max_epochs or cap)
    caps = {name: min(1.0, limit * buckets[name].tokens / budget) for name in given}
    return within_caps([{name: value / total for name, value in given.items()}], [1.0], caps)[0]
