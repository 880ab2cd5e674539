"""Reads the forms in which corpora come, and writes the samples so that the same choice gives the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a .parquet, .jsonl, .jsonl.gz, .json.gz (a list, or JSON lines) or .jsonl.zst file."""
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    text = data.decode("utf-8")
    if text.lstrip().startswith("["):
        yield from json.loads(text)
    else:
        yield from (json.loads(line) for line in text.split("\n") if line.strip())


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write rows in the form that the suffix names; no time stamp and no random order in the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd", compression_level=19, row_group_size=256)
        return
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
    if path.suffix == ".gz":
        data = gzip.compress(data, compresslevel=9, mtime=0)
    elif path.suffix == ".zst":
        data = zstandard.ZstdCompressor(level=19).compress(data)
    path.write_bytes(data)


def rank(key: str) -> str:
    """A fixed pseudo-random order: the same documents are chosen on every machine."""
    return hashlib.sha1(f"openseek-samples\0{key}".encode()).hexdigest()


def choose(rows: Iterable[Row], count: int, key: str = "text") -> list[Row]:
    """The first `count` rows in `rank` order, each text once."""
    ordered = sorted({row[key]: row for row in rows}.values(), key=lambda row: rank(str(row[key])))
    return ordered[:count]
