"""How good a removal of near copies is: recall by true similarity, and precision of what was removed, per kind."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

from benchmarks.dedup_corpus import Corpus
from benchmarks.dedup_reference import Grams, jaccard, word_grams

NEAR = 0.7
BINS = ((1.0, "1"), (0.9, ".9 to 1"), (0.8, ".8 to .9"), (0.7, ".7 to .8"), (0.5, ".5 to .7"))
"""(least similarity, name), the highest first."""
ALL = "all"
WORDS: Mapping[str, Grams] = MappingProxyType({})
"""Every kind is judged by words."""
CACHED_SETS = 4096


@dataclass(frozen=True)
class Removal:
    """What a deduplication decided about rows: which cluster each is in, which go, and because of which row."""

    labels: Mapping[int, int]
    """Row to the number of its cluster; a row that is not in it was not looked at."""
    partners: Mapping[int, int | None]
    """Row removed to the row named as the one that it is a copy of (None: nobody is named, any of the cluster)."""


@dataclass
class Share:
    """`hits` of `total`."""

    hits: int = 0
    total: int = 0

    def add(self, hit: bool) -> None:
        """Count one more."""
        self.hits, self.total = self.hits + hit, self.total + 1

    @property
    def value(self) -> float:
        """The share; 1 of nothing."""
        return self.hits / self.total if self.total else 1.0


@dataclass
class Quality:
    """Shares by kind (and "all"); recall by bin of true similarity, too."""

    recall: dict[tuple[str, str], Share] = field(default_factory=lambda: defaultdict(Share))
    """(kind, bin) to pairs of which not both documents stay."""
    joined: dict[tuple[str, str], Share] = field(default_factory=lambda: defaultdict(Share))
    """(kind, bin) to pairs in one cluster: stricter, since either may have gone as the copy of a third."""
    precision: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    """Kind to removed documents that are near copies of the partner named, or else of any other of their cluster."""
    largest: int = 1
    """Documents in the largest cluster."""


def by_label(labels: Sequence[int], rows: Sequence[int] | None = None) -> Removal:
    """The removal of a method that gives cluster labels: of each cluster the first row stays, no partner is named.

    `rows` are the rows of the corpus that the labels stand for: all, where it is None.
    """
    places = range(len(labels)) if rows is None else rows
    first: dict[int, int] = {}
    partners: dict[int, int | None] = {}
    for row, label in zip(places, labels, strict=True):
        if first.setdefault(label, row) != row:
            partners[row] = None
    return Removal(dict(zip(places, labels, strict=True)), partners)


def by_partner(partners: Mapping[int, int], rows: Iterable[int]) -> Removal:
    """The removal of a method that names the partner of each row that it removes; partners' partners are joined."""
    labels: dict[int, int] = {}
    for row in rows:
        top = row
        while top in partners:
            top = partners[top]
        labels[row] = top
    return Removal(labels, dict(partners))


def bin_of(similarity: float) -> str | None:
    """The name of the bin of a true similarity; None below the lowest."""
    return next((name for least, name in BINS if similarity >= least), None)


def judged(corpus: Corpus, grams: Mapping[str, Grams]) -> Corpus:
    """The corpus with the similarity of the recorded pairs of these kinds by other grams than words."""
    texts, pairs = corpus.texts, []
    for pair in corpus.pairs:
        if split := grams.get(pair.kind):
            pair = replace(pair, jaccard=jaccard(split(texts[pair.copy]), split(texts[pair.source])))
        pairs.append(pair)
    return replace(corpus, pairs=pairs)


def measure(corpus: Corpus, removal: Removal, grams: Mapping[str, Grams] = WORDS) -> Quality:
    """Recall on the recorded pairs (whose similarity is theirs), precision by `grams` on all that was removed.

    Kinds that `grams` does not name are judged by words.
    """
    quality = Quality()
    labels, gone = removal.labels, removal.partners
    for pair in corpus.pairs:
        name = bin_of(pair.jaccard)
        if name is None or pair.copy not in labels or pair.source not in labels:
            continue
        for kind in (pair.kind, ALL):
            quality.recall[kind, name].add(pair.copy in gone or pair.source in gone)
            quality.joined[kind, name].add(labels[pair.copy] == labels[pair.source])
    clusters: dict[int, list[int]] = defaultdict(list)
    for row, label in labels.items():
        clusters[label].append(row)
    quality.largest = max(Counter(labels.values()).values(), default=0)

    @lru_cache(CACHED_SETS)
    def grams_of(row: int) -> frozenset[tuple]:
        return frozenset(grams.get(corpus.kinds[row], word_grams)(corpus.texts[row]))

    # Cluster by cluster, so that each text is split once.
    for members in clusters.values():
        for row in members:
            if row not in gone:
                continue
            named = gone[row]
            others = [other for other in members if other != row] if named is None else [named]
            near = any(jaccard(grams_of(row), grams_of(other)) >= NEAR for other in others)
            for kind in (corpus.kinds[row], ALL):
                quality.precision[kind].add(near)
    return quality


def recall_above(quality: Quality, kind: str = ALL, least: float = NEAR) -> Share:
    """Recall of all pairs at least so similar."""
    return _above(quality.recall, kind, least)


def joined_above(quality: Quality, kind: str = ALL, least: float = NEAR) -> Share:
    """Share of all pairs at least so similar that are in one cluster."""
    return _above(quality.joined, kind, least)


def _above(shares: Mapping[tuple[str, str], Share], kind: str, least: float) -> Share:
    chosen = [shares[kind, name] for bound, name in BINS if bound >= least and (kind, name) in shares]
    return Share(sum(share.hits for share in chosen), sum(share.total for share in chosen))
