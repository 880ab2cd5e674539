"""What two texts share: found in long texts too, marked where it is, and nothing that commands a terminal is left."""

import random
import time

import numpy as np
import pytest

from openseek.data import side_by_side
from openseek.data.side_by_side import (
    align,
    common_share,
    locate,
    passage,
    pieces,
    shortened,
    shorter,
    visible,
    words_in,
)

VOCABULARY = [f"word{i}" for i in range(5000)]


def prose(seed: int, words: int) -> list[str]:
    return random.Random(seed).choices(VOCABULARY, k=words)


def shared(left: str, right: str) -> list[str]:
    return [piece.left for piece in pieces(left, right) if piece.equal]


def whole(left: str, right: str) -> None:
    """Both texts are there, but for white space and runs that have no word."""
    found = pieces(left, right)
    assert "".join("".join(p.left for p in found).split()) == "".join(left.split())
    assert "".join("".join(p.right for p in found).split()) == "".join(right.split())


def test_an_inserted_a_deleted_and_a_changed_part_are_told() -> None:
    a, b, c, d = (" ".join(prose(i, 30)) for i in range(4))
    left, right = f"{a} {b} only left {c}", f"{a} and here {b} {d} {c} the end"
    assert [(p.equal, p.left.strip(), p.right.strip()) for p in pieces(left, right)] == [
        (True, a, a),
        (False, "", "and here"),
        (True, b, b),
        (False, "only left", d),
        (True, c, c),
        (False, "", "the end"),
    ]
    whole(left, right)


def test_case_signs_and_han_characters() -> None:
    left, right = "开头。今天的天气很好，我们去公园。", "今天的天气很好,我们去公园！Ende"
    assert shared(left, right) == ["今天的天气很好，我们去公园"]
    assert shared("One, two", "ONE two three") == ["One, two"]


@pytest.mark.parametrize(
    "left, right",
    [("", ""), ("", "a"), ("a", ""), ("...", "!"), ("a", "b"), ("same", "same"), ("x " * 999, "x " * 500)],
)
def test_awkward_texts(left: str, right: str) -> None:
    whole(left, right)
    equal = sum(len(words_in(p.left).hashes) for p in pieces(left, right) if p.equal)
    assert equal == min(len(left.split()), len(right.split())) * (left[:1] == right[:1])


def runs_hold(left: np.ndarray, right: np.ndarray) -> int:
    """Checks that the runs ascend and are equal; their words."""
    at, other, total = 0, 0, 0
    for i, j, size in align(left, right):
        assert size > 0
        assert i >= at
        assert j >= other
        assert (left[i : i + size] == right[j : j + size]).all()
        at, other, total = i + size, j + size, total + size
    return total


@pytest.mark.parametrize("seed", range(30))
def test_runs_ascend_and_are_equal(seed: int) -> None:
    draw = np.random.default_rng(seed)
    left = draw.integers(0, (3, 30, 10_000)[seed % 3], 400).astype(np.uint64)
    keep = draw.random(400) > 0.05
    right = np.concatenate((draw.integers(0, 9, 20).astype(np.uint64), left[keep], left[:50]))
    total = runs_hold(left, right)
    assert total >= (0.8 * keep.sum() if seed % 3 == 2 else 0)


def test_a_broken_chain_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: anchors out of order."""
    words = np.arange(200, dtype=np.uint64)
    moved = np.concatenate((words[10:], words[:10]))
    assert runs_hold(words, moved) == 190
    monkeypatch.setattr(side_by_side, "_ascending", lambda values: np.arange(len(values)))
    assert runs_hold(words, moved) == 10


def test_the_time_grows_with_the_length() -> None:
    words = prose(1, 400_000)
    changed = list(words)
    for place in range(0, len(words), 97):
        changed[place] = "changed"
    left, right = " ".join(words), " ".join(changed)
    pieces("a b c d e f", "a b c d e f")
    start = time.process_time()
    found = pieces(left, right)
    assert time.process_time() - start < 60
    assert common_share(found) > 0.95


def test_a_passage_stands_in_its_context_beside_its_like() -> None:
    copied = "This sentence is copied. 这句话是抄来的。"
    left, right = f"{'a ' * 300}{copied} after", f"begin {copied.upper()}{' z' * 300}"
    start = left.encode().index(copied.encode())
    found = passage(left, start, start + len(copied.encode()), right)
    assert [p.equal for p in found] == [False, True, False]
    assert found[1].left == copied
    assert found[1].right == copied.upper()
    assert found[0].left.startswith("… ")
    assert found[0].right == "begin "
    assert found[2].right.endswith(" …")
    alone = passage(left, start, start + len(copied.encode()), None)
    assert [(p.equal, p.right) for p in alone] == [(False, "")] * 3
    assert passage("a b", 0, 1, "nothing of it")[0].right == ""


def test_a_part_is_located() -> None:
    whole_text = np.array([1, 1, 1, 2, 3, 1, 2], np.uint64)
    assert locate(np.array([1, 2], np.uint64), whole_text) == (2, 4)
    assert locate(np.array([9], np.uint64), whole_text) == (0, 0)
    assert locate(np.zeros(0, np.uint64), whole_text) == (0, 0)
    long = np.arange(100, dtype=np.uint64)
    assert locate(np.concatenate((long[20:50], [np.uint64(999)])), long) == (20, 50)


def test_long_parts_are_shortened_with_a_count() -> None:
    assert shortened("a\n  b", 10) == "a b"
    assert shortened("x" * 60, 30) == "x" * 60
    assert shortened("x" * 1000, 30) == f"{'x' * 20} … 970 characters … {'x' * 10}"
    found = pieces(
        " ".join(f"same{i} a{i} b c d e f{i}" for i in range(9)), " ".join(f"same{i} x b c d e f{i}" for i in range(9))
    )
    shown = shorter(found, 6, 5)
    assert [p.left for p in shown if p.left == p.right and "more parts" in p.left] == [
        f"… {len(found) - 6} more parts …"
    ]
    assert len(shown) == 7
    assert shown[4][1:] == (f"… {len(found) - 6} more parts …",) * 2
    assert len(shorter(found, len(found), 5)) == len(found)


def test_a_terminal_is_not_commanded() -> None:
    assert visible("a\x1b[2J\x07\r\u202eb\x9b\n\tc\x00") == "a\\x1b[2J\\x07\\x0d\\x202eb\\x9b\n\tc\\x00"
    assert visible("日本語 👩‍👩‍👧 é") == "日本語 👩‍👩‍👧 é"
