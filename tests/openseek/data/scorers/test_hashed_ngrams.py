"""The quality model learns what is there to learn, nothing from shuffled labels, and the same each time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from openseek.data.scorers import Classify, hashed_ngrams

CONFIG = Classify(bits=14)


def corpus(documents, count: int = 600, lang: str = "en") -> tuple[pa.Table, np.ndarray]:
    """Documents of 60 words, of which the good ones take a fifth from a small vocabulary of their own."""
    generator = np.random.default_rng(3)
    labels = generator.random(count) < 0.5
    if lang == "en":
        common, good, join = [f"w{i}" for i in range(500)], [f"good{i}" for i in range(40)], " "
    else:
        common, good, join = [chr(0x4E00 + i) for i in range(500)], ["教育", "学习", "科学"], ""
    texts = [
        join.join(generator.choice(good if label and i % 5 == 0 else common) for i in range(60)) for label in labels
    ]
    return pa.Table.from_batches([documents(texts, lang=lang, script="Hans" if lang == "zh" else "Latn")]), labels


def auc(table: pa.Table, labels: np.ndarray, config: Classify = CONFIG) -> float:
    half = len(labels) // 2
    weights = hashed_ngrams.train(table.slice(0, half), labels[:half], config)
    return hashed_ngrams.area_under_curve(hashed_ngrams.score(table.slice(half), weights, 1000), labels[half:])


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_model_tells_held_out_documents_and_shuffled_labels_teach_nothing(documents, lang: str) -> None:
    table, labels = corpus(documents, lang=lang)
    assert auc(table, labels) > 0.95
    shuffled = np.random.default_rng(0).permutation(labels)
    assert 0.38 < auc(table, shuffled) < 0.62


def test_equal_documents_give_equal_weights_and_another_seed_others(documents) -> None:
    table, labels = corpus(documents, 100)
    first, second = (hashed_ngrams.train(table, labels, CONFIG) for _ in range(2))
    assert (first == second).all()
    assert (first != hashed_ngrams.train(table, labels, Classify(bits=14, seed=1))).any()


def test_a_language_is_no_sign_of_quality(documents) -> None:
    """Nine in ten English documents are good, one in ten Chinese ones; the texts say nothing, nor may scores."""
    generator = np.random.default_rng(0)
    english = documents([" ".join(generator.choice(["a", "b", "c"], 40)) for _ in range(200)])
    chinese = documents(
        ["".join(generator.choice(["甲", "乙", "丙"], 40)) for _ in range(200)], lang="zh", script="Hans"
    )
    labels = np.concatenate([np.arange(200) % 10 > 0, np.arange(200) % 10 == 0])
    table = pa.Table.from_batches([english, chinese])
    scores = hashed_ngrams.score(table, hashed_ngrams.train(table, labels, CONFIG), 1000)
    assert abs(scores[:200].mean() - scores[200:].mean()) < 0.2


def test_a_score_looks_at_the_first_words_only_and_empty_text_has_one(documents) -> None:
    table, labels = corpus(documents, 100)
    weights = hashed_ngrams.train(table, labels, CONFIG)
    text = table["text"][0].as_py()
    longer = pa.Table.from_batches([documents([text, text + " good1 good2", ""])])
    scores = hashed_ngrams.score(longer, weights, 60)
    assert scores[0] == scores[1]
    assert 0 < scores[2] < 1
    assert scores.dtype == np.float32


def test_a_saved_model_is_the_same_bytes_and_scores_alike(tmp_path: Path, documents) -> None:
    table, labels = corpus(documents, 100)
    weights = hashed_ngrams.train(table, labels, CONFIG)
    for name in ("a.npz", "b.npz"):
        hashed_ngrams.save(tmp_path / name, weights, CONFIG)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded, max_words = hashed_ngrams.load(tmp_path / "a.npz")
    assert (loaded == weights).all()
    assert max_words == CONFIG.max_words


@pytest.mark.parametrize(
    ("scores", "labels", "area"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([1, 1, 1], [0, 1, 1], 0.5),
        ([1, 3, 2, 4], [0, 0, 1, 1], 0.75),
    ],
)
def test_area_under_curve_by_hand(scores: list[float], labels: list[int], area: float) -> None:
    assert hashed_ngrams.area_under_curve(np.array(scores), np.array(labels, bool)) == area


def test_area_needs_both_sides() -> None:
    with pytest.raises(ValueError, match="2 positive and 0 negative"):
        hashed_ngrams.area_under_curve(np.array([1.0, 2.0]), np.array([True, True]))
