"""Length limits and garbled text at their edges."""

import pytest

from openseek.data.filters.length import Garbled, Length
from openseek.data.transform import apply


@pytest.mark.parametrize(("size", "rules"), [(9, ["length_min"]), (10, []), (20, []), (21, ["length_max"])])
@pytest.mark.parametrize("letter", ["a", "中", "😀"])
def test_length_counts_characters_not_bytes(documents, size: int, rules: list[str], letter: str) -> None:
    _, dropped = apply([Length(min_characters=10, max_characters=20)], documents([letter * size]), task="filter")
    assert dropped["rule"].to_pylist() == rules


def test_garbled(documents) -> None:
    texts = ["a" * 999 + "\ufffd", "a" * 998 + "\ufffd" * 2, "abc" + "|" * 9, "abc" + "|" * 10, "中文" + "。" * 3]
    kept, dropped = apply([Garbled()], documents(texts), task="filter")
    assert kept["text"].to_pylist() == [texts[0], texts[2], texts[4]]
    assert dropped["rule"].to_pylist() == ["garbled_replacements", "garbled_letters"]


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="min_characters is 5 and max_characters 4"):
        Length(min_characters=5, max_characters=4)
