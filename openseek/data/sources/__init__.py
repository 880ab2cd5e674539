"""Sources of text: what `ingest` reads, in which form, under which limits. READERS is the table of formats."""

import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, Literal

from openseek.data.sources import code_files
from openseek.data.sources.content import Content
from openseek.data.sources.record import Item, Limits
from openseek.data.sources.rows import LICENCES
from openseek.fields import changed
from openseek.raw_files import RawFile

Reader = Callable[[RawFile, "Source", Limits], Iterator[Item]]


def _late(module: str, function: str = "read") -> Reader:
    """A reader whose module is imported when it first reads: every --help passes here."""

    def read(file: RawFile, source: "Source", limits: Limits) -> Iterator[Item]:
        return getattr(importlib.import_module(f"openseek.data.sources.{module}"), function)(file, source, limits)

    return read


READERS: dict[str, Reader] = {
    "warc": _late("warc"),
    "jsonl": _late("jsonl"),
    "parquet": _late("parquet"),
    "arrow": _late("arrow_ipc"),
    "csv": _late("delimited"),
    "mediawiki": _late("mediawiki"),
    "markdown": _late("text_files", "read_markdown"),
    "text": _late("text_files"),
    "epub": _late("epub"),
    "latex": _late("latex"),
    "pdf": _late("pdf"),
    "code": _late("code_files"),
}
ENDS = ("", ".gz", ".zst", ".zstd", ".bz2")
SUFFIXES = {
    "warc": tuple(f"{stem}{end}" for stem in (".warc", ".wet") for end in ("", ".gz", ".zst", ".zstd")),
    "jsonl": tuple(f"{stem}{end}" for stem in (".jsonl", ".ndjson", ".json") for end in ENDS),
    "parquet": (".parquet",),
    "arrow": (".arrow", ".arrows", ".feather", ".ipc"),
    "csv": tuple(f"{stem}{end}" for stem in (".csv", ".tsv", ".tab") for end in ("", ".gz", ".zst", ".zstd", ".bz2")),
    "mediawiki": tuple(f".xml{end}" for end in ("", ".gz", ".zst", ".bz2")),
    "code": code_files.ENDINGS,
    "markdown": (".md", ".markdown"),
    "text": (".txt", ".text", ".rst", "readme", "license", "licence", "copying", "notice", "authors", "changelog"),
    "epub": (".epub",),
    "latex": (".tex", ".latex"),
    "pdf": (".pdf",),
}
# Parts of a dump carry their pages' numbers behind the ending.
DUMP_PART = re.compile(r"(?<=\.xml)-p\d+p\d+[^.]*")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")


@dataclasses.dataclass(frozen=True)
class Source:
    """Files of one origin and one form."""

    name: str
    """Name of the source: part of every document's id and the key of rules, mixtures and token shards."""
    path: str = field(metadata={"raw": True})
    """File, folder or glob of the raw files, or a URL of one (s3://, gs://, hf://, https://), or several URLs."""
    kind: Literal["document", "chat", "problem"] = "document"
    """document: text; chat: conversations or instruction rows; problem: questions with a checkable answer."""
    format: str = ""
    """warc, jsonl, parquet, arrow, csv, mediawiki, markdown, text, epub, latex, pdf or code; empty: by file names."""
    extractor: Literal["trafilatura", "resiliparse"] = "trafilatura"
    """What finds the main text of HTML pages: trafilatura is more exact on articles, resiliparse much faster."""
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
    split: Literal["", "file", "chapter"] = ""
    """A document a file or a chapter (Markdown, EPUB, LaTeX, PDF); empty: a chapter of EPUB and LaTeX, else a file."""
    delimiter: str = ""
    """What stands between the fields of csv files; empty: tab in .tsv and .tab files, comma in others."""
    columns: tuple[str, ...] = ()
    """Names of the columns of csv files without a header; empty: the first record names them."""
    content: Content = Content()
    """Where the text of rows that hold only an id is fetched (kind document)."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"Source.name is {self.name!r}: give a name of letters, digits, '_' and '.'")
        if not self.path:
            raise ValueError(f"Source.path of {self.name!r} is empty: give a file, a folder or a glob")
        if self.format and self.format not in READERS:
            raise ValueError(
                f"Source.format of {self.name!r} is {self.format!r}: give one of {', '.join(READERS)} or none"
            )
        if self.delimiter and (len(self.delimiter) > 1 or self.delimiter in '"\r\n'):
            raise ValueError(f"Source.delimiter of {self.name!r} is {self.delimiter!r}: give one character, no quote")
        if self.licence not in LICENCES:
            raise ValueError(f"Source.licence of {self.name!r} is {self.licence!r}: give one of {', '.join(LICENCES)}")

    def format_of(self, path: RawFile) -> str:
        """The format of one of this source's files; ValueError when its name does not tell."""
        if self.format:
            return self.format
        if name := known_format(path.name):
            return name
        endings = ", ".join(s for name, group in SUFFIXES.items() if name != "code" for s in group)
        raise ValueError(
            f"{path}: unknown format (source {self.name!r}); known endings: {endings} and those of source code. Name "
            f"the wanted files by a glob, or set Source.format"
        )


