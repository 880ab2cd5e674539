"""Which of several copies stays: a policy as data, so that the choice is the same on every run and every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class KeepPolicy:
    """Order of preference among copies; ties go to the lowest (shard, row)."""

    sources: tuple[str, ...] = ()
    """Sources in order of preference, the most trusted first; sources not named come after all of these."""
    prefer: Literal["first", "longest"] = "first"
    """Among copies of equally preferred sources: the first in input order, or the one with the longest text."""

    def __post_init__(self) -> None:
        if self.prefer not in ("first", "longest"):
            raise ValueError(f"keep.prefer is {self.prefer!r}: use first or longest")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f"keep.sources names a source twice: {self.sources}; name each once")


def keep_order(policy: KeepPolicy, priorities: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Document indices [N] int64, the most preferred first, from source priorities and text sizes in input order."""
    import numpy as np

    if policy.prefer == "longest":
        return np.lexsort((-sizes, priorities))
    return np.argsort(priorities, kind="stable")


def source_priorities(policy: KeepPolicy, sources: list[str]) -> np.ndarray:
    """Place [N] int32 of each document's source in the policy's order."""
    import numpy as np

    places = {name: i for i, name in enumerate(policy.sources)}
    return np.array([places.get(source, len(places)) for source in sources], np.int32)
