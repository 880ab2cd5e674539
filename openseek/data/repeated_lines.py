"""Repeated paragraphs and lines: all but the first occurrence go, or lines that many documents of a site share go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

UNITS = ("paragraph", "line")
MODES = ("first", "boilerplate")
GROUPS = ("source", "host")
MOST_PARTITIONS = 4096


@dataclass(frozen=True)
class DedupLines:
    """Cut paragraphs or lines that stand elsewhere too. No list of words is used: counts alone decide, in any language.

    Two are equal when they differ in case, width and white space only.
    """

    enabled: bool = field(default=False, metadata={"runtime": True})
    """Whether a corpus flow runs the step, after dedup_substring; called by its name it always runs."""
    unit: Literal["paragraph", "line"] = "paragraph"
    """What is compared: lines up to a blank one, or single lines."""
    mode: Literal["first", "boilerplate"] = "first"
    """first: all but the first occurrence in the corpus go. boilerplate: what `min_documents` documents of one group
    have goes from all of them."""
    min_words: int = 1
    """Units of fewer words are left alone (a Han character, a Kana or a Thai letter is a word); never less than one."""
    error_rate: float = 1e-6
    """Mode first: probability that a unit that never came before is taken for a repeat (Bloom filter); 0: exact search,
    which takes four times the memory."""
    name_partners: bool = True
    """Mode first: look up in a second reading which document holds each first occurrence. That also finds the errors of
    the filter, which are then not cut; memory grows with the number of distinct repeats."""
    num_partitions: int = 16
    """Parts, by hash, in which units are compared: a worker holds one of them at a time."""
    group: Literal["source", "host"] = "host"
    """Mode boilerplate: documents that are counted together, those of a source or of a URL's host. Documents without a
    URL have no host and are left alone."""
    min_documents: int = 5
    """Mode boilerplate: distinct documents of a group from which a unit is boilerplate."""
    max_characters: int = 400
    """Mode boilerplate: longer units stay; they are copied text rather than the frame of a page."""
    except_sources: tuple[str, ...] = ()
    """Sources that are neither counted nor cut, such as code and mathematics."""
    min_remaining: int = 100
    """Documents of which a cut leaves fewer bytes than this are dropped."""

    def __post_init__(self) -> None:
        for name, known in (("unit", UNITS), ("mode", MODES), ("group", GROUPS)):
            if getattr(self, name) not in known:
                raise ValueError(f"dedup_lines.{name} is {getattr(self, name)!r}: use {' or '.join(known)}")
        if not 0 <= self.error_rate <= 0.1:
            raise ValueError(f"dedup_lines.error_rate is {self.error_rate}: it must lie between 0 (exact) and 0.1")
        limits = (("min_words", 1), ("min_documents", 2), ("max_characters", 1), ("min_remaining", 0))
        for name, least in limits:
            if getattr(self, name) < least:
                raise ValueError(f"dedup_lines.{name} is {getattr(self, name)}: it must be at least {least}")
        if not 1 <= self.num_partitions <= MOST_PARTITIONS:
            raise ValueError(
                f"dedup_lines.num_partitions is {self.num_partitions}: it must lie between 1 and {MOST_PARTITIONS}"
            )

    @property
    def rule(self) -> str:
        """Name of the rule that drops documents."""
        return f"{'repeated' if self.mode == 'first' else 'boilerplate'}_{self.unit}"


class Compared(NamedTuple):
    """The units of a batch of documents."""

    units: np.ndarray
    """All of them, int64 [U, 6] (openseek.data.line_kernels)."""
    chosen: np.ndarray
    """Indices of those that are compared, int64 [C]."""
    keys: np.ndarray
    """What they are compared by, uint64 [C]: hash of the unit, in mode boilerplate of its group too."""


def compared(batch: pa.RecordBatch, config: DedupLines) -> Compared:
    """The units of a batch with the columns text, source and url."""
    import numpy as np

    from openseek.data.line_kernels import CHARACTERS, ROW, WORDS, split_units
    from openseek.data.words import string_buffers

    wanted, groups = _groups(batch, config)
    units, hashes = split_units(*string_buffers(batch.column("text")), wanted, paragraphs=config.unit == "paragraph")
    fits = units[:, WORDS] >= config.min_words
    if config.mode == "first":
        chosen = np.flatnonzero(fits)
        return Compared(units, chosen, hashes[chosen])
    chosen = np.flatnonzero(fits & (units[:, CHARACTERS] <= config.max_characters))
    return Compared(units, chosen, hashes[chosen] ^ groups[units[chosen, ROW]])


def _groups(batch: pa.RecordBatch, config: DedupLines) -> tuple[np.ndarray, np.ndarray]:
    """(documents that are looked at, bool [rows]; hash of the group of each, uint64 [rows])."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import xxhash

    source = batch.column("source")
    excepted = pc.call_function("is_in", [source], pc.SetLookupOptions(pa.array(config.except_sources, pa.string())))
    wanted = ~excepted.to_numpy(zero_copy_only=False)
    if config.mode == "first":
        return wanted, np.zeros(0, np.uint64)
    names = source if config.group == "source" else hosts(batch.column("url"))
    encoded = names.fill_null("").dictionary_encode()
    hashed = [xxhash.xxh3_64_intdigest(name.encode()) for name in encoded.dictionary.to_pylist()]
    places = encoded.indices.to_numpy(zero_copy_only=False)
    if config.group == "host":
        named = np.array([bool(name) for name in encoded.dictionary.to_pylist()], bool)
        wanted &= named[places]
    return wanted, np.array(hashed, np.uint64)[places]


