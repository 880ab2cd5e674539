"""Real text to measure on: the corpora beside the checkout, or the bundled samples where they are not there."""

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from benchmarks.rows import REPOSITORY

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
    for name in TABLES if there else SAMPLE_TABLES:
        table = pq.read_table((CORPORA if there else REPOSITORY / "samples") / name)
        urls = table["url"].to_pylist() if "url" in table.column_names else [""] * table.num_rows
        for text, url in zip(table["text"].to_pylist(), urls, strict=True):
            yield {"text": text, "url": url or ""}


def write_jsonl(path: Path, megabytes: float) -> tuple[float, int]:
    """A jsonl.zst file of at least so much text, the corpus as often as it takes; (MB of UTF-8 text, documents)."""
    import zstandard

    size = count = 0
    with zstandard.open(path, "wb", cctx=zstandard.ZstdCompressor(level=3)) as file:
        for document in cycle(list(documents())):
            if size >= megabytes * 1e6:
                return size / 1e6, count
            file.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
            size, count = size + len(document["text"].encode()), count + 1
    raise AssertionError("a cycle does not end")
