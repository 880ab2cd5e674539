import random
from typing import Any

import datasketch
import numpy as np
import pyarrow as pa
import pytest

from openseek.data.bands import band_records, pairs_of_partition
from openseek.data.minhash import MinHash, bands, likely, sign


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


def prose(texts: list[str]) -> np.ndarray:
    return np.zeros(len(texts), np.uint8)


def proposed(signatures: np.ndarray, num_bands: int, rows_per_band: int) -> set[tuple[int, int]]:
    """Pairs of rows that agree in a band."""
    _, keys, rows = band_records(signatures, np.ones(len(signatures), bool), num_bands, rows_per_band, 0)
    ids = rows.astype(np.uint64)
    return set(map(tuple, pairs_of_partition(keys, ids, ids, 0, 1000)[0].tolist()))


def test_both_engines_give_the_same_signatures() -> None:
    texts = [*corpus(1, 10), "", "too short"]
    compiled, library = (
        sign(column(texts), prose(texts), MinHash(engine=engine)) for engine in ("numba", "datasketch")
    )
    assert (compiled[0] == library[0]).all()
    assert (compiled[1] == library[1]).all()
    other_seed, _ = sign(column(texts), prose(texts), MinHash(seed=2))
    assert (other_seed[:20] != compiled[0][:20]).any(axis=1).all()


@pytest.mark.parametrize("config", [MinHash(), MinHash(num_bands=14, rows_per_band=8, least_recall=0.5)])
def test_candidates_are_those_of_a_datasketch_index(config: MinHash) -> None:
    """Our signatures, loaded into the library's LSH, give the pairs that ours proposes."""
    texts = corpus(2)
    signatures, _ = sign(column(texts), prose(texts), config)
    index = datasketch.MinHashLSH(num_perm=config.num_hashes, params=bands(config))
    expected = set()
    for row, signature in enumerate(signatures):
        sketch = datasketch.MinHash(hashvalues=signature, seed=config.seed, scheme="affine32")
        expected |= {(int(str(other)), row) for other in index.query(sketch)}
        index.insert(str(row), sketch)
    assert len(expected) > 20
    assert proposed(signatures, *bands(config)) == expected
    # Control: other bands propose other pairs.
    assert proposed(signatures, 7, 16) != expected


def test_optimal_bands_are_datasketchs() -> None:
    config = MinHash(threshold=0.8, num_bands=32, rows_per_band=4, optimal_bands=True)
    library = datasketch.MinHashLSH(threshold=0.8, num_perm=128)
    assert bands(config) == (library.b, library.r)
    assert library.b * library.r <= 128


def test_unlikely_pairs_are_told_by_their_signatures() -> None:
    texts, config = corpus(5), MinHash()
    signatures, _ = sign(column(texts), prose(texts), config)
    pairs = np.array([(a, b) for b in range(len(texts)) for a in range(b)], np.uint64)
    found = likely([signatures], pairs, config, block=100)
    agreed = (signatures[pairs[:, 0].astype(int)] == signatures[pairs[:, 1].astype(int)]).sum(axis=1)
    assert (found == (agreed >= config.least_agreement)).all()
    assert 0 < found.sum() < len(pairs)


def test_estimates_agree_with_the_exact_similarity() -> None:
    texts = corpus(3)
    signatures, _ = sign(column(texts), prose(texts), MinHash())
    words = [t.split() for t in texts]
    sets = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in words]
    for a in range(0, len(texts), 2):
        if all(len(word) > 1 or word in "xy" for word in words[a] + words[a + 1]):
            exact = len(sets[a] & sets[a + 1]) / len(sets[a] | sets[a + 1])
            assert (signatures[a] == signatures[a + 1]).mean() == pytest.approx(exact, abs=0.2)


def test_code_is_signed_by_its_lexer() -> None:
    plain = "int total = 0; for (int i = 0; i < n; i++) total += values[i]; return total;"
    other = plain.replace(" ", "\n  ").replace("0;", "0; // nothing yet")
    kinds = np.array([1, 1, 0, 0], np.uint8)
    signatures, _ = sign(column([plain, other] * 2), kinds, MinHash(check_documents=4))
    assert (signatures[0] == signatures[1]).all()
    assert (signatures[2] != signatures[3]).any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"ngram": 0}, "ngram is 0"),
        ({"min_words": 3}, r"min_words is 3: it must be at least ngram \(5\)"),
        ({"num_bands": 4, "rows_per_band": 20}, "raise num_bands, lower rows_per_band, or lower least_recall"),
        ({"engine": "rust"}, "engine is 'rust'"),
        ({"check_documents": -1}, "check_documents is -1"),
    ],
)
def test_wrong_values_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MinHash(**fields)
