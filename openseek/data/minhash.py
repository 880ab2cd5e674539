"""Near duplicates by MinHash: signatures, candidate pairs by bands, exact verification, star clusters.

Similarity is the Jaccard index of the sets of word n-grams (`openseek.data.words` says what a word is). Bands only
propose pairs; each is then verified on the exact sets, so the threshold means what it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from openseek.data.keep import KeepPolicy

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SIGMAS = 4.0
LEAST_RECALL = 0.9


@dataclass(frozen=True)
class MinHash:
    """Keep one document of every set of near copies."""

    threshold: float = 0.7
    """Jaccard similarity of the n-gram sets from which two documents are near copies."""
    ngram: int = 5
    """Words in an n-gram; each Han or Kana character is a word."""
    num_bands: int = 28
    """Bands of the signature; two documents are compared when they agree in all rows of one band."""
    rows_per_band: int = 4
    """Hashes in a band; num_bands * rows_per_band is the signature's length."""
    min_words: int = 10
    """Documents with fewer words are never near copies: too short to tell (exact deduplication still sees them)."""
    max_partners: int = 32
    """In a run of documents with one band in common, each is compared with this many preferred ones."""
    seed: int = 1
    """Seed of the hash permutations."""
    keep: KeepPolicy = KeepPolicy()
    """Which copy stays."""
    engine: Literal["numba", "datasketch"] = field(default="numba", metadata={"runtime": True})
    """What computes signatures: the compiled kernel, or the datasketch library (equal bit for bit, much slower)."""
    check_documents: int = field(default=2, metadata={"runtime": True})
    """Signatures of the first documents of each shard that datasketch recomputes and that must be equal."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"dedup_minhash.threshold is {self.threshold}: it must be above 0 and at most 1")
        for name in ("ngram", "num_bands", "rows_per_band", "max_partners"):
            if getattr(self, name) < 1:
                raise ValueError(f"dedup_minhash.{name} is {getattr(self, name)}: it must be at least 1")
        if self.min_words < self.ngram:
            raise ValueError(
                f"dedup_minhash.min_words is {self.min_words}: it must be at least ngram ({self.ngram}), "
                f"since shorter documents have no n-gram to compare"
            )
        if self.recall_at_threshold < LEAST_RECALL:
            raise ValueError(
                f"dedup_minhash: {self.num_bands} bands of {self.rows_per_band} rows propose only "
                f"{self.recall_at_threshold:.0%} of the pairs at threshold {self.threshold}: "
                f"raise num_bands or lower rows_per_band"
            )
        if self.engine not in ("numba", "datasketch"):
            raise ValueError(f"dedup_minhash.engine is {self.engine!r}: use numba or datasketch")
        if self.check_documents < 0:
            raise ValueError(f"dedup_minhash.check_documents is {self.check_documents}: it must be at least 0")

    @property
    def recall_at_threshold(self) -> float:
        """Chance that a pair exactly at the threshold shares a band: 1 - (1 - t^rows)^bands."""
        return 1 - (1 - self.threshold**self.rows_per_band) ** self.num_bands

    @property
    def num_hashes(self) -> int:
        """Length of a signature."""
        return self.num_bands * self.rows_per_band


def permutations(config: MinHash) -> np.ndarray:
    """The hash permutations [2, K] uint32 that datasketch draws from the seed."""
    import datasketch
    import numpy as np

    return np.asarray(datasketch.MinHash(config.num_hashes, seed=config.seed, scheme="affine32").permutations)


def sign(text: pa.ChunkedArray, config: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """(signatures uint32 [N, K], words int64 [N]) of a text column."""
    from openseek.data.shingles import signatures
    from openseek.data.words import string_buffers, word_table

    data, offsets = string_buffers(text)
    if config.engine == "datasketch":
        return sign_by_datasketch(text, config, len(text))
    a, b = permutations(config)
    result, words = signatures(data, offsets, config.ngram, a, b, *word_table())
    expected, _ = sign_by_datasketch(text, config, config.check_documents)
    if (result[: len(expected)] != expected).any():
        raise AssertionError(
            "the MinHash kernel and datasketch disagree; set engine=datasketch and report the versions"
        )
    return result, words


def sign_by_datasketch(text: pa.ChunkedArray, config: MinHash, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """What `sign` returns, of the first `rows` texts, with the library's own MinHash."""
    import datasketch
    import numpy as np

    from openseek.data.words import grams_of, hash_words

    texts = text.slice(0, rows).to_pylist()
    result, words = np.empty((len(texts), config.num_hashes), np.uint32), np.empty(len(texts), np.int64)
    for row, string in enumerate(texts):
        hashes = hash_words(string)
        grams = np.empty(max(len(hashes), 1), np.uint64)
        count = grams_of(hashes, len(hashes), config.ngram, grams)
        sketch = datasketch.MinHash(config.num_hashes, seed=config.seed, hashfunc=int, scheme="affine32")
        sketch.update_batch(grams[:count].astype(np.uint32))
        result[row], words[row] = sketch.hashvalues, len(hashes)
    return result, words


