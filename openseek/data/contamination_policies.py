"""What becomes of documents that hold benchmark items: they go, they lose the item's span, or their metadata names it.

A table of hits (HITS) says where the items are; its `row` counts from the first document of the shard.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from openseek.data.contamination import NO_ANSWER, Hits
from openseek.data.document import ShardOutput, dropped_table, split_rows
from openseek.data.ngrams import Decontaminate, item_label
from openseek.data.spans import splice
from openseek.data.words import string_buffers

HITS = pa.schema(
    [
        ("id", pa.string()),
        ("row", pa.int64()),
        ("benchmark", pa.string()),
        ("item", pa.int64()),
        ("overlap", pa.float64()),
        ("with_answer", pa.bool_()),
        ("start", pa.int64()),
        ("stop", pa.int64()),
        ("acted_on", pa.bool_()),
    ]
)
CUT = pa.schema([("id", pa.string()), ("start", pa.int64()), ("stop", pa.int64()), ("detail", pa.string())])
META_KEY = "contamination"
TRAINED_ON = ("messages", "answer")
"""Keys of `meta` that conversations and problems are trained on: a span of the text says nothing of these."""
_SPACES = b" \t\r\n\x0b\x0c"


def hits_table(batch: pa.RecordBatch, first_row: int, hits: Hits, names: list[str], config: Decontaminate) -> pa.Table:
    """HITS of one batch, whose documents are the shard's from `first_row` on; `names` are the labels of all items."""
    labels = [names[item].rpartition("#") for item in hits.items.tolist()]
    texts = batch.column("text")
    stops = [
        tight_stop(texts[row].as_py().encode(), stop)
        for row, stop in zip(hits.rows.tolist(), hits.stops.tolist(), strict=True)
    ]
    answers = [None if value == NO_ANSWER else bool(value) for value in hits.with_answer.tolist()]
    acted = [config.act_on == "question" or answer is not False for answer in answers]
    columns = [
        batch.column("id").take(pa.array(hits.rows)),
        pa.array(hits.rows + first_row),
        pa.array([benchmark for benchmark, _, _ in labels], pa.string()),
        pa.array([int(number) for _, _, number in labels], pa.int64()),
        pa.array(hits.overlaps),
        pa.array(answers, pa.bool_()),
        pa.array(hits.starts),
        pa.array(stops, pa.int64()),
        pa.array(acted, pa.bool_()),
    ]
    return pa.Table.from_arrays(columns, schema=HITS)


def tight_stop(text: bytes, stop: int) -> int:
    """Where an item ends whose next word begins at `stop`: signs that touch the next word belong to that, not to it."""
    signs = stop
    while signs > 0 and text[signs - 1] < 0x80 and text[signs - 1] not in _SPACES and not _wordy(text[signs - 1]):
        signs -= 1
    return signs if signs > 0 and text[signs - 1] in _SPACES else stop


def _wordy(byte: int) -> bool:
    return chr(byte).isalnum() or byte == ord("_")


def apply_policy(batch: pa.RecordBatch, first_row: int, hits: pa.Table, config: Decontaminate) -> ShardOutput:
    """What a batch becomes; `hits` are those of the shard's documents that the batch has."""
    acted = hits.filter(hits["acted_on"])
    policy: Callable[..., ShardOutput] = {"drop": _drop, "cut": _cut, "tag": _tag}[config.policy]
    return policy(pa.Table.from_batches([batch]), first_row, acted.to_pylist(), config)


def _drop(table: pa.Table, first_row: int, hits: list[dict[str, Any]], config: Decontaminate) -> ShardOutput:
    return _without(table, first_row, [_contaminated(hit, config) for hit in hits])


def _without(table: pa.Table, first_row: int, records: list[dict[str, Any]], **facts: int | float) -> ShardOutput:
    """The table without the documents of some dropped rows, in order; the first of each document is marked."""
    gone = np.zeros(table.num_rows, bool)
    for record in records:
        record["first"] = not gone[record["row"] - first_row]
        gone[record["row"] - first_row] = True
    kept, _ = split_rows(table, gone)
    return ShardOutput(kept=kept, rows_in=table.num_rows, dropped=dropped_table(records), facts=facts)


