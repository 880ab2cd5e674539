import random
from typing import Any

import datasketch
import numpy as np
import pyarrow as pa
import pytest

from openseek.data.minhash import MinHash, candidates, sign, sign_by_datasketch
from openseek.data.shingles import band_keys


def column(texts: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def corpus(seed: int, count: int = 60) -> list[str]:
    """Originals, each followed by a copy with some share of its words changed."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = rng.choices([f"w{i}" for i in range(2000)] + list("学习的语言模型数据"), k=rng.randint(20, 200))
        rate = rng.choice([0.0, 0.01, 0.02, 0.04, 0.1, 0.5])
        texts += [" ".join(words), " ".join(rng.choice(["x", "y", w]) if rng.random() < rate else w for w in words)]
    return texts


def pairs_of(texts: list[str], config: MinHash) -> set[tuple[int, int]]:
    signatures, words = sign(column(texts), config)
    keys = band_keys(signatures, config.rows_per_band)
    found = candidates([[k] for k in keys], [signatures], words, np.arange(len(texts)), config)
    return set(zip(found.left.tolist(), found.right.tolist(), strict=True))


def test_both_engines_give_the_same_signatures() -> None:
    texts = [*corpus(1, 10), "", "too short"]
    compiled, library = (sign(column(texts), MinHash(engine=engine)) for engine in ("numba", "datasketch"))
    assert (compiled[0] == library[0]).all()
    assert (compiled[1] == library[1]).all()
    other_seed, _ = sign(column(texts), MinHash(seed=2))
    assert (other_seed[:20] != compiled[0][:20]).any(axis=1).all()


def test_candidates_are_those_of_a_datasketch_index() -> None:
    """The library's LSH over the same signatures proposes the same pairs, before signatures are compared."""
    config, texts = MinHash(threshold=0.7), corpus(2)
    signatures, words = sign_by_datasketch(column(texts), config, len(texts))
    index = datasketch.MinHashLSH(num_perm=config.num_hashes, params=(config.num_bands, config.rows_per_band))
    expected = set()
    for row, signature in enumerate(signatures):
        sketch = datasketch.MinHash(hashvalues=signature, seed=config.seed, scheme="affine32")
        expected |= {(int(str(other)), row) for other in index.query(sketch)}
        index.insert(str(row), sketch)
    keys = band_keys(signatures, config.rows_per_band)
    found = candidates([[k] for k in keys], [signatures], words, np.arange(len(texts)), config)
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert found.proposed == len(expected)
    near = {(a, b) for a, b in expected if (signatures[a] == signatures[b]).mean() >= 0.55}
    assert near <= pairs <= expected


def test_estimates_agree_with_the_exact_similarity() -> None:
    texts = corpus(3)
    signatures, _ = sign(column(texts), MinHash())
    words = [t.split() for t in texts]
    sets = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in words]
    for a in range(0, len(texts), 2):
        if all(len(word) > 1 or word in "xy" for word in words[a] + words[a + 1]):
            exact = len(sets[a] & sets[a + 1]) / len(sets[a] | sets[a + 1])
            assert (signatures[a] == signatures[a + 1]).mean() == pytest.approx(exact, abs=0.2)


def test_candidates_follow_the_order_of_preference_and_leave_short_texts_out() -> None:
    text = " ".join(f"w{i}" for i in range(30))
    texts = [text, "a b c d e f", text, "a b c d e f"]
    config = MinHash()
    signatures, words = sign(column(texts), config)
    keys = [[k] for k in band_keys(signatures, 4)]
    found = candidates(keys, [signatures], words, np.array([3, 2, 1, 0]), config)
    assert (found.left.tolist(), found.right.tolist()) == ([1], [3])


def test_signatures_in_several_parts() -> None:
    texts, config = corpus(4, 20), MinHash()
    signatures, words = sign(column(texts), config)
    cuts = [0, 7, 7, 30, 40]
    parts = [signatures[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    keys = [[key[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)] for key in band_keys(signatures, 4)]
    found = candidates(keys, parts, words, np.arange(40), config)
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) == pairs_of(texts, config)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"ngram": 0}, "ngram is 0"),
        ({"min_words": 3}, r"min_words is 3: it must be at least ngram \(5\)"),
        ({"num_bands": 4, "rows_per_band": 20}, "raise num_bands or lower rows_per_band"),
        ({"engine": "rust"}, "engine is 'rust'"),
        ({"check_documents": -1}, "check_documents is -1"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MinHash(**fields)
