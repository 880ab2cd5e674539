import random

import datasketch
import numpy as np
import pyarrow as pa
import pytest

from openseek.data import shingles, words

K = 112


def texts(seed: int, count: int = 30) -> list[str]:
    rng = random.Random(seed)
    vocabulary = [f"word{i}" for i in range(400)] + list("数据清洗去重模型训练语料质量")
    return [" ".join(rng.choices(vocabulary, k=rng.randint(0, 300))) for _ in range(count)]


def plain_sets(documents: list[str], ngram: int) -> list[set[tuple[int, ...]]]:
    hashed = [words.hash_words(t).tolist() for t in documents]
    return [{tuple(h[i : i + ngram]) for i in range(len(h) - ngram + 1)} for h in hashed]


def buffers(documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    return words.string_buffers(pa.array(documents, pa.large_string()))


@pytest.mark.parametrize("ngram", [1, 5])
def test_gram_sets_and_jaccard_are_exact(ngram: int) -> None:
    documents = texts(1)
    documents += [d + " added tail" for d in documents[:10]]
    expected = plain_sets(documents, ngram)
    rows, kinds = np.arange(len(documents)), np.zeros(len(documents), np.uint8)
    values, offsets = shingles.gram_sets(*buffers(documents), kinds, ngram, *words.word_table())
    assert np.diff(offsets).tolist() == [len(s) for s in expected]
    left, right = np.repeat(rows, len(rows)), np.tile(rows, len(rows))
    found = shingles.jaccard(values, offsets, left, values, offsets, right, 0.0)
    for a, b, similarity in zip(left, right, found, strict=True):
        union = expected[a] | expected[b]
        assert similarity == (len(expected[a] & expected[b]) / len(union) if union else 0)


def test_signatures_are_datasketch_ones_and_a_broken_kernel_is_not() -> None:
    documents = texts(2)
    a, b = np.asarray(datasketch.MinHash(K, scheme="affine32").permutations)
    kinds = np.zeros(len(documents), np.uint8)
    found, counts = shingles.signatures(*buffers(documents), kinds, 5, a, b, *words.word_table())
    broken, _ = shingles.signatures(*buffers(documents), kinds, 5, a + np.uint32(2), b, *words.word_table())
    differ = 0
    for row, text in enumerate(documents):
        hashes = words.hash_words(text)
        grams = np.empty(len(hashes) + 1, np.uint64)
        total = words.grams_of(hashes, len(hashes), 5, grams)
        sketch = datasketch.MinHash(K, hashfunc=int, scheme="affine32")
        sketch.update_batch(grams[:total].astype(np.uint32))
        assert counts[row] == len(hashes)
        assert (found[row] == sketch.hashvalues).all()
        differ += (broken[row] != sketch.hashvalues).any()
    assert differ > 20


def test_agreement_counts_equal_places() -> None:
    signature = np.arange(24, dtype=np.uint32).reshape(2, 12)
    signature[1, 4:8] = signature[0, 4:8]
    assert shingles.agreement(signature[:1], signature[1:]).tolist() == [4]


def test_a_pair_below_the_least_similarity_is_0_and_no_other() -> None:
    documents = texts(4, 6)
    documents += [" ".join(d.split()[: len(d.split()) * share // 10]) for d in documents[:6] for share in (6, 7, 8, 9)]
    kinds, rows = np.zeros(len(documents), np.uint8), np.arange(len(documents))
    sets = shingles.gram_sets(*buffers(documents), kinds, 5, *words.word_table())
    left, right = np.repeat(rows, len(rows)), np.tile(rows, len(rows))
    every = shingles.jaccard(*sets, left, *sets, right, 0.0)
    assert 0 < (every >= 0.7).sum() < (every > 0).sum()
    for least in (0.3, 0.7, 0.9, 1.0):
        found = shingles.jaccard(*sets, left, *sets, right, least)
        assert (found == np.where(every >= least, every, 0)).all()