def known_format(name: str) -> str:
    """The format that a file's name tells; "" for none."""
    plain = DUMP_PART.sub("", name.lower())
    return next((format for format, suffixes in SUFFIXES.items() if plain.endswith(suffixes)), "")


@dataclasses.dataclass(frozen=True)
class Ingest:
    """What to read, and what to do about files that are not sound."""

    sources: tuple[Source, ...] = ()
    """The sources, read in this order; each file becomes one shard."""
    source: tuple[str, ...] = ()
    """Names from the catalogue (`openseek sources` lists them), read after `sources`."""
    mirror: str = field(default="", metadata={"raw": True})
    """Folder or URL that holds the chosen sets as their homes do; {dataset} in it is each set's folder; empty: home."""
    override: tuple[str, ...] = ()
    """Fields of the chosen sources: FIELD=VALUE or NAME.FIELD=VALUE, such as text_column=body or content.root=DIR."""
    suppression: str = field(default="", metadata={"raw": True})
    """Suppression list (JSON lines): what it names is dropped (rule suppressed) and stored nowhere; empty: none."""
    max_record_bytes: int = 16 << 20
    """Records above this size go to quarantine and never are in memory as a whole."""
    page_seconds: float = 10.0
    """CPU seconds that a web page may take to become text; beyond them it is dropped (rule page_seconds)."""
    page_memory_bytes: int = 2 << 30
    """Memory that a web page may take to become text; beyond it the page is quarantined."""
    max_expansion: float = 1000.0
    """Decompressed over compressed bytes at which the rest of a file is quarantined as a decompression bomb."""
    on_truncated: Literal["fail", "quarantine"] = "fail"
    """A file cut off or damaged in the middle: fail and name it, or keep the records around the break."""
    split_bytes: int = 256 << 20
    """Files above this size are read in parts, each a shard: parquet, plain jsonl, jsonl.zst of several frames."""

    def __post_init__(self) -> None:
        if self.max_record_bytes < 1:
            raise ValueError(f"Ingest.max_record_bytes is {self.max_record_bytes}: give at least 1")
        if self.page_seconds <= 0:
            raise ValueError(f"Ingest.page_seconds is {self.page_seconds}: give a time above 0")
        if self.page_memory_bytes < 256 << 20:
            raise ValueError(f"Ingest.page_memory_bytes is {self.page_memory_bytes}: give at least {256 << 20}")
        if self.split_bytes < 1:
            raise ValueError(f"Ingest.split_bytes is {self.split_bytes}: give at least 1")
        if self.max_expansion <= 1:
            raise ValueError(f"Ingest.max_expansion is {self.max_expansion}: give a ratio above 1")
        names = [source.name for source in self.sources] + list(self.source)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"Ingest.sources: {', '.join(twice)} is named twice: ids are made of names, so give two names"
            )
        if self.source:
            # Unknown names and fields are told here, before anything runs.
            self.resolved()

    def resolved(self) -> "Ingest":
        """The same with the catalogue's sources written out in `sources`: what is read, and what is fingerprinted."""
        if not self.source:
            if self.mirror or self.override:
                raise ValueError("Ingest.mirror and override are for sources of the catalogue: name them in `source`")
            return self
        from openseek.data.sources.catalogue import chosen

        made = tuple(entry.source(self.mirror) for entry in chosen(self.source))
        changes = [_override(word, self.source) for word in self.override]
        for name, values in changes:
            made = tuple(changed(s, values, f"{s.name}.") if name in ("", s.name) else s for s in made)
        return dataclasses.replace(self, sources=(*self.sources, *made), source=(), mirror="", override=())


def _override(word: str, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The source that NAME.FIELD=VALUE is for ("": all) and the field with its value, read as YAML."""
    import yaml

    key, equals, value = word.partition("=")
    name, _, rest = key.partition(".")
    if not equals or not key:
        raise ValueError(f"Ingest.override {word!r}: write it as FIELD=VALUE or NAME.FIELD=VALUE")
    return (name, {rest: yaml.safe_load(value)}) if name in names else ("", {key: yaml.safe_load(value)})
