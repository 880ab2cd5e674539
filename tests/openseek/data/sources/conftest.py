"""What an iterator gave before its file broke."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from openseek.data.sources.record import BrokenStream

Drain = Callable[[Iterable[Any]], tuple[list[Any], BrokenStream]]


@pytest.fixture(scope="session")
def drain() -> Drain:
    """A function: an iterable to (its items, the BrokenStream that ended it)."""

    def run(items: Iterable[Any]) -> tuple[list[Any], BrokenStream]:
        got: list[Any] = []
        try:
            for item in items:
                got.append(item)
        except BrokenStream as broken:
            return got, broken
        pytest.fail(f"no break after {len(got)} items")

    return run