@dataclass(frozen=True)
class Candidates:
    """Pairs of documents worth comparing, as places in the order of preference, left < right."""

    left: np.ndarray
    right: np.ndarray
    proposed: int
    """Pairs that share a band, before the signatures' agreement was asked."""
    runs_cut: int
    """Runs longer than max_partners."""


def candidates(
    band_keys: Sequence[Sequence[np.ndarray]],
    signatures: Sequence[np.ndarray],
    words: np.ndarray,
    order: np.ndarray,
    config: MinHash,
) -> Candidates:
    """Pairs that share a band and whose signatures do not speak against the threshold.

    `band_keys` gives for each band the keys of each shard; `signatures` one uint32 [n, K] a shard; `order` lists
    documents, the most preferred first. A pair is left out when its signatures agree so little that a similarity at the
    threshold is four standard deviations away.
    """
    import numpy as np

    from openseek.data.shingles import run_pairs

    if len(order) >= 1 << 32:
        raise ValueError(
            f"{len(order)} documents in one deduplication: split the corpus into parts below 2^32 documents"
        )
    members = np.flatnonzero(words[order] >= config.min_words)
    found, runs_cut = [np.zeros(0, np.uint64)], 0
    for parts in band_keys:
        keys = np.concatenate(parts)[order[members]]
        by_key = np.argsort(keys, kind="stable")
        pairs, cut = run_pairs(keys[by_key], members[by_key], config.max_partners)
        found.append(np.unique(pairs))
        runs_cut += cut
    pairs = np.unique(np.concatenate(found))
    left, right = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    likely = _agreeing(signatures, order[left], order[right], config)
    return Candidates(left[likely], right[likely], len(pairs), runs_cut)


def _agreeing(
    signatures: Sequence[np.ndarray], left: np.ndarray, right: np.ndarray, config: MinHash, block: int = 1 << 16
) -> np.ndarray:
    import numpy as np

    from openseek.data.shingles import agreement

    deviation = math.sqrt(config.threshold * (1 - config.threshold) / config.num_hashes)
    need = math.floor((config.threshold - SIGMAS * deviation) * config.num_hashes)
    bounds = np.cumsum([0, *(len(s) for s in signatures)])
    likely = np.zeros(len(left), bool)
    for start in range(0, len(left), block):
        part = slice(start, start + block)
        agreed = agreement(_gather(signatures, bounds, left[part]), _gather(signatures, bounds, right[part]))
        likely[part] = agreed >= need
    return likely


def _gather(parts: Sequence[np.ndarray], bounds: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Rows of arrays that lie in several (memory-mapped) parts, by index into their concatenation."""
    import numpy as np

    where = np.searchsorted(bounds, indices, side="right") - 1
    rows = np.empty((len(indices), parts[0].shape[1]), parts[0].dtype)
    for part in np.unique(where):
        chosen = where == part
        rows[chosen] = parts[part][indices[chosen] - bounds[part]]
    return rows
