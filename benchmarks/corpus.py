"""Real text to measure on: the corpora beside the checkout, or the bundled samples where they are not there."""

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import REPOSITORY

if TYPE_CHECKING:
    import pyarrow as pa

CORPORA = REPOSITORY.parent / "shared" / "corpora"
TABLES = (
    "en_edu/fineweb-edu/sample/10BT/000_00000.parquet",
    "en_edu/fineweb-edu/data/CC-MAIN-2024-10/train-00000-of-00002.parquet",
    "zh/Fineweb-Edu-Chinese-V2.1/2_3/000000.parquet",
    "zh/Fineweb-Edu-Chinese-V2.1/4_5/000000.parquet",
)
SAMPLE_TABLES = (
    "en_edu/fineweb-edu-dated.parquet",
    "en_edu/fineweb-edu-docs.parquet",
    "zh_edu/fineweb-edu-chinese-3_4.parquet",
    "zh_edu/fineweb-edu-chinese-4_5.parquet",
)


def documents() -> Iterator[dict[str, str]]:
    """{text, url} of English and Chinese educational pages."""
    import pyarrow.parquet as pq

    there = CORPORA.is_dir()
    folder, names = (CORPORA, TABLES) if there else (REPOSITORY / "samples", SAMPLE_TABLES)
    tables = [pq.read_table(folder / name) for name in names]
    for table in tables:
        for text, url in zip(_column(table, "text"), _column(table, "url"), strict=True):
            yield {"text": text or "", "url": url or ""}


def _column(table: "pa.Table", name: str) -> list[str | None]:
    return table[name].to_pylist() if name in table.column_names else [None] * table.num_rows


def write_jsonl(path: Path, megabytes: float, step: int = 1) -> tuple[float, int]:
    """A jsonl.zst file of at least so much text, the corpus as often as it takes; (MB of UTF-8 text, documents).

    With a `step` only every so many documents of it, such that a small file holds some of each language.
    """
    import zstandard

    size = count = 0
    with zstandard.open(path, "wb", cctx=zstandard.ZstdCompressor(level=3)) as file:
        for document in cycle(list(documents())[::step]):
            if size >= megabytes * 1e6:
                return size / 1e6, count
            file.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
            size, count = size + len(document["text"].encode()), count + 1
    raise AssertionError("a cycle does not end")
