"""Anchors against the suffix array: every marked byte, in all modes, on texts made to be hard."""

import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from openseek.data import repeated_spans
from openseek.data.anchors import anchors
from openseek.data.repeated_spans import Spans, Texts, suffix_spans
from openseek.data.substring import Substring, symbols

SMALL = Substring(min_bytes=40, min_cut=1, min_remaining=0)


def texts_of(shards: list[list[str]], config: Substring) -> Texts:
    return [symbols(pa.array(shard, pa.large_string()), config) for shard in shards]


def by_anchors(texts: Texts, config: Substring, length: int | None = None) -> Spans:
    """What the task finds; `length` other than the config's is a bug to be caught."""
    parts = [anchors(*text, config.anchor_size, length or config.length) for text in texts]
    ids = [(np.uint64(s) << np.uint64(32)) | rows.astype(np.uint64) for s, (_, rows, _) in enumerate(parts)]
    hashes, positions = (np.concatenate([part[k] for part in parts]) for k in (0, 2))
    return repeated_spans.repeated_spans(texts, hashes, np.concatenate(ids), positions, config)


def hard_texts(rng: random.Random) -> list[str]:
    """Pieces of a few passages, some with two letters only, and runs of one letter."""
    letters = [rng.choice(["ab", "abcdefgh "]) for _ in range(4)]
    passages = ["".join(rng.choices(each, k=rng.randint(40, 200))) for each in letters]
    texts = []
    for _ in range(rng.randint(2, 14)):
        parts = []
        for _ in range(rng.randint(0, 4)):
            passage = rng.choice(passages)
            at = rng.randrange(len(passage))
            parts.append(passage[at : at + rng.randint(1, 120)] + "a" * rng.choice([0] * 9 + [rng.randint(1, 150)]))
        texts.append("".join(parts))
    return texts


def equal(left: Spans, right: Spans) -> bool:
    return all(len(a) == len(b) and bool((a == b).all()) for a, b in zip(left[:3], right[:3], strict=True))


@pytest.mark.parametrize("keep", ["first", "none"])
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("few", [2, 24])
def test_marks_are_those_of_a_suffix_array(keep, within: bool, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_spans, "FEW", few)
    monkeypatch.setattr(repeated_spans, "SMALL_CLASS", few // 6)
    monkeypatch.setattr(repeated_spans, "BATCH_SYMBOLS", 500)
    rng, marked = random.Random(few), 0
    for _ in range(60):
        texts = hard_texts(rng)
        cut = rng.randint(0, len(texts))
        config = replace(SMALL, min_bytes=rng.choice([32, 40, 50]), keep=keep, within_document=within)
        shards = texts_of([texts[:cut], texts[cut:]], config)
        found, expected = by_anchors(shards, config), suffix_spans(shards, config)
        assert equal(found, expected)
        assert within or (found.documents != found.partners).all()
        marked += len(found.documents)
    assert marked > 100


def test_a_wider_window_of_anchors_misses_repeats() -> None:
    """Control: anchors of windows longer than a repeat are not enough."""
    rng, same = random.Random(3), 0
    for _ in range(30):
        shards = texts_of([hard_texts(rng)], SMALL)
        same += equal(by_anchors(shards, SMALL, length=120), suffix_spans(shards, SMALL))
    assert same < 25


def test_marks_are_those_of_the_definition() -> None:
    rng = random.Random(9)
    for _ in range(20):
        texts = hard_texts(rng)
        seen: set[str] = set()
        expected: set[tuple[int, int]] = set()
        for row, text in enumerate(texts):
            windows = [text[i : i + 40] for i in range(len(text) - 39)]
            expected |= {(row, i + j) for i, window in enumerate(windows) if window in seen for j in range(40)}
            seen |= set(windows)
        found = by_anchors(texts_of([texts], SMALL), SMALL)
        spans = zip(found.documents.tolist(), found.starts.tolist(), found.stops.tolist(), strict=True)
        assert {(row, i) for row, start, stop in spans for i in range(start, stop)} == expected


def test_words_are_compared_without_case_and_signs() -> None:
    config = replace(SMALL, unit="words", min_words=8)
    passage = "one two three four five six seven eight nine"
    shards = texts_of(
        [[f"begin {passage} end"], [f"start {passage.upper().replace(' ', ', ')} stop", passage[:30]]], config
    )
    found = by_anchors(shards, config)
    assert equal(found, suffix_spans(shards, config))
    assert (found.documents.tolist(), found.starts.tolist(), found.stops.tolist()) == ([1 << 32], [1], [10])


def test_a_header_of_all_documents_is_found_in_each_in_linear_time() -> None:
    header = "".join(f"{i * i}," for i in range(100))
    texts = [f"{header}{random.Random(i).random()}" for i in range(3000)]
    found = by_anchors(texts_of([texts], SMALL), SMALL)
    assert found.documents.tolist() == list(range(1, 3000))
    assert set(found.starts.tolist()) == {0}
    assert (found.partners == 0).sum() > 2000
    everywhere = by_anchors(texts_of([texts], SMALL), replace(SMALL, keep="none"))
    assert everywhere.documents.tolist() == list(range(3000))


def test_no_texts() -> None:
    for shards in ([], [[]], [["", "short"]]):
        texts = texts_of(shards, SMALL) or texts_of([[]], SMALL)
        assert len(by_anchors(texts, SMALL).documents) == len(suffix_spans(texts, SMALL).documents) == 0


def test_a_large_corpus_is_refused_by_the_suffix_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_spans, "MOST_SUFFIXES", 10)
    with pytest.raises(ValueError, match="11 symbols are too many for engine=suffix_array"):
        suffix_spans(texts_of([["eleven char"]], SMALL), SMALL)