def _contaminated(hit: dict[str, Any], config: Decontaminate) -> dict[str, Any]:
    """The dropped row of a document that holds an item."""
    overlap = hit["overlap"]
    return {
        **{name: hit[name] for name in ("id", "row", "start", "stop")},
        "task": "decontaminate",
        "rule": "contaminated",
        "value": overlap,
        "limit": config.min_overlap if overlap >= config.min_overlap else config.min_fragment,
        "detail": _label(hit),
    }


def _label(hit: dict[str, Any]) -> str:
    return item_label(hit["benchmark"], hit["item"])


def cut_parts(hits: list[dict[str, Any]]) -> Iterator[tuple[int, int, int, list[dict[str, Any]]]]:
    """(row, start, stop, hits) of the spans that go: hits of one document that touch or overlap are one span."""
    part: list[dict[str, Any]] = []
    for hit in sorted(hits, key=lambda h: (h["row"], h["start"], h["stop"], h["benchmark"], h["item"])):
        if part and (hit["row"] != part[0]["row"] or hit["start"] > max(h["stop"] for h in part)):
            yield part[0]["row"], part[0]["start"], max(h["stop"] for h in part), part
            part = []
        part.append(hit)
    if part:
        yield part[0]["row"], part[0]["start"], max(h["stop"] for h in part), part


def cut_table(hits: pa.Table) -> pa.Table:
    """CUT: the spans that the policy `cut` takes out of a shard's documents, in bytes of the input texts."""
    rows = [
        {"id": part[0]["id"], "start": start, "stop": stop, "detail": " ".join(dict.fromkeys(map(_label, part)))}
        for _, start, stop, part in cut_parts(hits.filter(hits["acted_on"]).to_pylist())
    ]
    return pa.Table.from_pylist(rows, schema=CUT)


def _cut(table: pa.Table, first_row: int, hits: list[dict[str, Any]], config: Decontaminate) -> ShardOutput:
    """Spans go; conversations and problems go as a whole, and what is left too short."""
    whole = {hit["row"] for hit in hits if _trained_on_meta(table["meta"][hit["row"] - first_row].as_py())}
    parts = [part for part in cut_parts(hits) if part[0] not in whole]
    text = table["text"].combine_chunks()
    _, offsets = string_buffers(text)
    rows, starts, stops = (np.array([part[k] for part in parts], np.int64) for k in range(3))
    place = offsets[rows - first_row]
    shorter = splice(text, starts + place, stops + place, pa.array([""] * len(parts), pa.large_string()))
    table = table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), shorter)
    remaining = {row: len(shorter[row - first_row].as_py().strip()) for row in sorted(set(rows.tolist()))}
    records = []
    for hit in hits:
        if hit["row"] in whole:
            records.append(_contaminated(hit, config))
        elif remaining[hit["row"]] < config.min_remaining:
            short = {"rule": "contaminated_rest", "value": float(remaining[hit["row"]])}
            records.append({**_contaminated(hit, config), **short, "limit": float(config.min_remaining)})
    gone = {record["row"] for record in records}
    stays = [part for part in parts if part[0] not in gone]
    facts = {"bytes_cut": sum(part[2] - part[1] for part in stays), "documents_cut": len({part[0] for part in stays})}
    return _without(table, first_row, records, **facts)


def _trained_on_meta(meta: str | None) -> bool:
    value = json.loads(meta or "{}")
    return any(key in value for key in TRAINED_ON)


def _tag(table: pa.Table, first_row: int, hits: list[dict[str, Any]], config: Decontaminate) -> ShardOutput:
    """All documents stay; `meta` of those with an item names the items."""
    labels: dict[int, list[str]] = {}
    for hit in hits:
        labels.setdefault(hit["row"] - first_row, []).append(_label(hit))
    metas = table["meta"].to_pylist()
    for row, found in labels.items():
        metas[row] = json.dumps({**json.loads(metas[row] or "{}"), META_KEY: found}, ensure_ascii=False)
    if labels:
        place = table.schema.get_field_index("meta")
        table = table.set_column(place, table.schema.field("meta"), pa.array(metas, table.schema.field("meta").type))
    return ShardOutput(kept=table, rows_in=table.num_rows, facts={"documents_tagged": len(labels)})
