"""Found spans of texts hidden behind tokens, and the count of what was hidden kept in the documents' meta."""

import collections
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from openseek.data.spans import splice
from openseek.data.transform import replace_column


@njit(nogil=True, cache=True)
def count_characters(data, starts, stops):
    """Characters of each span of UTF-8 bytes."""
    counts = np.zeros(starts.shape[0], np.int64)
    for k in range(starts.shape[0]):
        for i in range(starts[k], stops[k]):
            counts[k] += (data[i] & 0xC0) != 0x80
    return counts


def joined(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(starts, stops) in order, overlapping spans made one."""
    order = np.argsort(starts, kind="stable")
    starts, furthest = starts[order], np.maximum.accumulate(stops[order])
    new = np.ones(len(starts), bool)
    new[1:] = starts[1:] >= furthest[:-1]
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(starts)) - 1 if len(starts) else first
    return starts[first], furthest[last]


def hide(batch: pa.RecordBatch, spans: list[tuple[int, int, int, str, str]]) -> pa.RecordBatch:
    """The batch with spans (row, start, stop, kind, token) exchanged for their tokens, counted by kind in meta.

    Positions are bytes of the text column's buffer; spans are in order and do not overlap. Values are never kept.
    """
    if not spans:
        return batch
    counts: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row, _, _, kind, _ in spans:
        counts[row][kind] += 1
    starts, stops = np.array([s[1] for s in spans], np.int64), np.array([s[2] for s in spans], np.int64)
    text = splice(batch.column("text"), starts, stops, pa.array([s[4] for s in spans], pa.large_string()))
    notes = {row: {"masked": dict(count)} for row, count in counts.items()}
    return add_to_meta(replace_column(batch, "text", text), notes)


def add_to_meta(batch: pa.RecordBatch, notes: Mapping[int, Mapping[str, Any]]) -> pa.RecordBatch:
    """The batch with `notes[row]` in the meta of those rows; a note that is a dict joins the dict already there."""
    if not notes:
        return batch
    column = batch.column("meta")
    texts = column.to_pylist()
    for row, note in notes.items():
        meta = json.loads(texts[row]) if texts[row] else {}
        for key, value in note.items():
            present = meta.get(key)
            meta[key] = {**present, **value} if isinstance(present, dict) and isinstance(value, dict) else value
        texts[row] = json.dumps(meta, ensure_ascii=False)
    return replace_column(batch, "meta", pa.array(texts, column.type))
