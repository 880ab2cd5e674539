"""Removal of repeated passages beside a suffix array (pydivsufsort): speed, memory, and the marked bytes one by one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.dedup_corpus import Corpus, build, load
from benchmarks.dedup_ours import Done, cut_bytes, done, row_numbers
from benchmarks.dedup_peers import Told, repeated_bytes
from benchmarks.rows import Row, cpu_name

if TYPE_CHECKING:
    import numpy as np

TURNS = 3
MIN_BYTES = 200
CONFIG: dict[str, Any] = {"min_bytes": MIN_BYTES, "min_cut": 1, "min_remaining": 0, "boundary": "character"} | {
    "keep": "none",
    "within_document": True,
}
"""Fields of `Substring` with which every copy of a repeat goes, whole characters at a time."""
PEER = "pydivsufsort, Kasai"


@dataclass(frozen=True)
class Marks:
    """Two sets of marked bytes, counted."""

    both: int
    ours_only: int
    theirs_only: int

    @property
    def equal(self) -> float:
        """Bytes that both mark over bytes that either marks; 1 where nobody marks any."""
        either = self.both + self.ours_only + self.theirs_only
        return self.both / either if either else 1.0


def compare(ours: "np.ndarray", theirs: "np.ndarray") -> Marks:
    """Count the marks, bool over the same bytes."""
    return Marks(int((ours & theirs).sum()), int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))


def whole_characters(marked: "np.ndarray", data: "np.ndarray") -> "np.ndarray":
    """The marks, less the bytes of UTF-8 characters that are marked in part."""
    import numpy as np

    first = (data & 0xC0) != 0x80
    starts = np.flatnonzero(first)
    complete = np.logical_and.reduceat(marked, starts) if len(starts) else marked[:0]
    return complete[np.cumsum(first) - 1]


def passages_found(corpus: Corpus, marked: "np.ndarray", offsets: "np.ndarray") -> float:
    """Share of the recorded passages of which every byte is marked."""
    chosen = [p for p in corpus.passages if p.stop - p.start >= MIN_BYTES]
    hits = sum(bool(marked[offsets[p.target] + p.start : offsets[p.target] + p.stop].all()) for p in chosen)
    return hits / len(chosen) if chosen else 1.0


def rows(turns: int = TURNS) -> list[Row]:
    """Ours and the suffix array on the same documents, in turns; the least CPU seconds and memory of each count."""
    import numpy as np

    folder = build()
    corpus = load(folder)
    encoded = [text.encode() for text in corpus.texts]
    data, lengths = np.frombuffer(b"".join(encoded), np.uint8), [len(text) for text in encoded]
    names, ours, theirs = row_numbers(folder), [], []
    marked = np.zeros(len(data), bool)
    for _ in range(turns):
        with done("dedup_substring", CONFIG, folder) as run:
            ours.append(run)
            marked = cut_bytes(run.out, names, lengths)
        told = repeated_bytes(folder / "corpus.jsonl", MIN_BYTES)
        theirs += [told] if told else []
    case = f"{len(corpus.texts)} documents, {len(data) / 1e6:.1f} MB, repeats of {MIN_BYTES} bytes and more"
    found = _speed(case, len(data) / 1e6, ours, theirs)
    if theirs:
        expected = whole_characters(theirs[-1].result, data)
        found += _marks(case, compare(marked, expected), int(marked.sum()), int(expected.sum()))
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    peer_share = passages_found(corpus, theirs[-1].result, offsets) if theirs else None
    share = passages_found(corpus, marked, offsets)
    return [*found, _row(case, "recorded passages found", share, "share", PEER, peer_share)]


def _row(case: str, metric: str, value: float, unit: str, peer: str = "", peer_value: float | None = None) -> Row:
    names: dict[str, Any] = {"bench": "dedup", "device": cpu_name(), "command": "openseek bench dedup"}
    return Row(**names, case=case, metric=metric, value=value, unit=unit, peer=peer, peer_value=peer_value)


def _speed(case: str, megabytes: float, ours: list[Done], theirs: list[Told]) -> list[Row]:
    """Speed and memory of all steps: ours reads and writes parquet, the peer stops at the marks."""
    speed, memory = max(megabytes / run.seconds for run in ours), min(run.rss_mb for run in ours)
    peer_speed = max((megabytes / told.seconds for told in theirs), default=None)
    peer_memory = min((told.rss_mb for told in theirs), default=None)
    return [
        _row(case, "repeated passages, all steps", speed, "MB per CPU second", PEER, peer_speed),
        _row(case, "repeated passages, peak memory of a process", memory, "MB", PEER, peer_memory),
    ]


def _marks(case: str, marks: Marks, ours: int, theirs: int) -> list[Row]:
    return [
        _row(case, "marked bytes", ours, "bytes", PEER, theirs),
        _row(case, "marked bytes that are equal", marks.equal, "share", PEER),
        _row(case, "marked bytes too many", marks.ours_only, "bytes", PEER),
        _row(case, "marked bytes missing", marks.theirs_only, "bytes", PEER),
    ]
