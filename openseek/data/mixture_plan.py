"""A mixture worked out: which source weighs how much in which stage, and how often that repeats it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openseek.data.bucket_epochs import bucket_shares, buckets_with_room, ordered_buckets
from openseek.data.mixture import WHOLES, Mix, normalised
from openseek.data.mixture_methods import NoRoom, by_temperature, lacking, seen, unimax, within_caps
from openseek.data.mixture_sources import Held

ROUNDING = 1e-9


@dataclass(frozen=True)
class Plan:
    """A mixture: entries and stages as mixture.json has them, and what had to be changed on the way."""

    entries: list[dict[str, Any]]
    """{source, weight, tokens, epochs, prefixes} by name; of a bucket also `bucket`, its source is SOURCE#BUCKET."""
    stages: list[dict[str, Any]]
    """{name, share, weights}: weights in the order of the entries."""
    train_tokens: int
    asked: dict[str, float]
    """Weight of each source as asked for, before caps."""
    got: dict[str, float]
    """Weight of each source over all stages."""
    notes: list[str]
    """What was normalised, left out, redistributed or not used, in words."""


def planned(held: Mapping[str, Held], config: Mix) -> Plan:
    """The mixture that `config` asks for of what is held.

    ValueError names a source that is not there, is empty, or would be repeated too often, and caps that cannot hold.
    """
    notes: list[str] = []
    train_tokens = config.train_tokens or sum(source.tokens for source in held.values())
    if not train_tokens or not any(source.tokens for source in held.values()):
        raise ValueError("mix: the token shards hold no tokens: look at the rows that the tasks before dropped")
    names, shares, asked = _asked(held, config, train_tokens, notes)
    used = sorted({source for weights in asked for source in weights})
    rising = _rising(held, config, used)
    room = _room(held, config, rising, used)
    # What rounding left over goes to all alike: readers may rely on sums of 1.
    got = [normalised(w) for w in _capped(names, shares, asked, held, room, train_tokens, config, notes)]
    overall = [_overall(shares, weights) for weights in (asked, got)]
    splits = _splits(held, config, rising, overall[1], train_tokens)
    notes += [
        f"{name} is drawn from by quality: its licences and languages are those of all its buckets" for name in rising
    ]
    entries, stages = _laid_out(held, splits, names, shares, got, train_tokens)
    unmatched = sorted(set(config.sources) - set(held) - set(config.weights))
    notes += [f"no token source matches the patterns of {name}" for name in unmatched]
    unused = sorted(set(held) - set(used))
    notes += [f"{name} has no weight: its {held[name].tokens:,} tokens are not used" for name in unused]
    return Plan(entries, stages, train_tokens, overall[0], overall[1], list(dict.fromkeys(notes)))


def _asked(
    held: Mapping[str, Held], config: Mix, train_tokens: int, notes: list[str]
) -> tuple[list[str], list[float], list[dict[str, float]]]:
    """Names, shares and weights of the stages, each of a sum of 1."""
    if not config.stages:
        names, shares = ["all"], [1.0]
    else:
        names, shares = [s.name for s in config.stages], [s.share for s in config.stages]
        total = sum(shares)
        if abs(total - 1) > ROUNDING:
            notes.append(f"the shares of the stages sum to {total:.6g}: normalised")
        shares = [share / total for share in shares]
    given = [stage.weights or config.weights for stage in config.stages] or [config.weights]
    free: dict[str, float] = {}
    if not all(given):
        free = _by_method({name: source.tokens for name, source in held.items()}, config, train_tokens)
    where = [f"of the stage {s.name!r}" if s.weights else "of the mixture" for s in config.stages] or ["of the mixture"]
    asked = [_present(w, held, config, at, notes) if w else free for w, at in zip(given, where, strict=True)]
    return names, shares, asked


def _present(
    weights: Mapping[str, float], held: Mapping[str, Held], config: Mix, where: str, notes: list[str]
) -> dict[str, float]:
    """The weights of the sources that are there, of a sum of 1."""
    absent = sorted(set(weights) - set(held))
    empty = sorted(name for name, weight in weights.items() if weight and name in held and not held[name].tokens)
    if config.on_missing == "fail" and absent:
        raise ValueError(
            f"mix.weights {where} names {', '.join(absent)}, but the token shards have: {', '.join(sorted(held))}; "
            f"give its token sources in mix.sources, or set on_missing=leave_out"
        )
    if config.on_missing == "fail" and empty:
        raise ValueError(f"mix.weights {where} gives {empty[0]!r} a weight, but it has no tokens: leave it out")
    total = sum(weights.values())
    gone = sum(weights[name] for name in {*absent, *empty})
    if gone >= total:
        raise ValueError(f"mix: none of the weighted sources {where} is there: {', '.join(sorted(weights))}")
    if gone:
        names = ", ".join(sorted({*absent, *empty}))
        notes.append(f"left out {where}, with {gone / total:.2%} of the weight: {names}")
    elif not config.relative and all(abs(total / whole - 1) > ROUNDING for whole in WHOLES):
        notes.append(f"the weights {where} sum to {total:.6g}: normalised")
    return normalised({name: weight for name, weight in weights.items() if name not in {*absent, *empty}})


def _by_method(tokens: dict[str, int], config: Mix, train_tokens: int) -> dict[str, float]:
    if config.method == "temperature":
        return by_temperature(tokens, config.temperature)
    caps = {name: _cap(config, name) for name in tokens}
    limits = {
        name: min(1.0, caps[name] * count / train_tokens) if caps[name] else 1.0 for name, count in tokens.items()
    }
    return unimax(tokens, train_tokens, limits)


