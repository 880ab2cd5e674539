"""What `import_tokens` takes: Megatron token files that another program wrote, and their tokenizer. Light to import."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path

from openseek.data.tokenizer import END_OF_DOCUMENT, SPECIAL_TOKENS, RankFile

KEY_ENDING = "_text_document"
"""What Megatron's preprocessing puts behind the name that its user gave."""
SUFFIXES = (".bin", ".idx")
MOST_NAMED = 20


@dataclass(frozen=True)
class TokenFiles:
    """PREFIX.bin and PREFIX.idx."""

    prefix: str = field(metadata={"raw": True})
    """Path without .bin and .idx."""
    source: str = ""
    """Source of its documents; empty: the file's name without _text_document."""

    @property
    def name(self) -> str:
        """The source that its documents count for."""
        return self.source or Path(self.prefix).name.removesuffix(KEY_ENDING)

    @property
    def path(self) -> Path:
        """The prefix as an absolute path."""
        return Path(self.prefix).expanduser().absolute()

    def missing(self) -> list[str]:
        """Those of its two files that are not there."""
        paths = [self.path.with_name(self.path.name + suffix) for suffix in SUFFIXES]
        return [str(path) for path in paths if not path.is_file()]


@dataclass(frozen=True)
class ImportTokens:
    """Token files as they are, where they are: nothing is copied, and what is trained on them refers to them."""

    files: tuple[TokenFiles, ...] = ()
    """Token files to train on; several may be of one source."""
    heldout: tuple[TokenFiles, ...] = ()
    """Token files that are only measured on."""
    tokenizer: str = field(default="", metadata={"raw": True})
    """The tokenizer that they were made with: a tokenizer.json, a *.tiktoken file of ranks, or a folder with one."""
    rank_file: RankFile = RankFile()
    """How to read a tiktoken file."""
    end_of_document: str = END_OF_DOCUMENT
    """Special token that ends each document of the files."""
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS
    """Special tokens that the tokenizer gets behind its own where it lacks them, for the steps after pretraining; none:
    for a model that has no row to spare."""

    def __post_init__(self) -> None:
        prefixes = [str(files.path) for files in (*self.files, *self.heldout)]
        if twice := sorted({prefix for prefix in prefixes if prefixes.count(prefix) > 1}):
            raise ValueError(f"import_tokens names {', '.join(twice)} twice: its tokens would count twice")

    def missing(self) -> list[str]:
        """Every file that is named and not there."""
        absent = [path for files in (*self.files, *self.heldout) for path in files.missing()]
        if self.tokenizer and not Path(self.tokenizer).expanduser().exists() and not glob.glob(self.tokenizer):
            absent.append(str(Path(self.tokenizer).expanduser().absolute()))
        return absent

    def resolved(self) -> ImportTokens:
        """The same with a pattern for each pair of files; ValueError names all that are missing."""
        if absent := self.missing():
            more = f", and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
            raise ValueError(
                f"import_tokens: {len(absent)} files are not there: {', '.join(absent[:MOST_NAMED])}{more}: "
                "correct the paths, or start in the folder that relative ones begin at"
            )
        return replace(self, files=_patterns(self.files), heldout=_patterns(self.heldout))


def _patterns(files: tuple[TokenFiles, ...]) -> tuple[TokenFiles, ...]:
    return tuple(replace(each, prefix=glob.escape(str(each.path)) + ".[bi][di][nx]") for each in files)


def by_name(prefixes: list[str]) -> tuple[TokenFiles, ...]:
    """Token files of these prefixes, a source each: named after the file, or, where two files have one name, all after
    their path below the folder that they share."""
    files = [TokenFiles(prefix) for prefix in dict.fromkeys(prefixes)]
    names = [each.name for each in files]
    if len(set(names)) == len(names):
        return tuple(files)
    parts = [Path(each.prefix).parts for each in files]
    shared = next(i for i in range(min(map(len, parts))) if len({part[i] for part in parts}) > 1)
    named = ["/".join(part[shared:]).removesuffix(KEY_ENDING) for part in parts]
    return tuple(replace(each, source=name) for each, name in zip(files, named, strict=True))
