"""Sources of text: what `ingest` reads, in which form, under which limits. READERS is the table of formats."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Literal

from openseek.data.sources import jsonl, parquet, warc
from openseek.data.sources.record import Item, Limits
from openseek.data.sources.rows import LICENCES
from openseek.raw_files import RawFile

Reader = Callable[[RawFile, "Source", Limits], Iterator[Item]]
READERS: dict[str, Reader] = {"warc": warc.read, "jsonl": jsonl.read, "parquet": parquet.read}
SUFFIXES = {
    "warc": (".warc", ".warc.gz"),
    "jsonl": tuple(f"{stem}{end}" for stem in (".jsonl", ".ndjson", ".json") for end in ("", ".gz", ".zst", ".zstd")),
    "parquet": (".parquet",),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")


@dataclasses.dataclass(frozen=True)
class Source:
    """Files of one origin and one form."""

    name: str
    """Name of the source: part of every document's id and the key of rules, mixtures and token shards."""
    path: str = field(metadata={"raw": True})
    """File, folder or glob of the raw files."""
    kind: Literal["document", "chat", "problem"] = "document"
    """document: text; chat: conversations or instruction rows; problem: questions with a checkable answer."""
    format: str = ""
    """warc, jsonl (also arrays in .json, gzip, zstd) or parquet; empty: by each file's name."""
    lang: str = ""
    """ISO 639-1 code of every row; empty: identified from the text."""
    licence: str = "unknown"
    """Licence class: by, by-sa, nc, nd, permissive, terms, public, unknown."""
    text_column: str = "text"
    """Column of the text (kind document)."""
    url_column: str = "url"
    """Column of the address; empty: none."""
    date_column: str = "date"
    """Column of the date; empty: none."""
    licence_column: str = ""
    """Column of a licence class that overrides `licence` row by row; empty: none. Other values go to meta."""
    messages_column: str = "messages"
    """Column of [{role, content}] (kind chat)."""
    conversations_column: str = "conversations"
    """Column of [{from, value}] (kind chat)."""
    instruction_column: str = "instruction"
    """Column of the instruction in rows without messages (kind chat)."""
    input_column: str = "input"
    """Column of what the instruction works on; it may be missing or empty (kind chat)."""
    output_column: str = "output"
    """Column of the answer to the instruction (kind chat)."""
    question_column: str = "question"
    """Column of the problem (kind problem)."""
    answer_column: str = "answer"
    """Column of the answer (kind problem)."""
    answer_marker: str = ""
    """What stands before the final answer in its column, such as "####" in GSM8K; empty: the column is the answer."""
    reward: str = "math_answer"
    """Name of the reward that checks the answer (kind problem)."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"Source.name is {self.name!r}: give a name of letters, digits, '_' and '.'")
        if not self.path:
            raise ValueError(f"Source.path of {self.name!r} is empty: give a file, a folder or a glob")
        if self.format and self.format not in READERS:
            raise ValueError(
                f"Source.format of {self.name!r} is {self.format!r}: give one of {', '.join(READERS)} or none"
            )
        if self.licence not in LICENCES:
            raise ValueError(f"Source.licence of {self.name!r} is {self.licence!r}: give one of {', '.join(LICENCES)}")

    def format_of(self, path: RawFile) -> str:
        """The format of one of this source's files; ValueError when its name does not tell."""
        if self.format:
            return self.format
        for name, suffixes in SUFFIXES.items():
            if path.name.lower().endswith(suffixes):
                return name
        raise ValueError(
            f"{path}: unknown format (source {self.name!r}); known endings: "
            f"{', '.join(s for group in SUFFIXES.values() for s in group)}. Name the wanted files by a glob, or set "
            f"Source.format"
        )


@dataclasses.dataclass(frozen=True)
class Ingest:
    """What to read, and what to do about files that are not sound."""

    sources: tuple[Source, ...] = ()
    """The sources, read in this order; each file becomes one shard."""
    max_record_bytes: int = 16 << 20
    """Records above this size are dropped (rule record_bytes)."""
    max_expansion: float = 1000.0
    """Decompressed over compressed bytes at which a file is refused as a decompression bomb."""
    on_truncated: Literal["fail", "quarantine"] = "fail"
    """A file cut off or damaged in the middle: fail and name it, or keep the records before the break."""

    def __post_init__(self) -> None:
        if self.max_record_bytes < 1:
            raise ValueError(f"Ingest.max_record_bytes is {self.max_record_bytes}: give at least 1")
        if self.max_expansion <= 1:
            raise ValueError(f"Ingest.max_expansion is {self.max_expansion}: give a ratio above 1")
        names = [source.name for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"Ingest.sources: {', '.join(twice)} is named twice: ids are made of names, so give two names"
            )
