"""Near-duplicate removal beside datatrove, datasketch, rensa and gaoya: speed, memory, recall and precision."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import dedup_peers
from benchmarks.dedup_corpus import Corpus, build, load
from benchmarks.dedup_lexed import LEXED
from benchmarks.dedup_ours import Done, done, partners, row_numbers
from benchmarks.dedup_peers import Told, write_part
from benchmarks.dedup_quality import (
    ALL,
    BINS,
    Quality,
    Removal,
    by_label,
    by_partner,
    joined_above,
    judged,
    measure,
    recall_above,
)
from benchmarks.rows import Row, cpu_name

TURNS = 3
QUICK_PEERS = ("gaoya", "rensa", "datasketch")
PART = 8
"""datatrove, which takes minutes, sees every so manieth document, with its copies."""
CONFIG: dict[str, Any] = {}
"""Fields of `MinHash` that differ from the default."""


def rows(turns: int = TURNS, part: int = PART) -> list[Row]:
    """All peers and ours on the same documents, in turns; the least CPU seconds and memory of each count."""
    folder = build()
    corpus = load(folder)
    every = list(range(len(corpus.texts)))
    few = corpus.part(part)
    part_file = write_part(folder / "part.jsonl", (corpus.texts[row] for row in few))
    names = row_numbers(folder)
    ours: list[Done] = []
    theirs: dict[str, list[Told]] = {}
    removal = Removal({}, {})
    for _ in range(turns):
        with done("dedup_minhash", CONFIG, folder) as run:
            ours.append(run)
            removal = by_partner(partners(run.out, names), every)
        for name in QUICK_PEERS:
            told = dedup_peers.clusters(name, folder / "corpus.jsonl")
            theirs.setdefault(name, []).extend([told] if told else [])
    slow = dedup_peers.clusters("datatrove", part_file)
    theirs["datatrove"] = [slow] if slow else []
    case = f"{len(every)} documents, {corpus.megabytes():.1f} MB"
    small = f"{len(few)} documents, {corpus.megabytes(few):.1f} MB"
    found = [quality_rows(case, "words", measure(corpus, removal))]
    quality = measure(judged(corpus, LEXED), removal, LEXED)
    found.append(quality_rows(case, "the lexer's tokens", quality, (ALL, *LEXED)))
    for name, told in theirs.items():
        seen, where = (few, f"{case}; datatrove: {small} of them") if name == "datatrove" else (every, case)
        found.append(_speed(name, where, corpus, seen, ours, told))
        if told:
            peer_quality = measure(corpus, by_label(told[-1].result.tolist(), seen))
            our_quality = measure(corpus, restricted(removal, seen))
            found.append(_compared(name, small if name == "datatrove" else case, our_quality, peer_quality))
    found.append(_chinese(corpus, removal, folder / "part.jsonl"))
    return [row for group in found for row in group]


def _chinese(corpus: Corpus, removal: Removal, path: Path) -> list[Row]:
    """datatrove told that the documents are Chinese, on the Chinese ones of half of the corpus."""
    seen = [row for row in corpus.part(2) if corpus.kinds[row] == "prose_zh"]
    told = dedup_peers.clusters("datatrove", write_part(path, (corpus.texts[row] for row in seen)), "cmn_Hani")
    if told is None:
        return []
    theirs, ours = measure(corpus, by_label(told.result.tolist(), seen)), measure(corpus, restricted(removal, seen))
    case = f"{len(seen)} Chinese documents, {corpus.megabytes(seen):.1f} MB"
    return [row for row in _compared("datatrove, jieba", case, ours, theirs) if "prose_zh" in row.metric]


def restricted(removal: Removal, rows: list[int]) -> Removal:
    """The removal as it concerns these rows alone."""
    labels = {row: removal.labels[row] for row in rows}
    return Removal(labels, {row: removal.partners[row] for row in rows if row in removal.partners})


def _row(case: str, metric: str, value: float, unit: str, peer: str = "", peer_value: float | None = None) -> Row:
    names: dict[str, Any] = {"bench": "dedup", "device": cpu_name(), "command": "openseek bench dedup"}
    return Row(**names, case=case, metric=metric, value=value, unit=unit, peer=peer, peer_value=peer_value)


def _speed(name: str, case: str, corpus: Corpus, seen: list[int], ours: list[Done], theirs: list[Told]) -> list[Row]:
    """Speed and memory of all steps beside one peer's."""
    megabytes, part = corpus.megabytes(), corpus.megabytes(seen)
    speed = max(megabytes / run.seconds for run in ours)
    peer_speed = max((part / told.seconds for told in theirs), default=None)
    memory, peer_memory = min(run.rss_mb for run in ours), min((told.rss_mb for told in theirs), default=None)
    return [
        _row(case, "near duplicates, all steps", speed, "MB per CPU second", name, peer_speed),
        _row(case, "near duplicates, peak memory of a process", memory, "MB", name, peer_memory),
    ]


def quality_rows(case: str, by: str, quality: Quality, kinds: Sequence[str] = ()) -> list[Row]:
    """What ours reaches on the whole corpus by one definition of similarity, kind by kind and bin by bin."""
    found = []
    for kind in kinds or _kinds(quality):
        above = recall_above(quality, kind)
        shares = [("from .7", above), *((name, quality.recall[kind, name]) for _, name in BINS)]
        for name, share in shares:
            metric = f"recall, {kind}, by {by}, Jaccard {name} ({share.total} pairs)"
            found.append(_row(case, metric, share.value, "share"))
        removed = quality.precision[kind]
        found.append(_row(case, f"precision, {kind}, by {by} ({removed.total} removed)", removed.value, "share"))
    return [*found, _row(case, "largest cluster", quality.largest, "documents")] if not kinds else found


def _compared(name: str, case: str, ours: Quality, theirs: Quality) -> list[Row]:
    """Recall and precision beside one peer's on the same documents, both by words: no peer has a lexer."""
    found = []
    for kind in _kinds(ours):
        what = f"{kind}, by words"
        values: list[tuple[str, Callable[[Quality], float]]] = [
            (f"recall, {what}, Jaccard from .7", lambda q, kind=kind: recall_above(q, kind).value),
            (f"pairs in one cluster, {what}, Jaccard from .7", lambda q, kind=kind: joined_above(q, kind).value),
            (f"precision, {what}", lambda q, kind=kind: q.precision[kind].value),
        ]
        if kind == ALL:
            values += [
                (f"recall, {what}, Jaccard {part}", lambda q, part=part: q.recall[ALL, part].value) for _, part in BINS
            ]
        found += [_row(case, metric, value(ours), "share", name, value(theirs)) for metric, value in values]
    return [*found, _row(case, "largest cluster", ours.largest, "documents", name, theirs.largest)]


def _kinds(quality: Quality) -> list[str]:
    return sorted({kind for kind, _ in quality.recall}, key=lambda kind: (kind != ALL, kind))
