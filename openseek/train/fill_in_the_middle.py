"""Fill-in-the-middle: some documents are rearranged so that a model learns to write what lies between two parts.

Bavarian et al., 2022 (arXiv:2207.14255). A document is cut at two places drawn evenly among its tokens. Prefix first
(PSM) it becomes PREFIX prefix SUFFIX suffix MIDDLE middle end, suffix first (SPM) PREFIX SUFFIX suffix MIDDLE prefix
middle end; so it has three tokens more. The paper cuts between characters; here documents are tokens already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARKS = 3
"""Tokens that a rearranged document has more."""


@dataclass(frozen=True)
class FillInTheMiddle:
    """Which documents are rearranged, and how; drawn anew every epoch."""

    rate: float = 0.0
    """Share of the documents of `sources`; 0 leaves all as they are."""
    suffix_first: float = 0.5
    """Share of the rearranged ones whose suffix comes first (SPM)."""
    sources: tuple[str, ...] = ("code",)
    """Sources whose documents are rearranged; NAME stands for its quality buckets NAME#BUCKET too."""
    prefix_token: str = "<|fim_prefix|>"
    """Special token before the prefix."""
    suffix_token: str = "<|fim_suffix|>"
    """Special token before the suffix."""
    middle_token: str = "<|fim_middle|>"
    """Special token before the middle."""

    def __post_init__(self) -> None:
        for name in ("rate", "suffix_first"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"fill_in_the_middle.{name}={getattr(self, name)} must be from 0 to 1")
        if self.rate and not self.sources:
            raise ValueError("fill_in_the_middle.sources is empty: name the sources, or set rate=0")
        if len(set(self.tokens)) < MARKS:
            raise ValueError(f"fill_in_the_middle gives one token two meanings: {', '.join(self.tokens)}")

    @property
    def tokens(self) -> tuple[str, str, str]:
        """The three special tokens, in the order of the ids that `token_ids` gives."""
        return self.prefix_token, self.suffix_token, self.middle_token

    def covers(self, source: str) -> bool:
        """Whether documents of this source may be rearranged."""
        return self.rate > 0 and (source in self.sources or source.partition("#")[0] in self.sources)

    def check(self, sources: Sequence[str]) -> None:
        """ValueError where none of a mixture's sources answers to a name of `sources`."""
        known = {*sources, *(source.partition("#")[0] for source in sources)}
        if self.rate and (unknown := [name for name in self.sources if name not in known]):
            raise ValueError(
                f"fill_in_the_middle.sources names {', '.join(unknown)}, but the mixture has "
                f"{', '.join(sorted(sources))}: use one of these, or set rate=0"
            )

    def token_ids(self, content: dict[str, Any], tokens: Path) -> tuple[int, int, int]:
        """Ids of prefix, suffix and middle token: from `special_tokens` of mixture.json, else from tokenizer.json.

        tokens: folder of the token shards. ValueError names the tokens that neither has.
        """
        known = dict(content.get("special_tokens") or {})
        path = tokens / "tokenizer.json"
        if not all(name in known for name in self.tokens) and path.is_file():
            from openseek.data.tokenizer import load

            tokenizer = load(path)
            found = {name: tokenizer.token_to_id(name) for name in self.tokens if name not in known}
            known |= {name: number for name, number in found.items() if number is not None}
        if missing := [name for name in self.tokens if name not in known]:
            raise ValueError(
                f"the tokenizer {path} has no token {', '.join(missing)}: name its own with fill_in_the_middle."
                "prefix_token, suffix_token and middle_token, tokenize with one that has them, or set rate=0"
            )
        prefix, suffix, middle = (int(known[name]) for name in self.tokens)
        if not 0 <= min(prefix, suffix, middle) <= max(prefix, suffix, middle) < content["vocab_size"]:
            raise ValueError(
                f"the tokens {', '.join(self.tokens)} have the ids {prefix}, {suffix}, {middle}, which the vocabulary "
                f"of {content['vocab_size']} does not hold: tokenize again with their tokenizer"
            )
        return prefix, suffix, middle
