"""Quality as a logistic regression over hashed n-grams, trained and applied by compiled kernels on Arrow buffers.

Features are word 1-2-grams (as in DCLM's filter, Li et al., 2024), in Chinese 1-3-grams of characters, which need no
segmenter; each falls into one of 2^bits weights (Weinberger et al., 2009). A document of n features has the logit
bias + sum(weights) / sqrt(n), so that length alone decides nothing. Training is AdaGrad, one document at a time in a
seeded order: the same documents give the same weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from openseek.data.scorers import Classify
from openseek.data.words import longest, mix, string_buffers, word_table, words_of

CHINESE_SIZE, OTHER_SIZE = 3, 2


@njit(nogil=True, cache=True)
def _features(hashes, count, size, mask, features):
    """Bucket of every n-gram of 1 to `size` words; returns their number."""
    found = 0
    for i in range(count):
        gram = np.uint64(0)
        for n in range(min(size, count - i)):
            gram = mix(gram * np.uint64(0x9E3779B97F4A7C15) + hashes[i + n] + np.uint64(n + 1))
            features[found] = np.int64(gram & mask)
            found += 1
    return found


@njit(nogil=True, cache=True)
def _learn(buffer, offsets, sizes, labels, importance, order, max_words, rate, classes, folded, weights):
    """AdaGrad over the documents in `order`; the last item of `weights` is the bias."""
    space = longest(offsets) + 2
    hashes, starts = np.empty(space, np.uint64), np.empty(space, np.int64)
    features = np.empty(max_words * 3, np.int64)
    squares = np.full(weights.shape[0], 1e-6, np.float32)
    bias, mask = weights.shape[0] - 1, np.uint64(weights.shape[0] - 2)
    for d in order:
        count = min(words_of(buffer, offsets[d], offsets[d + 1], classes, folded, hashes, starts), max_words)
        found = _features(hashes, count, sizes[d], mask, features)
        scale = 1.0 / np.sqrt(max(found, 1))
        logit = float(weights[bias])
        for k in range(found):
            logit += weights[features[k]] * scale
        error = (1.0 / (1.0 + np.exp(-logit)) - labels[d]) * importance[d]
        step = np.float32(error * scale)
        for k in range(found):
            j = features[k]
            squares[j] += step * step
            weights[j] -= np.float32(rate) * step / np.sqrt(squares[j])
        squares[bias] += np.float32(error * error)
        weights[bias] -= np.float32(rate * error) / np.sqrt(squares[bias])


@njit(nogil=True, cache=True)
def _score(buffer, offsets, sizes, max_words, classes, folded, weights, scores):
    space = longest(offsets) + 2
    hashes, starts = np.empty(space, np.uint64), np.empty(space, np.int64)
    features = np.empty(max_words * 3, np.int64)
    bias, mask = weights.shape[0] - 1, np.uint64(weights.shape[0] - 2)
    for d in range(scores.shape[0]):
        count = min(words_of(buffer, offsets[d], offsets[d + 1], classes, folded, hashes, starts), max_words)
        found = _features(hashes, count, sizes[d], mask, features)
        logit = 0.0
        for k in range(found):
            logit += weights[features[k]]
        scores[d] = 1.0 / (1.0 + np.exp(-(logit / np.sqrt(max(found, 1)) + weights[bias])))


def _sizes(script: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Longest n-gram of each document, by its script."""
    chinese = pc.is_in(script, value_set=pa.array(["Hans", "Hant", "Hani", "Jpan"]))  # type: ignore[attr-defined]
    return np.where(np.asarray(chinese), CHINESE_SIZE, OTHER_SIZE)


def train(documents: pa.Table, labels: np.ndarray, config: Classify) -> np.ndarray:
    """Weights float32 [2^bits + 1] from documents (columns text, script, lang) and their labels (bool [rows]).

    Each pair of language and label weighs the same in sum, so that no language stands for quality.
    """
    buffer, offsets = string_buffers(documents["text"])
    cells = [f"{lang}/{label}" for lang, label in zip(documents["lang"].to_pylist(), labels, strict=True)]
    _, cell, size = np.unique(cells, return_inverse=True, return_counts=True)
    importance = len(cells) / (len(size) * size[cell])
    generator = np.random.default_rng(config.seed)
    order = np.concatenate([generator.permutation(len(cells)) for _ in range(config.epochs)])
    weights = np.zeros((1 << config.bits) + 1, np.float32)
    _learn(
        buffer,
        offsets,
        _sizes(documents["script"]),
        labels.astype(np.float64),
        importance.clip(0.1, 10.0),
        order,
        config.max_words,
        config.learning_rate,
        *word_table(),
        weights,
    )
    return weights


def score(documents: pa.Table, weights: np.ndarray, max_words: int) -> np.ndarray:
    """Probability of quality of each document, float32 [rows]."""
    buffer, offsets = string_buffers(documents["text"])
    scores = np.zeros(documents.num_rows, np.float32)
    _score(buffer, offsets, _sizes(documents["script"]), max_words, *word_table(), weights, scores)
    return scores


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a positive document scores above a negative one, ties counting half (Mann-Whitney)."""
    positive, negative = int(labels.sum()), int((~labels).sum())
    if not positive or not negative:
        raise ValueError(f"{positive} positive and {negative} negative documents: an AUC needs both")
    _, group, size = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[group]
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def save(path: Path, weights: np.ndarray, config: Classify) -> None:
    """Write a model as npz without pickles; equal models are equal bytes."""
    with open(path, "wb") as file:
        np.savez(file, weights=weights, max_words=np.int64(config.max_words))


def load(path: Path) -> tuple[np.ndarray, int]:
    """(weights, max_words) of a saved model."""
    with np.load(path, allow_pickle=False) as model:
        return model["weights"], int(model["max_words"])
