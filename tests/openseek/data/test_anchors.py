import random

import numpy as np
import pytest

from openseek.data import anchors

SIZE, WINDOW = 32, 33


def joined(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])


def noise(rng: random.Random, size: int) -> bytes:
    return bytes(rng.choices(range(97, 123), k=size))


def spans_of(texts: list[bytes], within: bool = True) -> np.ndarray:
    data, offsets = joined(texts)
    hashes, rows, positions = anchors.anchors(data, offsets, SIZE, WINDOW)
    by_hash = np.argsort(hashes, kind="stable")
    return anchors.repeats(data, offsets, rows, positions, by_hash, hashes, SIZE, SIZE + WINDOW - 1, 16, within)


@pytest.mark.parametrize("length", [64, 65, 300])
def test_every_repeat_of_the_least_length_is_found(length: int) -> None:
    rng = random.Random(length)
    for _ in range(40):
        passage = noise(rng, length)
        first, second = noise(rng, rng.randint(0, 200)), noise(rng, rng.randint(0, 200))
        texts = [first + b"#" + passage + b"#" + noise(rng, 50), noise(rng, 90), second + b"?" + passage + b"?"]
        assert spans_of(texts).tolist() == [[2, len(second) + 1, len(second) + 1 + length, 0]]


def test_shorter_repeats_are_not() -> None:
    rng = random.Random(0)
    passage = noise(rng, 63)
    texts = [noise(rng, 100) + b"#" + passage + b"#" + noise(rng, 100), noise(rng, 80) + b"?" + passage + b"?"]
    assert len(spans_of(texts)) == 0


def test_spans_are_equal_bytes_and_cover_what_brute_force_finds() -> None:
    rng = random.Random(5)
    pool = [noise(rng, rng.randint(40, 200)) for _ in range(12)]
    texts = [b"".join(rng.choice([*pool, noise(rng, 60)]) for _ in range(rng.randint(1, 8))) for _ in range(40)]
    least = SIZE + WINDOW - 1
    expected: set[tuple[int, int]] = set()
    seen: set[bytes] = set()
    for document, text in enumerate(texts):
        here = {text[i : i + least]: i for i in range(len(text) - least + 1)}
        for i in range(len(text) - least + 1):
            if text[i : i + least] in seen:
                expected |= {(document, j) for j in range(i, i + least)}
        seen |= set(here)
    found: set[tuple[int, int]] = set()
    for document, start, stop, partner in spans_of(texts).tolist():
        assert texts[document][start:stop] in texts[partner]
        if partner != document:
            found |= {(document, i) for i in range(start, stop)}
    assert found <= expected
    within = {(d, i) for d, a, b, p in spans_of(texts).tolist() if p == d for i in range(a, b)}
    assert len(found | within) >= 0.98 * len(expected)


def test_runs_of_one_letter_have_few_anchors_and_no_repeat() -> None:
    data, offsets = joined([b"-" * 5000])
    assert len(anchors.anchors(data, offsets, SIZE, WINDOW)[0]) <= 5000 // WINDOW + 2
    assert all(stop - start <= 2600 for _, start, stop, _ in spans_of([b"-" * 5000]).tolist())


def test_texts_at_the_ends_of_the_buffer() -> None:
    rng = random.Random(9)
    text = noise(rng, 100)
    assert spans_of([text, b"", text]).tolist() == [[2, 0, 100, 0]]
    assert len(spans_of([b"", b"x"])) == 0


@pytest.mark.parametrize(
    ("text", "start", "stop", "sentences", "expected"),
    [
        ("one. two three. four", 2, 18, True, "two three. "),
        ("line\nsecond line\nend", 2, 18, True, "second line\n"),
        ("第一句。第二句！第三句", 4, 30, True, "第二句！"),
        ("第一句。第二句", 4, 17, False, "句。第"),
        ("whole text", 0, 10, True, "whole text"),
        ("no edge inside this", 2, 15, True, ""),
    ],
)
def test_snap(text: str, start: int, stop: int, sentences: bool, expected: str) -> None:
    data, offsets = joined([b"before", text.encode(), b"after"])
    spans = np.array([[1, start, stop, 0]])
    anchors.snap(data, offsets, spans, sentences)
    assert text.encode()[spans[0, 1] : spans[0, 2]].decode() == expected
