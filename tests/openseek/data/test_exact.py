import numpy as np
import pyarrow as pa
import pytest
import xxhash

from openseek.data.exact import DedupExact, content_hashes, first_copies


def column(*texts: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def equal(left: str, right: str, normalise: str) -> bool:
    hashes = content_hashes(column(left, right), normalise)
    return bool((hashes[0] == hashes[1]).all())


@pytest.mark.parametrize(
    ("left", "right", "equal_under"),
    [
        ("same text", "same text", {"none", "whitespace", "case"}),
        (" two  words\n", "two words", {"whitespace", "case"}),
        ("全角\u3000空白", "全角 空白", {"whitespace", "case"}),
        ("Some Words", "some words", {"case"}),
        ("3+4=?", "3-4=?", set()),
        ("a b", "ab", set()),
    ],
)
def test_what_counts_as_equal(left: str, right: str, equal_under: set[str]) -> None:
    assert {n for n in ("none", "whitespace", "case") if equal(left, right, n)} == equal_under


def test_hash_is_xxh3_128() -> None:
    high, low = content_hashes(column("text"), "none")[0].tolist()
    assert (high << 64) | low == xxhash.xxh3_128_intdigest(b"text")


def test_first_copies_follow_the_order_of_preference() -> None:
    hashes = np.array([[1, 0], [2, 0], [1, 0], [1, 1], [2, 0]], np.uint64)
    assert first_copies(hashes, np.arange(5)).tolist() == [0, 1, 0, 3, 1]
    assert first_copies(hashes, np.array([4, 2, 0, 1, 3])).tolist() == [2, 4, 2, 3, 4]
    assert first_copies(hashes[:0], np.arange(0)).tolist() == []


def test_wrong_normalisation_is_named() -> None:
    with pytest.raises(ValueError, match="normalise is 'unicode'"):
        DedupExact(normalise="unicode")  # pyright: ignore[reportArgumentType]
