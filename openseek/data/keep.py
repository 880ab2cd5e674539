"""Which of several copies stays: a policy as data, so that the choice is the same on every run and every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LONGEST, SCORE = "longest", "score_"
MOST_CRITERIA = 2
MOST_SOURCES = 1 << 15


@dataclass(frozen=True)
class KeepPolicy:
    """Order of preference among copies; ties go to the lowest (shard, row)."""

    sources: tuple[str, ...] = ()
    """Sources in order of preference, the most trusted first; sources not named come after all of these."""
    prefer: tuple[str, ...] = ()
    """Among copies of equally preferred sources, in this order: `longest` (bytes of text), or the name of a score
    column (`score_quality`), of which the highest wins. At most two; values that differ by less than one part in
    65,536 are equal."""

    def __post_init__(self) -> None:
        for name in self.prefer:
            if name != LONGEST and not name.startswith(SCORE):
                raise ValueError(f"keep.prefer names {name!r}: use {LONGEST}, or a column {SCORE}NAME")
        if len(self.prefer) > MOST_CRITERIA:
            raise ValueError(f"keep.prefer names {len(self.prefer)} criteria: use at most {MOST_CRITERIA}")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f"keep.sources names a source twice: {self.sources}; name each once")
        if len(self.sources) >= MOST_SOURCES:
            raise ValueError(f"keep.sources names {len(self.sources)} sources: use fewer than {MOST_SOURCES}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a document that the policy reads besides its text."""
        return ("source", *(name for name in self.prefer if name.startswith(SCORE)))


def preference(policy: KeepPolicy, table: pa.Table, sizes: np.ndarray) -> np.ndarray:
    """A rank uint64 [N] of each document, the least most preferred, from its columns and the bytes of its text.

    Place of the source in 16 bits, then 24 bits a criterion. Ranks compare between shards and corpora; the highest bit
    is free. ValueError names a score column that is not there.
    """
    import numpy as np

    places = {name: i for i, name in enumerate(policy.sources)}
    encoded = table["source"].combine_chunks().dictionary_encode()
    by_name = np.array([places.get(name, len(places)) for name in encoded.dictionary.to_pylist()] or [0], np.uint64)
    rank = by_name[encoded.indices.to_numpy()] << np.uint64(48)
    for place, name in enumerate(policy.prefer):
        if name != LONGEST and name not in table.column_names:
            raise ValueError(f"keep.prefer names {name}, which the documents lack: run classify first, or leave it out")
        values = sizes if name == LONGEST else table[name].to_numpy()
        rank |= _descending(values.astype(np.float32)) << np.uint64(24 * (1 - place))
    return rank


def _descending(values: np.ndarray) -> np.ndarray:
    """24 bits uint64 that fall as float32 values rise; what is no number comes last."""
    import numpy as np

    bits = values.view(np.uint32)
    rising = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000))
    rising = np.where(np.isnan(values), np.uint32(0), rising)
    return (~rising >> np.uint32(8)).astype(np.uint64)
