"""The peers' scripts and the readers of our own artifacts, on texts small enough to check by brute force."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.dedup_corpus import Corpus, Passage, write
from benchmarks.dedup_ours import cut_bytes, partners, row_numbers
from benchmarks.dedup_peers import MINHASH, clusters, repeated_bytes, write_part
from benchmarks.dedup_substring import Marks, compare, passages_found, whole_characters
from benchmarks.peers import PYTHON
from openseek.data.minhash import MinHash
from openseek.data.substring import Substring
from tasks.__main__ import find
from tasks.where import Where

MIN_BYTES = 24
with_peers = pytest.mark.skipif(not PYTHON.exists(), reason="the peers are not installed: `make peers`")


def sentence(seed: int, count: int = 60) -> str:
    """Words that another seed hardly gives again."""
    generator = random.Random(seed)
    return " ".join(f"{generator.choice('bdfgklmnprst')}{generator.randrange(10**5)}" for _ in range(count))


def brute_force(texts: list[str], least: int) -> np.ndarray:
    """Every byte of a passage of `least` bytes that stands twice."""
    data = [text.encode() for text in texts]
    places: dict[bytes, list[tuple[int, int]]] = {}
    for row, text in enumerate(data):
        for start in range(len(text) - least + 1):
            places.setdefault(text[start : start + least], []).append((row, start))
    marks = [np.zeros(len(text), bool) for text in data]
    for found in places.values():
        for row, start in found if len(found) > 1 else ():
            marks[row][start : start + least] = True
    return np.concatenate(marks)


@with_peers
def test_the_suffix_array_marks_what_brute_force_marks(tmp_path: Path) -> None:
    """Texts of few letters, with a repeat at an end, one over a border, one within a text, and an empty text."""
    generator = random.Random(1)

    def some(count: int) -> str:
        return "".join(generator.choice("ab字") for _ in range(count))

    first = some(40)
    texts = [some(30) + first + some(10), some(5) + first, first[:20], first[20:], some(50), first * 2, "", "a", first]
    told = repeated_bytes(write_part(tmp_path / "texts.jsonl", texts), MIN_BYTES)
    assert told is not None
    expected = brute_force(texts, MIN_BYTES)
    assert (told.result == expected).all()
    assert not expected.all()
    # The control: where longer repeats are asked for, the marks differ.
    assert (brute_force(texts, 2 * MIN_BYTES) != expected).any()


@with_peers
@pytest.mark.parametrize("name", MINHASH)
def test_every_peer_finds_the_copy_and_nothing_else(name: str, tmp_path: Path) -> None:
    texts = [sentence(1), sentence(2), sentence(1), sentence(3), sentence(2) + " end"]
    told = clusters(name, write_part(tmp_path / "texts.jsonl", texts))
    assert told is not None
    labels = told.result.tolist()
    assert labels[0] == labels[2]
    assert labels[1] == labels[4]
    assert len(set(labels)) == 3
    assert told.seconds > 0
    assert told.rss_mb > 10


def small_corpus(folder: Path) -> tuple[Corpus, dict[str, int]]:
    """Five documents in 16 shards: a near copy, and a passage in a strange document."""
    passage = sentence(9, 80)
    texts = [sentence(1), sentence(2), f"{sentence(1)} end", f"{sentence(4)}\n{passage}\n{sentence(5)}", passage]
    corpus = Corpus(texts, ["prose_en"] * 5, [0, 1, 0, 3, 4])
    write(corpus, folder, {})
    return corpus, row_numbers(folder)


def test_partners_are_read_from_what_a_task_dropped(root: Where, tmp_path: Path) -> None:
    _, rows = small_corpus(tmp_path)
    out = find("dedup_minhash")(tmp_path / "documents", config=MinHash())
    assert partners(out, rows) == {2: 0}


def test_cut_bytes_are_read_from_what_a_task_cut(root: Where, tmp_path: Path) -> None:
    corpus, rows = small_corpus(tmp_path)
    config: Any = Substring(min_bytes=200, boundary="character")
    encoded = [text.encode() for text in corpus.texts]
    marked = cut_bytes(
        find("dedup_substring")(tmp_path / "documents", config=config), rows, [len(text) for text in encoded]
    )
    expected = brute_force(corpus.texts, 200)
    assert marked.any()
    assert compare(marked, expected).ours_only == 0, "the first occurrence stays, nothing else is cut"


def test_marks_are_compared_byte_by_byte() -> None:
    ours, theirs = np.array([1, 1, 0, 0, 1], bool), np.array([0, 1, 1, 0, 1], bool)
    assert compare(ours, theirs) == Marks(both=2, ours_only=1, theirs_only=1)
    assert compare(ours, theirs).equal == 0.5
    assert compare(ours, ours).equal == 1.0


def test_marks_of_parts_of_characters_go() -> None:
    data = np.frombuffer("a字b字".encode(), np.uint8)
    marked = np.array([1, 1, 1, 0, 1, 1, 1, 1], bool)
    assert whole_characters(marked, data).tolist() == [True, False, False, False, True, True, True, True]


def test_a_passage_counts_as_found_when_every_byte_is_marked() -> None:
    corpus = Corpus(["x" * 500, "y" * 300], ["code", "code"], [0, 1], passages=[Passage(1, 50, 260, 0, 0)])
    marked = np.zeros(800, bool)
    marked[550:760] = True
    offsets = np.array([0, 500, 800])
    assert passages_found(corpus, marked, offsets) == 1.0
    marked[600] = False
    assert passages_found(corpus, marked, offsets) == 0.0
