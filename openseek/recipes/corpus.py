"""A corpus as it was published: its sources with their counts, beside what a root holds of them and a mixture wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from openseek.data.mixture import Mix, normalised
from openseek.data.mixture_sources import Held, held_sources
from openseek.data.sources.catalogue import CATALOGUE
from openseek.recipes.recipe import Recipe

BILLION = 10**9


@dataclass(frozen=True)
class Part:
    """What one published count is about: a source, or several that were counted together."""

    name: str
    entries: tuple[str, ...]
    """Sources of the mixture that draw from it."""
    token_sources: tuple[str, ...]
    """Glob patterns of its names in token shards."""
    lang: str
    licence: str
    """Licence class of the catalogue; several where the parts differ."""
    tokens: float | None = None
    """Published tokens; None: unknown."""
    gigabytes: float | None = None
    """Published size of the files, in GB; None: unknown."""
    stated: str = ""
    """Where the counts are stated, or why there are none."""


@dataclass(frozen=True)
class Corpus:
    """A corpus of a name and a size, and the recipe that makes it from sources."""

    title: str
    size: float
    """Tokens that its name gives it."""
    stated: str
    """What is published of it, and what is this project's own choice."""
    parts: tuple[Part, ...]
    recipe: Recipe


@dataclass(frozen=True)
class PartRow:
    """A part beside what is held of it; gaps are shares of what was published, None where either is unknown."""

    part: Part
    tokens: int | None
    text_bytes: int | None
    token_gap: float | None
    byte_gap: float | None


@dataclass(frozen=True)
class EntryRow:
    """A source of the mixture: what training wants of it beside what is published and held."""

    name: str
    weights: tuple[float, ...]
    """Share in each stage."""
    wanted: float
    """Tokens that training is to see of it."""
    published: float
    """Published tokens of its parts, as far as they are known and not counted together with other sources."""
    complete: bool
    """All of its parts are in `published`."""
    held: int | None

    @property
    def epochs(self) -> float | None:
        """Times that training would see the published tokens; the most of them unless `complete`."""
        return self.wanted / self.published if self.published else None


def from_catalogue(name: str, *entries: str, **changes: Any) -> Part:
    """The part that an entry of the catalogue is; where texts are fetched by id its GB are not those of the text."""
    entry = CATALOGUE[name]
    by_id = bool(entry.content.column)
    stated = f"catalogue ({entry.evidence})" if entry.evidence else "catalogue"
    fields: dict[str, Any] = {
        "tokens": entry.tokens * BILLION or None,
        "gigabytes": None if by_id or not entry.gigabytes else entry.gigabytes,
        "stated": f"{stated}; its files hold ids, no text" if by_id else stated,
    }
    return Part(name, entries or (name,), (name,), entry.lang or "any", entry.licence, **{**fields, **changes})


def part_rows(corpus: Corpus, summary: Mapping[str, Any] | None) -> list[PartRow]:
    """The parts beside the sources of a tokens.json (None: nothing is held yet)."""
    return [_part_row(part, summary) for part in corpus.parts]


def _part_row(part: Part, summary: Mapping[str, Any] | None) -> PartRow:
    # Only its own sources, or the patterns of another part could claim them twice.
    sources = summary["sources"] if summary else {}
    own = {n: s for n, s in sources.items() if any(fnmatchcase(n, pattern) for pattern in part.token_sources)}
    if not own:
        return PartRow(part, None, None, None, None)
    held = held_sources({"sources": own}, {part.name: ("*",)})[part.name]
    byte_gap = _gap(held.text_bytes, part.gigabytes * BILLION if part.gigabytes else None)
    return PartRow(part, held.tokens, held.text_bytes, _gap(held.tokens, part.tokens), byte_gap)


def _gap(held: float | None, published: float | None) -> float | None:
    return held / published - 1 if held is not None and published else None


def entry_rows(corpus: Corpus, mix: Mix, summary: Mapping[str, Any] | None) -> list[EntryRow]:
    """The sources of the recipe's mixture, with the tokens that training wants of each before any cap."""
    held = held_sources(summary, mix.sources) if summary else {}
    stages = [normalised(stage.weights or mix.weights) for stage in mix.stages] or [normalised(mix.weights)]
    shares = [stage.share for stage in mix.stages] or [1.0]
    names = dict.fromkeys(name for stage in (mix.weights, *stages) for name in stage)
    return [_entry_row(name, corpus.parts, stages, shares, mix.train_tokens, held) for name in names]


def _entry_row(
    name: str,
    parts: Sequence[Part],
    stages: list[dict[str, float]],
    shares: list[float],
    train_tokens: int,
    held: Mapping[str, Held],
) -> EntryRow:
    weights = tuple(stage.get(name, 0.0) for stage in stages)
    wanted = sum(share * weight for share, weight in zip(shares, weights, strict=True)) * train_tokens
    counts = [part.tokens if len(part.entries) == 1 else None for part in parts if name in part.entries]
    known = [count for count in counts if count]
    complete = bool(known) and len(known) == len(counts)
    return EntryRow(name, weights, wanted, sum(known), complete, held[name].tokens if name in held else None)
