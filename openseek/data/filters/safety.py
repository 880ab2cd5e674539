"""Sensitive and safety words: lists that are data, each with what is done to documents that hold its words."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import threading
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from openseek.data.transform import Filter, Rule, Scope, Transform, at_most, replace_column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from openseek.data.transform import Statistics
    from openseek.data.word_automaton import Automaton, Hits
    from openseek.data.word_lists import Entries

Action = Literal["drop", "mask", "tag"]
MOST_WORDS = 5
log = logging.getLogger(__name__)
_building = threading.Lock()


@dataclasses.dataclass(frozen=True)
class WordList:
    """Words, and what is done to a document that holds them."""

    name: str
    """Name of the list: of its rule (`safety_NAME`), and in `meta`."""
    path: str = field(metadata={"raw": True})
    """File, folder or glob: one word a line, `#` comments; also .gz and .zst."""
    action: Action = "drop"
    """drop: the document goes; mask: the words are hidden; tag: `meta` counts them under "safety"."""
    languages: tuple[str, ...] = ()
    """Only documents in these languages (ISO 639-1); empty: all."""
    max_distinct: int = 0
    """Distinct words of the list that a document may hold before something is done."""
    min_share: float = 0.0
    """Share of a document's characters that the words must make up before something is done."""

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").isalnum():
            raise ValueError(f"WordList.name is {self.name!r}: use letters, digits and underscores")
        if not self.path:
            raise ValueError(f"WordList.path of {self.name!r} is empty: give a file, a folder or a glob")
        if self.max_distinct < 0 or not 0 <= self.min_share <= 1:
            raise ValueError(
                f"WordList {self.name!r}: max_distinct is {self.max_distinct} and min_share {self.min_share}: "
                f"they cannot be negative, nor the share above 1"
            )


@dataclasses.dataclass(frozen=True)
class SafetyWords(Scope):
    """Lists of words that are looked for together, in one pass; no list: nothing is done.

    In each list the leftmost word counts, of those that begin there the longest, and the next begins behind it.
    """

    lists: tuple[WordList, ...] = ()
    """The lists."""
    allow: str = field(default="", metadata={"raw": True})
    """Lists of harmless words and longer phrases: what lies within one of them is not found."""
    fold: bool = True
    """Whether upper and lower case, full-width and half-width forms are the same."""
    whole_words: bool = True
    """Whether a word that begins or ends with a letter or digit of a script written with spaces has to begin or end
    where a word of the text does; characters of Chinese match anywhere."""
    min_characters: int = 2
    """Words with fewer characters are left out of the lists."""
    min_latin_characters: int = 3
    """Words of ASCII letters and digits with fewer characters are left out of the lists."""
    mask: str = "*"
    """What hides a word: one character stands for each character, more of them for the word."""

    def __post_init__(self) -> None:
        names = [item.name for item in self.lists]
        if len(set(names)) < len(names) or len(names) > 60:
            raise ValueError(f"safety.lists are named {names}: give each of at most 60 lists a name of its own")
        if self.min_characters < 2:
            raise ValueError(f"safety.min_characters is {self.min_characters}: single characters are no words, use 2")

    def steps(self) -> list[Filter | Transform]:
        """The steps that the lists ask for: documents are judged before their words are masked."""
        scope = (self.enabled, self.languages, self.sources, self.except_sources)
        actions = {item.action for item in self.lists}
        dropping: list[Filter | Transform] = [SafetyDrop(*scope, safety=self)] if "drop" in actions else []
        return dropping + ([SafetyMark(*scope, safety=self)] if actions - {"drop"} else [])

    def report(self) -> dict[str, Entries]:
        """What each list gave, and what had to be left out of it."""
        from openseek.data.word_lists import lines, words

        limits = {"min_characters": self.min_characters, "min_latin_characters": self.min_latin_characters}
        return {item.name: words(lines(item.path), **limits) for item in self.lists}

    def found(self, batch: pa.RecordBatch, actions: tuple[Action, ...]) -> Found:
        """The words of the lists with these actions, in documents within scope."""
        import numpy as np
        import pyarrow.compute as pc

        from openseek.data.masking import count_characters
        from openseek.data.word_automaton import find
        from openseek.data.words import string_buffers

        automaton, words = compiled(self)
        active = np.zeros(batch.num_rows, np.uint64)
        scope = self.within(batch)
        for bit, item in enumerate(self.lists):
            if item.action in actions:
                mask = scope & Scope(languages=item.languages).within(batch)
                active |= mask.astype(np.uint64) << np.uint64(bit)
        text = batch.column("text")
        hits = find(text, automaton, active, whole_words=self.whole_words)
        size, lists = batch.num_rows * max(len(self.lists), 1), len(self.lists)
        place = hits.row * lists + hits.list
        covered = np.bincount(place, count_characters(string_buffers(text)[0], hits.start, hits.stop), size)
        pairs = np.unique(place * max(len(words), 1) + hits.word) // max(len(words), 1)
        characters = pc.utf8_length(text).to_numpy(zero_copy_only=False)  # type: ignore[attr-defined]
        return Found(
            hits,
            words,
            np.bincount(place, minlength=size).reshape(-1, lists),
            np.bincount(pairs, minlength=size).reshape(-1, lists),
            covered.reshape(-1, lists) / np.maximum(characters, 1)[:, None],
        )


