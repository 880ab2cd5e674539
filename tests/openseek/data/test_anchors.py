import random

import numpy as np
import pytest

from openseek.data import anchors
from openseek.data.words import hash_words, word_table

SIZE, LENGTH = 16, 64


def joined(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(texts) or b"\0", np.uint8), np.cumsum([0, *map(len, texts)])


def noise(rng: random.Random, size: int, letters: int = 26) -> bytes:
    return bytes(rng.choices(range(97, 97 + letters), k=size))


@pytest.mark.parametrize("letters", [1, 2, 26])
def test_every_window_has_an_anchor_and_equal_windows_the_same(letters: int) -> None:
    rng = random.Random(letters)
    texts = [noise(rng, rng.choice([0, 10, 63, 64, 300]), letters) for _ in range(30)]
    texts += [texts[-1][30:] + noise(rng, 40), b"#" + texts[-1]]
    hashes, rows, positions = anchors.anchors(*joined(texts), SIZE, LENGTH)
    by_row = [
        dict(zip(positions[rows == r].tolist(), hashes[rows == r].tolist(), strict=True)) for r in range(len(texts))
    ]
    chosen: dict[bytes, tuple[int, int]] = {}
    for row, text in enumerate(texts):
        for start in range(len(text) - LENGTH + 1):
            inside = [(value, at - start) for at, value in by_row[row].items() if start <= at <= start + LENGTH - SIZE]
            assert inside
            assert chosen.setdefault(text[start : start + LENGTH], min(inside)) == min(inside)


def test_anchors_are_few_and_linear_in_any_text() -> None:
    data, offsets = joined([noise(random.Random(1), 100_000)])
    assert len(anchors.anchors(data, offsets, 200, 800)[0]) < 100_000 * 2.4 / 600
    hashes, _, positions = anchors.anchors(*joined([b"-" * 5000]), SIZE, LENGTH)
    assert len(set(hashes.tolist())) == 1
    assert positions.tolist() == list(range(5000 - LENGTH + 1))


def test_texts_below_the_least_length_have_none() -> None:
    assert len(anchors.anchors(*joined([b"", b"x" * 63]), SIZE, LENGTH)[0]) == 0


def test_words_as_symbols() -> None:
    texts = ["Two words", "", "两 words,", "!?"]
    encoded = [t.encode() for t in texts]
    symbols, ends, starts = anchors.word_symbols(*joined(encoded), *word_table())
    assert ends.tolist() == [0, 2, 2, 4, 4]
    assert starts.tolist() == [0, 4, 0, 4]
    assert symbols[1] == symbols[3] != symbols[0]
    assert len(set(hash_words("Two words 两").tolist())) == len(set(symbols.tolist())) == 3


def test_joined_spans_name_the_longest() -> None:
    spans = np.array([[0, 0, 5], [0, 5, 20], [0, 7, 9], [0, 21, 22], [1, 0, 3]])
    assert anchors.joined_spans(spans).tolist() == [[0, 0, 20, 1], [0, 21, 22, 3], [1, 0, 3, 4]]


def test_cutting_leaves_the_rest() -> None:
    data, offsets = joined([b"skipped", b"0123456789", b"", b"abcdef", b"end"])
    spans = np.array([[0, 2, 5, 9], [0, 7, 10, 9], [2, 0, 6, 9]])
    rest, bounds = anchors.cut_spans(data, offsets[1:], spans)
    left = [bytes(rest[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    assert left == [b"0156", b"", b"", b"end"]


@pytest.mark.parametrize(
    ("boundary", "expected"), [(0, "Two. Three!\nfour。"), (1, "Two. Three!\n"), (2, "ne.\nTwo. Three!\nfour。五")]
)
def test_cuts_shrink_to_boundaries(boundary: int, expected: str) -> None:
    text = "One.\nTwo. Three!\nfour。五六"
    data, offsets = joined([text.encode()])
    spans = np.array([[0, 1, len(text.encode()) - 2, 0]])
    anchors.snap(data, offsets, spans, boundary)
    assert text.encode()[spans[0, 1] : spans[0, 2]].decode() == expected
