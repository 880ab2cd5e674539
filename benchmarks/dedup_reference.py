"""What deduplication is measured against: sets of word 5-grams in plain Python, and their Jaccard similarity."""

import re
from collections.abc import Callable, Set

NGRAM = 5
EAST_ASIAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{EAST_ASIAN}]|[^\W{EAST_ASIAN}]+")
Grams = Callable[[str], Set[tuple[str, ...]]]


def words(text: str) -> list[str]:
    """Lower-case words; every Han or Kana character is a word of its own."""
    return WORD.findall(text.lower())


def word_grams(text: str) -> frozenset[tuple[str, ...]]:
    """The set of n-grams of `words`; a text of fewer words has one, of all its words."""
    found = words(text)
    return frozenset(zip(*(found[i:] for i in range(NGRAM)), strict=False)) or frozenset([tuple(found)])


def jaccard(left: Set[tuple[str, ...]], right: Set[tuple[str, ...]]) -> float:
    """Elements in both over elements in either; 1 for two empty sets."""
    common = len(left & right)
    either = len(left) + len(right) - common
    return common / either if either else 1.0
