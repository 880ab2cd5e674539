"""From a token back to its document: the table PREFIX.documents.parquet beside each token shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

SUFFIX = ".documents.parquet"
LINEAGE = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("lang", pa.string()),
        ("licence", pa.string()),
        ("domain", pa.string()),
        ("bytes", pa.int64()),
        ("tokens", pa.int64()),
        ("first_token", pa.int64()),
        ("shard", pa.string()),
        ("row", pa.int64()),
    ]
)
"""A row a document, in the shard's order: UTF-8 bytes of its text; its tokens, the end of the document included, from
`first_token` of the shard on; the file (INPUT/data/NNNNN.parquet) and row that it was read from."""


def lineage_of(prefix: Path) -> Path:
    """The table beside a token shard."""
    return prefix.with_name(prefix.name + SUFFIX)


def document_at(prefix: Path, position: int) -> dict[str, Any]:
    """The row of LINEAGE of the document that token `position` of a shard belongs to.

    ValueError names a shard without its table, and a position beyond the shard.
    """
    import numpy as np
    import pyarrow.parquet as pq

    path = lineage_of(prefix)
    if not path.is_file():
        raise ValueError(f"{path} is missing: give the prefix of a token shard that tokenize wrote (data/SOURCE-00000)")
    first = pq.read_table(path, columns=["first_token", "tokens"])
    starts = first["first_token"].to_numpy()
    total = int(starts[-1]) + first["tokens"][-1].as_py() if len(starts) else 0
    if not 0 <= position < total:
        raise ValueError(f"{prefix} has {total} tokens: there is no token {position}")
    row = int(np.searchsorted(starts, position, side="right")) - 1
    return pq.read_table(path).slice(row, 1).to_pylist()[0]
