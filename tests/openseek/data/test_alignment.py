"""Alignment: equal to the longest common subsequence where changes are few; chains keep the order."""

import random

import numpy as np
import pytest

from openseek.data import alignment as a


def common_subsequence(left: list[int], right: list[int]) -> int:
    """Length of the longest common subsequence, by definition."""
    row = [0] * (len(right) + 1)
    for x in left:
        diagonal = 0
        for j, y in enumerate(right):
            row[j + 1], diagonal = diagonal + 1 if x == y else max(row[j + 1], row[j]), row[j + 1]
    return row[-1]


def extended(item: list[int], text: list[int]) -> int:
    arrays = np.array(item, np.uint64), np.ones(len(item), np.int32)
    return a.extend(*arrays, 0, len(item), np.array(text, np.uint64), 0, len(text), 1)[2]


def changed(rng: random.Random, words: list[int], changes: int) -> list[int]:
    """Words with some single words exchanged, left out or added, at least six words apart."""
    words = list(words)
    for place in sorted(rng.sample(range(1, len(words) // 6), changes), reverse=True):
        at = place * 6
        kind = rng.randrange(3)
        words[at : at + (kind < 2)] = [rng.randrange(1000, 2000)] if kind else []
    return words


@pytest.mark.parametrize("seed", range(4))
def test_alignment_is_the_longest_common_subsequence(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        item = [rng.randrange(1000) for _ in range(80)]
        text = changed(rng, item, 4)
        assert extended(item, text) == common_subsequence(item, text)


def test_alignment_to_the_left_is_that_of_the_reversed_words() -> None:
    rng = random.Random(9)
    item = [rng.randrange(100) for _ in range(60)]
    text = changed(rng, item, 4)
    words, weights = np.array(item, np.uint64), np.arange(60, dtype=np.int32)
    backwards = np.array(text, np.uint64)
    left = a.extend(words, weights, 59, -1, backwards, len(text) - 1, -1, -1)
    right = a.extend(words[::-1].copy(), weights[::-1].copy(), 0, 60, backwards[::-1].copy(), 0, len(text), 1)
    assert left[2:] == right[2:]


def test_alignment_ends_where_the_texts_part() -> None:
    assert extended([1, 2, 3, 4, 5, 6], [1, 2, 3, *range(100, 140)]) == 3
    assert extended([1, 2, 3], []) == 0


def pieces(*rows: tuple[int, int, int, int, int, int]) -> np.ndarray:
    """(row, item, item start, item stop, text start, text stop), every word matched."""
    full = [(*r, r[3] - r[2], 10 * (r[3] - r[2]), r[4] * 100, r[5] * 100) for r in rows]
    return np.array(full, np.int64).reshape(-1, a.PIECE)


def chained(given: np.ndarray, words: int = 40) -> np.ndarray:
    chains = np.empty_like(given)
    return chains[: a.best_chains(given, np.full(9, words), chains)]


def test_pieces_in_the_same_order_are_one_chain() -> None:
    (chain,) = chained(pieces((0, 3, 0, 10, 5, 15), (0, 3, 20, 30, 40, 50)))
    assert chain.tolist() == [0, 3, 0, 30, 5, 50, 20, 200, 500, 5000]


@pytest.mark.parametrize("second", [(0, 3, 0, 10, 40, 50), (0, 3, 20, 30, 500, 510)])
def test_pieces_out_of_order_or_far_apart_are_not(second: tuple[int, ...]) -> None:
    first = (0, 3, 20, 32, 5, 17)
    assert chained(pieces(first, second))[0, a.MATCHED] == 12  # pyright: ignore[reportArgumentType]


def test_words_that_two_pieces_claim_count_once() -> None:
    assert chained(pieces((0, 3, 0, 12, 5, 17), (0, 3, 8, 20, 30, 42)))[0, a.MATCHED] == 20


def test_each_row_and_item_has_its_chain() -> None:
    found = chained(pieces((0, 1, 0, 9, 0, 9), (0, 2, 0, 8, 0, 8), (4, 2, 0, 7, 0, 7)))
    assert found[:, [a.ROW, a.ITEM, a.MATCHED]].tolist() == [[0, 1, 9], [0, 2, 8], [4, 2, 7]]