def _cap(config: Mix, source: str) -> float:
    return config.source_max_epochs.get(source, config.max_epochs)


def _rising(held: Mapping[str, Held], config: Mix, used: list[str]) -> dict[str, list[str]]:
    """The buckets of each source that is drawn from by quality, the worst first."""
    quality = config.quality
    if not quality.enabled:
        return {}
    for name in quality.sources:
        if name not in held or not held[name].buckets:
            raise ValueError(
                f"mix.quality.sources names {name!r}, which has no quality buckets: tokenize by bucket first"
            )
    wanted = [name for name in used if held[name].buckets and (not quality.sources or name in quality.sources)]
    if not wanted:
        raise ValueError("mix.quality is enabled, but no weighted source has quality buckets: tokenize by bucket first")
    for name in wanted:
        loose = held[name].tokens - sum(bucket.tokens for bucket in held[name].buckets.values())
        if loose:
            raise ValueError(
                f"{loose:,} tokens of {name!r} are in no quality bucket, and would never be seen: score all its "
                f"documents, or name the sources to split in mix.quality.sources"
            )
    return {name: ordered_buckets(name, held[name].buckets, quality) for name in wanted}


def _room(held: Mapping[str, Held], config: Mix, rising: dict[str, list[str]], used: list[str]) -> dict[str, float]:
    """Tokens that each source may give at most, repeats counted; infinite without a cap."""
    room = {}
    for name in used:
        cap = _cap(config, name) or float("inf")
        room[name] = cap * held[name].tokens
        if name in rising:
            room[name] = min(room[name], buckets_with_room(held[name].buckets, rising[name], config.quality, cap))
    return room


def _capped(
    names: list[str],
    shares: list[float],
    asked: list[dict[str, float]],
    held: Mapping[str, Held],
    room: dict[str, float],
    train_tokens: int,
    config: Mix,
    notes: list[str],
) -> list[dict[str, float]]:
    """The weights of the stages under the caps."""
    overall = _overall(shares, asked)
    tokens = {name: held[name].tokens for name in overall}
    caps = {name: room[name] / tokens[name] for name in overall if room[name] != float("inf")}
    found = seen(overall, tokens, train_tokens, caps)
    if not found.beyond:
        return asked
    worst = max(found.beyond, key=lambda name: found.epochs[name] / caps[name])
    if config.on_cap == "fail":
        raise ValueError(
            f"mix: {train_tokens} training tokens repeat {worst!r} {found.epochs[worst]:.2f} times, more than "
            f"max_epochs {caps[worst]:g}: lower its weight ({overall[worst]:.4f}) or train_tokens, or set "
            f"on_cap=redistribute"
        )
    limits = {name: min(1.0, room[name] / train_tokens) for name in overall}
    try:
        got = within_caps(asked, shares, limits)
    except NoRoom as error:
        which = ", ".join(repr(names[index]) for index in error.stages)
        what = f"mix: under their caps the sources of {'stage ' + which if config.stages else 'the mixture'}"
        raise ValueError(lacking(error.room * train_tokens, error.need * train_tokens, what)) from error
    after = _overall(shares, got)
    for name in sorted(found.beyond):
        notes.append(f"{name} is capped at {caps[name]:g} epochs: weight {overall[name]:.4f} became {after[name]:.4f}")
    return got


def _overall(shares: list[float], stages: list[dict[str, float]]) -> dict[str, float]:
    """The weight of each source over all stages, by name."""
    names = sorted({name for weights in stages for name in weights})
    return {n: sum(s * weights.get(n, 0.0) for s, weights in zip(shares, stages, strict=True)) for n in names}


def _splits(
    held: Mapping[str, Held], config: Mix, rising: dict[str, list[str]], got: dict[str, float], train_tokens: int
) -> dict[str, dict[str, float]]:
    """How each source that is drawn from by quality shares its tokens among its buckets."""
    return {
        name: bucket_shares(
            name,
            held[name].buckets,
            order,
            config.quality,
            got[name] * train_tokens,
            _cap(config, name) or float("inf"),
        )
        for name, order in rising.items()
    }


def _laid_out(
    held: Mapping[str, Held],
    splits: dict[str, dict[str, float]],
    names: list[str],
    shares: list[float],
    stages: list[dict[str, float]],
    train_tokens: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Entries and stages as mixture.json has them."""
    entries: list[dict[str, Any]] = []
    columns: list[list[float]] = []
    for name, overall in _overall(shares, stages).items():
        if not overall:
            continue
        for bucket, part in splits.get(name, {"": 1.0}).items():
            source = held[name]
            tokens = source.buckets[bucket].tokens if bucket else source.tokens
            prefixes = source.buckets[bucket].prefixes if bucket else source.prefixes
            entry = {"source": f"{name}#{bucket}" if bucket else name, "weight": overall * part, "tokens": tokens}
            entry |= {"epochs": round(overall * part * train_tokens / tokens, 6), "prefixes": list(prefixes)}
            entries.append(entry | ({"bucket": bucket} if bucket else {}))
            columns.append([weights.get(name, 0.0) * part for weights in stages])
    laid = [
        {"name": name, "share": share, "weights": [column[index] for column in columns]}
        for index, (name, share) in enumerate(zip(names, shares, strict=True))
    ]
    return entries, laid
