"""Exact repeated passages (Lee et al., 2022): which bytes stand elsewhere too, and what is cut.

A window of `min_bytes` bytes (or `min_words` words) is repeated when the same window stands at another place inside one
document. Marked is every byte of every repeated window, but with keep=first not of those whose window is the first of
its kind in the corpus, in the order of shards and rows. There is no limit on the number of places.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LEAST_BYTES, LEAST_WORDS = 32, 8
CHOICES = {
    "unit": ("bytes", "words"),
    "keep": ("first", "none"),
    "boundary": ("sentence", "line", "character"),
    "engine": ("anchors", "suffix_array"),
}


@dataclass(frozen=True)
class Substring:
    """Cut passages that stand word for word in an earlier document (Lee et al., 2022)."""

    unit: Literal["bytes", "words"] = "bytes"
    """What a passage is measured and compared in: bytes as they are, or words without regard to case and signs."""
    min_bytes: int = 800
    """Bytes (UTF-8) from which an equal passage counts as a repeat (unit bytes)."""
    min_words: int = 50
    """Words from which an equal passage counts as a repeat (unit words)."""
    keep: Literal["first", "none"] = "first"
    """Whether the first occurrence stays, or all go."""
    boundary: Literal["sentence", "line", "character"] = "sentence"
    """Where a cut may begin and end: at ends of lines and sentences, of lines only, or between any two characters."""
    min_cut: int = 200
    """Repeats of which fewer bytes than this lie between two such ends are left alone."""
    min_remaining: int = 100
    """Documents of which fewer bytes than this remain are dropped."""
    within_document: bool = False
    """Whether a passage that only its own document repeats is cut too; in code and tables repeats mean something."""
    engine: Literal["anchors", "suffix_array"] = field(default="anchors", metadata={"runtime": True})
    """How repeats are found: by winnowed anchors, for any size, or by a suffix array of a small corpus, to compare."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"dedup_substring.{name} is {getattr(self, name)!r}: use {' or '.join(choices)}")
        for name, least in (("min_bytes", LEAST_BYTES), ("min_words", LEAST_WORDS)):
            if getattr(self, name) < least:
                raise ValueError(f"dedup_substring.{name} is {getattr(self, name)}: it must be at least {least}")
        for name, least in (("min_cut", 1), ("min_remaining", 0)):
            value = getattr(self, name)
            if value < least or (self.unit == "bytes" and value > self.min_bytes):
                raise ValueError(
                    f"dedup_substring.{name} is {value}: it must lie between {least} and min_bytes ({self.min_bytes})"
                )

    @property
    def length(self) -> int:
        """Symbols (bytes or words) of a window."""
        return self.min_bytes if self.unit == "bytes" else self.min_words

    @property
    def anchor_size(self) -> int:
        """Symbols that an anchor's hash covers."""
        return max(4, self.length // 4)


def symbols(text: pa.Array | pa.ChunkedArray, config: Substring) -> tuple[np.ndarray, np.ndarray]:
    """(symbols uint8 or uint32, offsets int64 [N + 1]) of a text column: its bytes, or a hash of each word."""
    import numpy as np

    from openseek.data.words import string_buffers, word_table

    data, offsets = string_buffers(text)
    if config.unit == "words":
        from openseek.data.anchors import word_symbols

        found, ends, _ = word_symbols(data, offsets, *word_table())
        return found, ends
    return data[offsets[0] : offsets[-1]], offsets - offsets[0] if len(offsets) else np.zeros(1, np.int64)


def cut_of(data: np.ndarray, offsets: np.ndarray, spans: np.ndarray, config: Substring) -> np.ndarray:
    """What to cut [C, 3] int64 (row, start, stop in bytes, partner's place in `spans`) of marked spans [S, 3].

    Spans are (row, start, stop) in symbols, in any order, and may overlap; cuts are disjoint and in order, and lie
    between two boundaries. The fourth column is the place of the longest span in each.
    """
    import numpy as np

    from openseek.data.anchors import joined_spans, snap, word_symbols
    from openseek.data.words import word_table

    order = np.lexsort((spans[:, 1], spans[:, 0]))
    cuts = joined_spans(spans[order])
    cuts[:, 3] = order[cuts[:, 3]]
    if config.unit == "words" and len(cuts):
        _, ends, starts = word_symbols(data, offsets, *word_table())
        first = ends[cuts[:, 0]]
        after = first + cuts[:, 2]
        size = offsets[cuts[:, 0] + 1] - offsets[cuts[:, 0]]
        last = after == ends[cuts[:, 0] + 1]
        cuts[:, 1] = starts[first + cuts[:, 1]]
        cuts[:, 2] = np.where(last, size, starts[np.minimum(after, len(starts) - 1)])
    snap(data, offsets, cuts, CHOICES["boundary"].index(config.boundary))
    return cuts[cuts[:, 2] - cuts[:, 1] >= config.min_cut]