class Found(NamedTuple):
    """Words found in a batch; numbers [rows, lists]."""

    hits: Hits
    words: list[str]
    total: np.ndarray
    distinct: np.ndarray
    share: np.ndarray


@dataclasses.dataclass(frozen=True)
class SafetyDrop(Filter):
    """Drop documents with words of the lists whose action is drop."""

    reads_text: ClassVar[bool] = True
    safety: SafetyWords = SafetyWords()
    """The lists."""

    def rules(self, statistics: Statistics) -> dict[str, Rule]:
        """safety_NAME for each list: its distinct words in the document, 0 below the share; the words as detail."""
        import numpy as np

        found = self.safety.found(statistics.batch, ("drop",))
        rules = {}
        for index, item in enumerate(self.safety.lists):
            if item.action != "drop":
                continue
            distinct = np.where(found.share[:, index] >= item.min_share, found.distinct[:, index], 0)
            rule = at_most(distinct, item.max_distinct)
            rules[f"safety_{item.name}"] = rule._replace(detail=_details(found, index, rule.broken))
        return rules


def _details(found: Found, index: int, broken: np.ndarray) -> pa.Array:
    """The most frequent words of one list in each broken document."""
    import numpy as np
    import pyarrow as pa

    counts: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    chosen = np.flatnonzero((found.hits.list == index) & broken[found.hits.row])
    for row, word in zip(found.hits.row[chosen].tolist(), found.hits.word[chosen].tolist(), strict=True):
        counts[row][found.words[word]] += 1
    details = [""] * len(broken)
    for row, words in counts.items():
        details[row] = ", ".join(f"{word} ×{n}" if n > 1 else word for word, n in words.most_common(MOST_WORDS))
    return pa.array(details, pa.string())


@dataclasses.dataclass(frozen=True)
class SafetyMark(Transform):
    """Mask words and count them in `meta`, as the lists ask."""

    safety: SafetyWords = SafetyWords()
    """The lists."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with masking lists' words hidden and tagging lists' counted, in meta's "masked" and "safety"."""
        import numpy as np

        from openseek.data.masking import add_to_meta, joined
        from openseek.data.spans import splice

        found = self.safety.found(batch, ("mask", "tag"))
        lists = self.safety.lists
        limits = np.array([item.max_distinct for item in lists]), np.array([item.min_share for item in lists])
        acted = (found.distinct > limits[0]) & (found.share >= limits[1])
        notes: dict[int, dict[str, dict[str, int]]] = {}
        for row, index in np.argwhere(acted).tolist():
            key = "masked" if lists[index].action == "mask" else "safety"
            notes.setdefault(row, {}).setdefault(key, {})[lists[index].name] = int(found.total[row, index])
        masking = np.array([item.action == "mask" for item in lists])
        hits = found.hits
        chosen = masking[hits.list] & acted[hits.row, hits.list]
        if chosen.any():
            text = batch.column("text")
            starts, stops = joined(hits.start[chosen], hits.stop[chosen])
            masks = _masks(text, starts, stops, self.safety.mask)
            batch = replace_column(batch, "text", splice(text, starts, stops, masks))
        return add_to_meta(batch, notes)


def _masks(text: pa.Array, starts: np.ndarray, stops: np.ndarray, mask: str) -> pa.Array:
    """What hides each span."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.masking import count_characters
    from openseek.data.words import string_buffers

    if len(mask) != 1:
        return pa.array([mask], pa.large_string()).take(pa.array(np.zeros(len(starts), np.int64)))
    lengths = count_characters(string_buffers(text)[0], starts, stops)
    masks = pa.array([mask * length for length in range(int(lengths.max()) + 1)], pa.large_string())
    return masks.take(pa.array(lengths))


def compiled(safety: SafetyWords) -> tuple[Automaton, list[str]]:
    """(automaton, its words) of all lists, bit i for list i; kept for the process as long as the files are the same."""
    from openseek.data.word_lists import stamp

    stamps = stamp(safety.allow, *(item.path for item in safety.lists))
    with _building:
        return _compiled(safety, stamps)


@functools.lru_cache(maxsize=4)
def _compiled(safety: SafetyWords, stamps: tuple[tuple[str, int, int], ...]) -> tuple[Automaton, list[str]]:
    import numpy as np

    from openseek.data.word_automaton import ALLOWED, build
    from openseek.data.word_lists import lines, words

    entries: list[str] = []
    bits: list[np.ndarray] = []
    for index, (name, listed) in enumerate(safety.report().items()):
        log.info("safety list %s: %s", name, listed)
        if not listed.words:
            raise ValueError(f"safety list {name!r} holds no word that can be looked for ({listed}): check its file")
        entries += listed.words
        bits.append(np.full(len(listed.words), 1 << index, np.uint64))
    if safety.allow:
        allowed = words(lines(safety.allow), min_latin_characters=2).words
        entries += allowed
        bits.append(np.full(len(allowed), ALLOWED))
    return build(entries, np.concatenate([np.zeros(0, np.uint64), *bits]), fold=safety.fold)
