"""A large file in parts, so that no worker waits for one shard; the documents and their ids are those of the whole."""

import codecs
import dataclasses
from collections.abc import Sequence
from itertools import pairwise

from openseek.data.sources import streams
from openseek.raw_files import RawFile

# Where the last part ends: beyond any file.
END = 1 << 62
HEAD_BYTES = 1 << 16
# A tree of source code has a hundred thousand files: a shard for each would be four files and a mark for each.
SMALL_BYTES, MANY_FILES = 256 << 10, 64
BUNDLE_BYTES, BUNDLE_FILES = 8 << 20, 512
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def parts(file: RawFile, format: str, split_bytes: int) -> list[RawFile]:
    """The parts of a file, of about `split_bytes` stored bytes each: parquet by row groups, plain jsonl by lines,
    jsonl.zst by frames. Anything else, and what is damaged, stays whole: its reader tells of the damage."""
    if file.size <= split_bytes or format not in ("parquet", "jsonl"):
        return [file]
    if format == "parquet":
        return _row_groups(file, split_bytes)
    kind = streams.compression(file)
    if kind == "plain" and _is_lines(_head(file)):
        count = -(-file.size // split_bytes)
        edges = [file.size * i // count for i in range(count + 1)]
        return [dataclasses.replace(file, span=(a, b), offset=a, stored=b - a) for a, b in pairwise(edges)]
    # A remote file would have to be fetched to find its frames.
    return _frames(file, split_bytes) if kind == "zstd" and not file.is_remote else [file]


def bundled(files: Sequence[RawFile]) -> list[tuple[RawFile, ...]]:
    """Files in order, each a shard of its own; where a source has a great many small ones, some together."""
    if sum(file.bytes_to_read < SMALL_BYTES for file in files) <= MANY_FILES:
        return [(file,) for file in files]
    bundles: list[list[RawFile]] = []
    size = 0
    for file in files:
        small = file.bytes_to_read < SMALL_BYTES
        if not bundles or not small or size + file.bytes_to_read > BUNDLE_BYTES or len(bundles[-1]) >= BUNDLE_FILES:
            bundles.append([])
            size = 0
        bundles[-1].append(file)
        size += file.bytes_to_read if small else BUNDLE_BYTES
    return [tuple(bundle) for bundle in bundles]


def _head(file: RawFile) -> bytes:
    with file.open() as raw:
        return raw.read(HEAD_BYTES)


def _is_lines(head: bytes) -> bool:
    """Whether a JSON file that begins so has a record a line: an array cannot be split, nor can UTF-16."""
    return not head.startswith(UTF16) and head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{"


def _row_groups(file: RawFile, split_bytes: int) -> list[RawFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open() as raw:
            told = pq.ParquetFile(raw).metadata
    except (pa.ArrowInvalid, OSError):
        return [file]
    sizes = [
        sum(group.column(c).total_compressed_size for c in range(group.num_columns))
        for group in (told.row_group(i) for i in range(told.num_row_groups))
    ]
    edges = _edges(sizes, split_bytes)
    if len(edges) < 3:
        return [file]
    stored = [sum(sizes[a:b]) for a, b in pairwise(edges)]
    stored[-1] += file.size - sum(sizes)
    return [
        dataclasses.replace(file, span=span, stored=size) for span, size in zip(pairwise(edges), stored, strict=True)
    ]


def _frames(file: RawFile, split_bytes: int) -> list[RawFile]:
    from openseek.data.sources.record import BrokenStream
    from openseek.data.sources.zstd_frames import frame_offsets, read_frames

    with file.open() as raw:
        first = next(read_frames(raw, lambda out, into: None), b"")
        if isinstance(first, BrokenStream) or not _is_lines(first):
            return [file]
        starts = frame_offsets(raw)
    if starts is None or len(starts) < 2:
        return [file]
    stored = [into for into, _ in starts] + [file.size]
    content = [out for _, out in starts] + [END]
    edges = _edges([b - a for a, b in pairwise(stored)], split_bytes)
    return [
        dataclasses.replace(file, span=(content[a], content[b]), offset=stored[a], stored=stored[b] - stored[a])
        for a, b in pairwise(edges)
    ]


def _edges(sizes: list[int], wanted: int) -> list[int]:
    """Where to cut a row of pieces so that each group but the last has at least `wanted` bytes."""
    edges, filled = [0], 0
    for index, size in enumerate(sizes, 1):
        filled += size
        if filled >= wanted or index == len(sizes):
            edges.append(index)
            filled = 0
    return edges
