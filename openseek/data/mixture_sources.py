"""The sources of a mixture as the token shards hold them: tokens.json, grouped as the config says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Bucket:
    """The documents of one quality bucket of a source."""

    tokens: int
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """What the token shards hold of one source of the mixture; shares are of its tokens and sum to 1."""

    tokens: int
    documents: int
    text_bytes: int | None
    """UTF-8 bytes of its text; None where tokenize did not count them."""
    prefixes: tuple[str, ...]
    languages: dict[str, float] = field(default_factory=dict)
    licences: dict[str, float] = field(default_factory=dict)
    kinds: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)


def held_sources(summary: Mapping[str, Any], groups: Mapping[str, tuple[str, ...]]) -> dict[str, Held]:
    """The sources of a tokens.json by their names in the mixture: `groups` names those that are made of several.

    A token source that no pattern of `groups` matches is a source of its own. A group without any is left out here;
    ValueError for a token source that two groups claim, or a group named as a token source that is not in it.
    """
    sources: Mapping[str, Mapping[str, Any]] = summary["sources"]
    owner: dict[str, str] = {}
    for group, patterns in groups.items():
        for name in sources:
            if not any(fnmatchcase(name, pattern) for pattern in patterns):
                continue
            if name in owner:
                raise ValueError(
                    f"mix.sources gives the token source {name!r} to {owner[name]!r} and to {group!r}: its documents "
                    f"would count twice, so name it in one of them"
                )
            owner[name] = group
    members: dict[str, list[str]] = {}
    for name in sorted(sources):
        members.setdefault(owner.get(name, name), []).append(name)
    for name, parts in members.items():
        if name in groups and name in parts and owner.get(name) != name:
            raise ValueError(f"mix.sources has {name!r}, which is also a token source outside it: rename the group")
    return {name: _held([_with_kind(part, sources[part]) for part in parts]) for name, parts in members.items()}


def _with_kind(name: str, source: Mapping[str, Any]) -> Mapping[str, Any]:
    """The source with the catalogue's kind of text, where its documents did not tell theirs."""
    from openseek.data.sources.catalogue import CATALOGUE

    if source.get("domains") or name not in CATALOGUE:
        return source
    return {**source, "domains": {CATALOGUE[name].domain: {"tokens": source["tokens"]}}}


def _held(parts: list[Mapping[str, Any]]) -> Held:
    buckets: dict[str, Bucket] = {}
    if all(part.get("buckets") for part in parts):
        for part in parts:
            for name, entry in part["buckets"].items():
                before = buckets.get(name, Bucket(0, ()))
                buckets[name] = Bucket(before.tokens + entry["tokens"], (*before.prefixes, *entry["prefixes"]))
    return Held(
        tokens=sum(part["tokens"] for part in parts),
        documents=sum(part["documents"] for part in parts),
        text_bytes=sum(part["bytes"] for part in parts) if all("bytes" in part for part in parts) else None,
        prefixes=tuple(prefix for part in parts for prefix in part["prefixes"]),
        languages=_shares(parts, "languages"),
        licences=_shares(parts, "licences"),
        kinds=_shares(parts, "domains"),
        buckets=buckets,
    )


def _shares(parts: Iterable[Mapping[str, Any]], key: str) -> dict[str, float]:
    """Share of the tokens by each value of `key`, the largest first; what is not told counts as unknown."""
    counts: dict[str, int] = {}
    for part in parts:
        told = 0
        for value, entry in part.get(key, {}).items():
            counts[value or UNKNOWN] = counts.get(value or UNKNOWN, 0) + entry["tokens"]
            told += entry["tokens"]
        if told < part["tokens"]:
            counts[UNKNOWN] = counts.get(UNKNOWN, 0) + part["tokens"] - told
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {value: count / total for value, count in ordered if count}
