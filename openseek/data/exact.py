"""Exact duplicates: equal text after a light normalisation, found by a 128-bit hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from openseek.data.keep import KeepPolicy

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

NORMALISATIONS = ("none", "whitespace", "case")


@dataclass(frozen=True)
class DedupExact:
    """Keep one document of every set of equal texts."""

    normalise: Literal["none", "whitespace", "case"] = "whitespace"
    """Equal means: the same bytes; the same with runs of white space as one blank; that without regard to case."""
    keep: KeepPolicy = KeepPolicy()
    """Which copy stays."""

    def __post_init__(self) -> None:
        if self.normalise not in NORMALISATIONS:
            raise ValueError(f"dedup_exact.normalise is {self.normalise!r}: use one of {', '.join(NORMALISATIONS)}")


def content_hashes(text: pa.ChunkedArray, normalise: str) -> np.ndarray:
    """xxh3_128 of each normalised text as two uint64 [N, 2]."""
    import numpy as np
    import pyarrow.compute as pc
    import xxhash

    from openseek.data.words import string_buffers

    if normalise != "none":
        blanks = pc.ReplaceSubstringOptions(r"[\s\pZ\x{85}]+", " ")
        text = pc.call_function("utf8_trim_whitespace", [pc.call_function("replace_substring_regex", [text], blanks)])
    if normalise == "case":
        text = pc.call_function("utf8_lower", [text])
    data, offsets = string_buffers(text)
    view = data.data
    bounds = offsets.tolist()
    digests = [xxhash.xxh3_128_digest(view[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 2)


def first_copies(hashes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each document the index of the copy that stays [N] int64 (its own where it stays).

    `order` lists the documents, the most preferred first.
    """
    import numpy as np

    ranked = hashes[order]
    groups = np.lexsort((ranked[:, 1], ranked[:, 0]))
    equal = np.zeros(len(order), bool)
    equal[1:] = (ranked[groups[1:]] == ranked[groups[:-1]]).all(axis=1)
    heads = groups[np.maximum.accumulate(np.where(equal, 0, np.arange(len(order))))]
    partner = np.empty(len(order), np.int64)
    partner[order[groups]] = order[heads]
    return partner
