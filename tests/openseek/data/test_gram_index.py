import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.gram_index import build_index, find_items
from openseek.data.ngrams import Decontaminate
from openseek.data.words import hash_words


def column(*texts: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def plain_overlap(item: str, text: str, ngram: int) -> float:
    """Share of the item's words that lie in an n-gram the text has, by definition."""
    words, held = hash_words(item).tolist(), hash_words(text).tolist()
    ngram = min(ngram, len(words))
    grams = {tuple(held[i : i + ngram]) for i in range(len(held) - ngram + 1)}
    covered = set()
    for i in range(len(words) - ngram + 1):
        if tuple(words[i : i + ngram]) in grams:
            covered |= set(range(i, i + ngram))
    return len(covered) / len(words)


def test_overlaps_are_those_of_the_definition() -> None:
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(30)] + list("题目答案")
    items = [" ".join(rng.choices(vocabulary, k=rng.randint(8, 60))) for _ in range(60)]
    texts = []
    for _ in range(60):
        pieces = rng.choices(items, k=2)
        pieces = [" ".join(w for w in p.split() if rng.random() > 0.05) for p in pieces]
        texts.append(" ".join([*rng.choices(vocabulary, k=20), *pieces]))
    index = build_index(items, Decontaminate())
    hits = find_items(column(*texts), index, 0.0001)
    found = {(r, i): o for r, i, o in zip(hits.rows.tolist(), hits.items.tolist(), hits.overlaps, strict=True)}
    expected = {
        (row, item): plain_overlap(items[item], text, 10)
        for row, text in enumerate(texts)
        for item in range(len(items))
        if plain_overlap(items[item], text, 10)
    }
    assert len(expected) > 60
    assert found == pytest.approx(expected)


QUESTION = "A farmer has 17 sheep and buys 5 more every day for 3 days, how many sheep has the farmer now?"
CHINESE = "小明有三个苹果，小红又给了他五个苹果，请问小明现在一共有几个苹果？"


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (f"Problem 3. {QUESTION} Answer: 32", 0),
        (QUESTION.upper().replace(",", " --"), 0),
        (f"例题：{CHINESE}解：八个。", 1),
        (QUESTION.replace("every day", "each day"), None),
        (QUESTION[:60], None),
        (CHINESE.replace("五", "六"), None),
        ("farmer sheep day days buys", None),
    ],
)
def test_whole_items_are_found_and_near_misses_are_not(text: str, item: int | None) -> None:
    index = build_index([QUESTION, CHINESE], Decontaminate())
    hits = find_items(column("clean text before", text), index, 0.97)
    assert hits.items.tolist() == ([] if item is None else [item])
    assert hits.rows.tolist() == [1] * len(hits.items)


def test_edits_cost_their_words_only() -> None:
    edited = QUESTION.replace("sheep has the", "goats has the")
    index = build_index([QUESTION], Decontaminate())
    (overlap,) = find_items(column(edited), index, 0.5).overlaps.tolist()
    assert overlap == pytest.approx(plain_overlap(QUESTION, edited, 10))
    assert overlap < 1


def test_items_shorter_than_an_ngram_match_as_a_whole() -> None:
    item = "Who wrote the novel War and Peace"
    index = build_index([item + "?", item + " today"], Decontaminate(min_words=7))
    hits = find_items(column(f"He asked: {item.lower()}, and left", "Who wrote the novel War and Pieces"), index, 0.8)
    assert (hits.rows.tolist(), hits.items.tolist()) == ([0], [0])


def test_trivial_items_are_found_only_as_whole_documents() -> None:
    index = build_index(["3+4=?", "81", "", "?"], Decontaminate())
    texts = ["compute 3+4=? please", "3-4=?", " 3+4=?\n", "on page 81", "", "81"]
    hits = find_items(column(*texts), index, 0.8)
    assert list(zip(hits.rows.tolist(), hits.items.tolist(), strict=True)) == [(2, 0), (5, 1)]


def test_shared_ngrams_name_every_owner() -> None:
    index = build_index(
        [QUESTION, QUESTION + " Explain.", "other words that nobody has used in any text at all"], Decontaminate()
    )
    hits = find_items(column(QUESTION), index, 0.8)
    assert hits.items.tolist() == [0, 1]
    assert hits.overlaps[0] == 1
    assert hits.overlaps[1] < 1


def test_spans_are_bytes_of_the_text() -> None:
    text = f"é前 {QUESTION} after"
    hits = find_items(column("x", text), build_index([QUESTION], Decontaminate()), 0.8)
    assert text.encode()[hits.starts[0] : hits.stops[0]].decode().strip() == QUESTION


def test_index_file_round_trip(tmp_path: Path) -> None:
    index = build_index([QUESTION, "81"], Decontaminate())
    index.write(tmp_path / "index.npy")
    read = type(index).read(tmp_path / "index.npy")
    for name in vars(index):
        assert np.array_equal(getattr(read, name), getattr(index, name)), name
    assert find_items(column(QUESTION), read, 0.8).items.tolist() == [0]


def test_nothing_to_look_for() -> None:
    index = build_index([], Decontaminate())
    assert len(find_items(column("a text of ten words or more than that in fact"), index, 0.8).rows) == 0
    assert len(find_items(column(), build_index([QUESTION], Decontaminate()), 0.8).rows) == 0
