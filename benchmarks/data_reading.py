"""Readers beside datatrove's, on the same files in the same run: MB of text per CPU second; and ingest as a whole."""

import gzip
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpus import documents, write_jsonl
from benchmarks.peers import peer
from benchmarks.rows import Row, cpu_name, cpu_seconds

if TYPE_CHECKING:
    import pyarrow as pa

MEGABYTES = 120
REPEAT, TURNS = 5, 3
FILES = ("text.jsonl.zst", "text.jsonl.gz", "text.jsonl", "text.parquet")
PEER = """
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from loguru import logger
logger.remove()
found = {}
for name in arguments["files"]:
    reader = ParquetReader if name.endswith("parquet") else JsonlReader
    times = []
    for _ in range(arguments["repeat"]):
        before = spent()
        characters = sum(len(document.text) for document in reader(arguments["folder"], glob_pattern=name).run())
        times.append(spent() - before)
    found[name] = {"seconds": min(times), "characters": characters}
print(json.dumps(found))
"""


def rows() -> list[Row]:
    """Reading of each form beside datatrove; documents with ids and languages, written, by one core."""
    import pyarrow.compute as pc

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        megabytes, count = write_jsonl(folder / FILES[0], MEGABYTES)
        _other_forms(folder)
        shared: dict[str, Any] = {
            "bench": "data_reading",
            "unit": "MB of text per CPU second",
            "device": cpu_name(),
            "command": "openseek bench data",
        }
        found = []
        for file in FILES:
            # By turns, file after file: a machine that others use is not the same five minutes later.
            turns = []
            for _ in range(TURNS):
                told = peer(PEER, {"folder": name, "files": [file], "repeat": REPEAT})
                turns.append((told, cpu_seconds(partial(_exhaust, folder / file), REPEAT)[0]))
            seconds = min(ours for _, ours in turns)
            told = min((theirs[file] for theirs, _ in turns if theirs), key=lambda t: t["seconds"], default=None)
            # Counting characters is the check, not the reading; datatrove has a string, which knows its length.
            lengths = (pc.call_function("utf8_length", [text]) for text in _read(folder / file))
            characters = sum(pc.call_function("sum", [numbers]).as_py() for numbers in lengths)
            if told is not None and told["characters"] != characters:
                raise AssertionError(f"{file}: {characters} characters read, {told['characters']} by datatrove")
            found.append(
                Row(
                    **shared,
                    case=f"{file}: {count} documents, {megabytes:.0f} MB of text",
                    metric="read",
                    value=megabytes / seconds,
                    peer="datatrove JsonlReader" if "json" in file else "datatrove ParquetReader",
                    peer_value=megabytes / told["seconds"] if told else None,
                )
            )
        for lang in ("", "en"):
            seconds, _ = cpu_seconds(partial(_ingest, folder / FILES[0], lang))
            case = "language identified" if not lang else "language given"
            case = f"{FILES[0]} to documents, {case}"
            found.append(Row(**shared, case=case, metric="ingest, written", value=megabytes / seconds))
    return found


def _other_forms(folder: Path) -> None:
    """The same records as gzip, plain and parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    with zstandard.open(folder / FILES[0], "rb") as file:
        data: Any = file.read()
    (folder / FILES[1]).write_bytes(gzip.compress(data, 6))
    (folder / FILES[2]).write_bytes(data)
    table = pa.Table.from_pylist(list(documents()))
    size = table.num_rows
    indices = [i % size for i in range(data.count(b"\n"))]
    pq.write_table(table.take(indices), folder / FILES[3], compression="zstd", row_group_size=8192)


def _exhaust(path: Path) -> int:
    """Bytes of all texts, by the reader alone."""
    return sum(text.nbytes for text in _read(path))


def _read(path: Path) -> "Iterator[pa.Array]":
    """All texts, a column at a time."""
    from openseek.data.sources import READERS, Source
    from openseek.data.sources.record import Limits, Rows
    from openseek.raw_files import RawFile

    source, file = Source("s", str(path)), RawFile.at(path)
    for item in READERS[source.format_of(file)](file, source, Limits(16 << 20, 1000.0)):
        assert isinstance(item, Rows), item
        yield item.text


def _ingest(path: Path, lang: str) -> int:
    """Rows out of one shard, with ids, languages and facts, written as parquet."""
    from openseek.data.sources import Ingest, Source
    from openseek.data.sources.documents import read_file
    from openseek.raw_files import RawFile
    from tasks.shards import map_shards

    source = Source("s", str(path), lang=lang)
    with tempfile.TemporaryDirectory() as out:
        read = partial(read_file, config=Ingest((source,)))
        return map_shards(Path(out), [(source, RawFile.at(path))], read, title="ingest")["rows_out"]