def hosts(urls: pa.Array) -> pa.Array:
    """The host of each URL in lower case, without its port; null where there is none."""
    import pyarrow.compute as pc

    pattern = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:]+)"
    found = pc.call_function("extract_regex", [urls], pc.ExtractRegexOptions(pattern))
    return pc.call_function("utf8_lower", [pc.call_function("struct_field", [found], pc.StructFieldOptions([0]))])


def by_partition(keys: np.ndarray, num_partitions: int) -> tuple[np.ndarray, np.ndarray]:
    """(order of the keys by partition, stable; bounds int64 [partitions + 1] of the partitions in it)."""
    import numpy as np

    parts = (keys % np.uint64(num_partitions)).astype(np.int64)
    counts = np.bincount(parts, minlength=num_partitions)
    return np.argsort(parts, kind="stable"), np.concatenate(([0], np.cumsum(counts)))


def repeats_in_order(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(indices of the keys that came before, in order; index of the first occurrence of each): the exact search."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    equal = np.zeros(len(keys), bool)
    equal[1:] = ranked[1:] == ranked[:-1]
    heads = order[np.maximum.accumulate(np.where(equal, 0, np.arange(len(keys))))]
    later, first = order[equal], heads[equal]
    in_order = np.argsort(later)
    return later[in_order], first[in_order]


def document_counts(keys: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distinct keys, sorted; documents that have each; the first of these) of units, whose rows ascend."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    ranked, places = keys[order], rows[order]
    starts = np.ones(len(keys), bool)
    starts[1:] = ranked[1:] != ranked[:-1]
    other = starts.copy()
    other[1:] |= places[1:] != places[:-1]
    heads = np.flatnonzero(starts)
    counts = np.add.reduceat(other.astype(np.int64), heads) if len(heads) else np.zeros(0, np.int64)
    return ranked[heads], counts, places[heads]


def spans_of(units: np.ndarray, goes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(start, stop) int64 [G, 2] in the buffer of what is cut for the units `goes` (ascending indices), disjoint.

    A unit goes with its line break, a paragraph with the blank lines behind it. Where a text's last units go, the break
    before them goes instead.
    """
    import numpy as np

    from openseek.data.line_kernels import END, ROW, START, STOP

    spans = units[goes][:, [START, END]]
    if not len(goes):
        return spans
    rows = units[goes, ROW]
    follows = np.zeros(len(goes), bool)
    follows[1:] = (goes[1:] == goes[:-1] + 1) & (rows[1:] == rows[:-1])
    run = np.cumsum(~follows) - 1
    first = np.flatnonzero(~follows)
    last = np.append(first[1:], len(goes)) - 1
    at_end = units[goes[last], END] == offsets[rows[last] + 1]
    has_before = (goes[first] > 0) & (units[goes[first] - 1, ROW] == rows[first])
    moved = np.flatnonzero((at_end & has_before)[run])
    spans[moved, 0] = units[goes[moved] - 1, STOP]
    inner = moved[~np.isin(moved, last)]
    spans[inner, 1] = units[goes[inner], STOP]
    return spans
