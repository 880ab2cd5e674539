"""Which documents train a tokenizer and judge its engines: a look at the sources and languages of all shards."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openseek.data.tokenizer import HELDOUT_SEED, SAMPLE_SEED, Tokenize

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 256
GATE_DOCUMENTS, GATE_BYTES, GATE_BYTES_OF_ALL = 48, 1 << 20, 32 << 20
"""Documents of each source and language that an engine has to encode as the judge does; bytes of them, and of all."""
PART_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Part:
    """Some row groups of a shard of documents: what one worker encodes at a time."""

    shard: Path
    number: int
    """Running number over all shards, which names the token shards."""
    groups: tuple[int, ...]
    first_row: int
    synthetic: bool


Place = tuple[int, int]
"""(part, row within it)."""


@dataclasses.dataclass
class Census:
    """What a look at the small columns of all parts tells."""

    rows: int = 0
    text_bytes: Counter[str] = dataclasses.field(default_factory=Counter)
    """Bytes of text of each stratum, taken to be spread evenly over the rows of a row group."""
    gate: dict[tuple[str, str], list[Place]] = dataclasses.field(default_factory=dict)
    """The first documents of each source and language."""


def parts_of(shards: Sequence[Path], synthetic: Sequence[Path]) -> list[Part]:
    """The shards in parts of about PART_BYTES of text, whoever works on them; an empty shard is one part."""
    import pyarrow.parquet as pq

    parts: list[Part] = []
    for shard, made in [*((s, False) for s in shards), *((s, True) for s in synthetic)]:
        metadata = pq.read_metadata(shard)
        groups: list[int] = []
        size = first = row = 0
        for group in range(metadata.num_row_groups):
            here = _text_bytes(metadata, group)
            if groups and size + here > PART_BYTES:
                parts.append(Part(shard, len(parts), tuple(groups), first, made))
                groups, size, first = [], 0, row
            groups.append(group)
            size, row = size + here, row + metadata.row_group(group).num_rows
        parts.append(Part(shard, len(parts), tuple(groups), first, made))
    return parts


def census(parts: Sequence[Part], config: Tokenize) -> Census:
    """Rows and bytes by stratum, and where the first documents of each source and language are."""
    from typing import Any

    import numpy as np
    import pyarrow.compute
    import pyarrow.parquet as pq

    compute: Any = pyarrow.compute
    found = Census()
    for part in parts:
        row = 0
        with pq.ParquetFile(part.shard) as file:
            for group in part.groups:
                names = file.read_row_group(group, columns=["source", "lang"])
                share = _text_bytes(file.metadata, group) / max(1, names.num_rows)
                for entry in names.group_by(["source", "lang"]).aggregate([([], "count_all")]).to_pylist():
                    pair = (entry["source"] or "", entry["lang"] or "")
                    found.text_bytes[stratum(*pair, config)] += round(share * entry["count_all"])
                    places = found.gate.setdefault(pair, [])
                    if len(places) == GATE_DOCUMENTS:
                        continue
                    masks = (
                        compute.equal(compute.fill_null(names[n], ""), v)
                        for n, v in zip(names.column_names, pair, strict=True)
                    )
                    rows = np.flatnonzero(compute.and_(*masks).to_numpy())[: GATE_DOCUMENTS - len(places)]
                    places += [(part.number, row + place) for place in rows.tolist()]
                row += names.num_rows
        found.rows += row
    return found


def stratum(source: str, lang: str, config: Tokenize) -> str:
    """The stratum that a document belongs to."""
    return {"": "", "source": source, "lang": lang, "source_lang": f"{source}/{lang}"}[config.stratify_by]


def fractions(text_bytes: dict[str, int], config: Tokenize) -> dict[str, float]:
    """Which share of each stratum's documents the sample takes: its shares of `sample_bytes`, as far as there is text.

    What a small stratum cannot give is divided among the others by their shares. ValueError names an unknown stratum.
    """
    if unknown := sorted(set(config.sample_shares) - set(text_bytes)):
        raise ValueError(
            f"tokenize.sample_shares names {', '.join(unknown)}; there are: {', '.join(sorted(text_bytes)) or 'none'}"
        )
    open_shares = {name: config.sample_shares.get(name, 0.0 if config.sample_shares else 1.0) for name in text_bytes}
    open_shares = {name: share for name, share in open_shares.items() if share and text_bytes[name]}
    taken, left = dict.fromkeys(text_bytes, 0.0), float(config.sample_bytes)
    while open_shares:
        unit = left / sum(open_shares.values())
        full = [name for name, share in open_shares.items() if share * unit >= text_bytes[name]]
        for name in full or list(open_shares):
            taken[name] = min(1.0, open_shares.pop(name) * unit / text_bytes[name])
            left -= taken[name] * text_bytes[name]
    return taken


def training_texts(parts: Sequence[Part], shares: dict[str, float], config: Tokenize) -> Iterator[str]:
    """The texts of the sample in the order of the shards, held-out ones left out."""
    import numpy as np
    import pyarrow as pa

    from openseek.data.tokenizer import chosen

    for part in parts:
        for batch in batches(part, ["id", "text", "source", "lang"], BATCH_ROWS):
            ids = batch["id"].to_pylist()
            sources, langs = (batch[name].fill_null("").to_pylist() for name in ("source", "lang"))
            strata = [stratum(source, lang, config) for source, lang in zip(sources, langs, strict=True)]
            take = np.zeros(len(ids), bool)
            for name in set(strata):
                take |= np.array([s == name for s in strata], bool) & chosen(ids, shares[name], SAMPLE_SEED)
            take &= ~chosen(ids, 0.0 if part.synthetic else config.heldout_fraction, HELDOUT_SEED)
            yield from batch["text"].filter(pa.array(take)).to_pylist()


def gate_texts(parts: Sequence[Part], found: Census) -> dict[tuple[str, str], pa.Array]:
    """Some texts of each source and language, at most GATE_BYTES of one; long ones only where there is no short one."""
    import pyarrow as pa

    wanted: dict[int, dict[int, tuple[str, str]]] = {}
    for pair, places in found.gate.items():
        for number, row in places:
            wanted.setdefault(number, {})[row] = pair
    texts: dict[tuple[str, str], list[str]] = {pair: [] for pair in found.gate}
    room = dict.fromkeys(found.gate, min(GATE_BYTES, GATE_BYTES_OF_ALL // max(1, len(found.gate))))
    for number, here in sorted(wanted.items()):
        start, last = 0, max(here)
        for batch in batches(parts[number], ["text"], BATCH_ROWS):
            for row in range(start, start + batch.num_rows):
                if (pair := here.get(row)) is None:
                    continue
                text = batch["text"][row - start].as_py()
                if len(text) <= room[pair] or not texts[pair]:
                    texts[pair].append(text[:GATE_BYTES])
                    room[pair] -= len(text)
            start += batch.num_rows
            if start > last:
                break
    return {pair: pa.array(some, pa.large_string()) for pair, some in sorted(texts.items())}


def batches(part: Part, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a part in order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(part.shard) as file:
        for group in part.groups:
            yield from file.iter_batches(rows, row_groups=[group], columns=list(columns))


def _text_bytes(metadata: object, group: int) -> int:
    """Bytes of the text column of a row group before compression, from the file's metadata."""
    from typing import Any

    known: Any = metadata
    column = known.schema.to_arrow_schema().get_field_index("text")
    return known.row_group(group).column(column).total_uncompressed_size
