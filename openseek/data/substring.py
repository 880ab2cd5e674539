"""Exact repeated passages: the first occurrence stays, later ones are cut out of their documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Substring:
    """Cut passages that stand word for word in an earlier document (Lee et al., 2022)."""

    min_bytes: int = 600
    """Bytes (UTF-8) from which an equal passage counts as a repeat."""
    boundary: Literal["sentence", "character"] = "sentence"
    """Where a cut may begin and end: at ends of lines and sentences, or between any two characters."""
    min_cut: int = 200
    """Repeats of which fewer bytes than this lie between two such ends are left alone."""
    min_remaining: int = 100
    """Documents of which fewer bytes than this remain are dropped."""
    within_document: bool = False
    """Whether a passage that a document itself repeats is cut too; in code and tables such repeats have a meaning."""
    max_partners: int = 16
    """Earlier occurrences that a passage is compared with."""

    def __post_init__(self) -> None:
        if self.min_bytes < 32:
            raise ValueError(f"dedup_substring.min_bytes is {self.min_bytes}: it must be at least 32")
        if self.boundary not in ("sentence", "character"):
            raise ValueError(f"dedup_substring.boundary is {self.boundary!r}: use sentence or character")
        for name, least in (("min_cut", 1), ("min_remaining", 0)):
            if not least <= getattr(self, name) <= self.min_bytes:
                raise ValueError(
                    f"dedup_substring.{name} is {getattr(self, name)}: it must lie between {least} and "
                    f"min_bytes ({self.min_bytes}), or kept first occurrences could be lost"
                )
        if self.max_partners < 1:
            raise ValueError(f"dedup_substring.max_partners is {self.max_partners}: it must be at least 1")

    @property
    def anchor_size(self) -> int:
        """Bytes that an anchor's hash covers."""
        return self.min_bytes // 2

    @property
    def window(self) -> int:
        """Positions among which the least hash is the anchor."""
        return self.min_bytes - self.anchor_size + 1


def repeated_spans(
    data: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    documents: np.ndarray,
    positions: np.ndarray,
    config: Substring,
) -> np.ndarray:
    """Spans to cut [S, 4] int64 (document, start, stop, document of the first occurrence), disjoint and in order.

    `data` holds all texts, `offsets` [N + 1] where each begins; anchors (`openseek.data.anchors`) come in text order.
    """
    import numpy as np

    from openseek.data.anchors import repeats, snap

    by_hash = np.argsort(hashes, kind="stable")
    lengths = config.anchor_size, config.min_bytes
    limits = config.max_partners, config.within_document
    spans = repeats(data, offsets, documents, positions, by_hash, hashes, *lengths, *limits)
    spans = _disjoint(spans)
    snap(data, offsets, spans, config.boundary == "sentence")
    return spans[spans[:, 2] - spans[:, 1] >= config.min_cut]


def _disjoint(spans: np.ndarray) -> np.ndarray:
    """Join overlapping and touching spans of one document; the longest names the partner."""
    import numpy as np

    joined: list[list[int]] = []
    longest = 0
    for document, start, stop, partner in spans[np.lexsort((spans[:, 1], spans[:, 0]))].tolist():
        if joined and joined[-1][0] == document and start <= joined[-1][2]:
            joined[-1][2] = max(joined[-1][2], stop)
            if stop - start > longest:
                joined[-1][3], longest = partner, stop - start
        else:
            joined.append([document, start, stop, partner])
            longest = stop - start
    return np.array(joined, np.int64).reshape(-1, 4)


def cut_spans(data: np.ndarray, offsets: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets) of the texts without the spans (row, start, stop, ...), which are disjoint."""
    import numpy as np

    low, high = int(offsets[0]), int(offsets[-1])
    stays = np.ones(high - low, bool)
    for row, start, stop in spans[:, :3].tolist():
        stays[offsets[row] - low + start : offsets[row] - low + stop] = False
    kept_before = np.concatenate(([0], np.cumsum(stays)))
    return data[low:high][stays], kept_before[offsets - low]
