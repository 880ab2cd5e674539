"""Near duplicates by MinHash: signatures, candidate pairs by bands, exact verification, star clusters.

Similarity is the Jaccard index of the sets of word n-grams (`openseek.data.words` says what a word is). Bands only
propose pairs; each is then verified on the exact sets, so the threshold means what it says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from openseek.data.keep import KeepPolicy

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SIGMAS = 4.0
TOKENS = 2
"""Raised when the tokens of a lexer change, so that signatures of before are not compared with those of after."""


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
    optimal_bands: bool = False
    """Let datasketch choose bands and rows for the threshold, of at most num_bands * rows_per_band hashes."""
    least_recall: float = 0.9
    """A choice of bands that proposes a smaller share of the pairs at the threshold is refused."""
    code_sources: tuple[str, ...] = ("code",)
    """Sources of program code: comments and layout do not count, operators do."""
    latex_sources: tuple[str, ...] = ("math",)
    """Sources of LaTeX: comments, spacing, sizes and braces do not count, operators do."""
    min_words: int = 10
    """Documents with fewer words are never near copies: too short to tell (exact deduplication still sees them)."""
    max_partners: int = 32
    """In a run of documents with one band in common, each is compared with this many preferred ones."""
    alarm_cluster: int = 1000
    """A cluster of more documents is an alarm: a template or an error page rather than copies."""
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
        for name in ("ngram", "num_bands", "rows_per_band", "max_partners", "alarm_cluster"):
            if getattr(self, name) < 1:
                raise ValueError(f"dedup_minhash.{name} is {getattr(self, name)}: it must be at least 1")
        if self.min_words < self.ngram:
            raise ValueError(
                f"dedup_minhash.min_words is {self.min_words}: it must be at least ngram ({self.ngram}), "
                f"since shorter documents have no n-gram to compare"
            )
        if not self.optimal_bands and self.recall_at_threshold < self.least_recall:
            raise ValueError(
                f"dedup_minhash: {self.num_bands} bands of {self.rows_per_band} rows propose only "
                f"{self.recall_at_threshold:.0%} of the pairs at threshold {self.threshold}: "
                f"raise num_bands, lower rows_per_band, or lower least_recall if that is meant"
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

    @property
    def signature_fields(self) -> dict[str, Any]:
        """What two corpora must have in common, so that their signatures can be compared."""
        lexers = {"code_sources": list(self.code_sources), "latex_sources": list(self.latex_sources)}
        numbers = {"ngram": self.ngram, "num_hashes": self.num_hashes, "seed": self.seed, "tokens": TOKENS}
        return {**numbers, **lexers}

    @property
    def least_agreement(self) -> int:
        """Equal hashes below which a pair at the threshold would be four standard deviations away."""
        deviation = math.sqrt(self.threshold * (1 - self.threshold) / self.num_hashes)
        return math.floor((self.threshold - SIGMAS * deviation) * self.num_hashes)


def bands(config: MinHash) -> tuple[int, int]:
    """(bands, rows a band) in use: those of the config, or datasketch's for the threshold."""
    if not config.optimal_bands:
        return config.num_bands, config.rows_per_band
    import datasketch

    lsh = datasketch.MinHashLSH(threshold=config.threshold, num_perm=config.num_hashes)
    return lsh.b, lsh.r


def permutations(config: MinHash) -> np.ndarray:
    """The hash permutations [2, K] uint32 that datasketch draws from the seed."""
    import datasketch
    import numpy as np

    return np.asarray(datasketch.MinHash(config.num_hashes, seed=config.seed, scheme="affine32").permutations)


def sign(text: pa.Array | pa.ChunkedArray, kinds: np.ndarray, config: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """(signatures uint32 [N, K], words int64 [N]) of a text column; `kinds` uint8 [N] names each text's lexer."""
    from openseek.data.shingles import signatures
    from openseek.data.words import string_buffers, word_table

    data, offsets = string_buffers(text)
    if config.engine == "datasketch":
        return sign_by_datasketch(text, kinds, config, len(text))
    a, b = permutations(config)
    result, words = signatures(data, offsets, kinds, config.ngram, a, b, *word_table())
    expected, _ = sign_by_datasketch(text, kinds, config, config.check_documents)
    if (result[: len(expected)] != expected).any():
        raise AssertionError(
            "the MinHash kernel and datasketch disagree; set engine=datasketch and report the versions"
        )
    return result, words


def sign_by_datasketch(
    text: pa.Array | pa.ChunkedArray, kinds: np.ndarray, config: MinHash, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `sign` returns, of the first `rows` texts, with the library's own MinHash."""
    import datasketch
    import numpy as np

    from openseek.data.lexers import hash_tokens
    from openseek.data.words import grams_of

    texts = text.slice(0, rows).to_pylist()
    result, words = np.empty((len(texts), config.num_hashes), np.uint32), np.empty(len(texts), np.int64)
    for row, string in enumerate(texts):
        hashes = hash_tokens(string, int(kinds[row]))
        grams = np.empty(max(len(hashes), 1), np.uint64)
        count = grams_of(hashes, len(hashes), config.ngram, grams)
        sketch = datasketch.MinHash(config.num_hashes, seed=config.seed, hashfunc=int, scheme="affine32")
        sketch.update_batch(grams[:count].astype(np.uint32))
        result[row], words[row] = sketch.hashvalues, len(hashes)
    return result, words


def likely(parts: Sequence[np.ndarray], pairs: np.ndarray, config: MinHash, block: int = 1 << 16) -> np.ndarray:
    """Which pairs of row ids uint64 [P, 2] have signatures that do not speak against the threshold, bool [P].

    `parts` are the (mapped) signatures uint32 [n, K] of each shard.
    """
    import numpy as np

    from openseek.data.row_ids import gathered
    from openseek.data.shingles import agreement

    found = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), block):
        part = pairs[start : start + block]
        agreed = agreement(gathered(parts, part[:, 0]), gathered(parts, part[:, 1]))
        found[start : start + block] = agreed >= config.least_agreement
    return found
