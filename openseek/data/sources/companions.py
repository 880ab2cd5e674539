"""Files beside the data that hold none: what a folder of raw files is read without."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from openseek.raw_files import RawFile

if TYPE_CHECKING:
    from openseek.data.sources import Source

FOLDERS = frozenset(
    (".git", ".hg", ".svn", ".cache", ".huggingface", ".venv", ".idea", ".vscode", ".tox", ".mypy_cache")
    + ("node_modules", "bower_components", "__pycache__", "__macosx", ".ipynb_checkpoints", ".pytest_cache")
)
NAMES = frozenset(
    ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", ".gitattributes", ".gitignore")
    + (".gitmodules", "_success", "_metadata", "_common_metadata", ".ds_store", "thumbs.db", "desktop.ini")
    + ("dvc.lock", "croissant.json")
)
ENDINGS = (".md5", ".sha1", ".sha256", ".sha512", ".crc", ".lock", ".incomplete", ".aria2")
# Notes about the data, in a folder of tables; elsewhere they are texts like others.
NOTES = ("readme", "license", "licence", "copying", "notice", "citation", "changelog", "authors", "contributing")
NOTE_ENDINGS = ("", ".md", ".txt", ".rst", ".cff", ".pdf")
TABLES = frozenset(("warc", "jsonl", "parquet", "csv", "arrow"))


def wanted(files: Sequence[RawFile], source: "Source") -> list[RawFile]:
    """The files of a source without those of FOLDERS and NAMES, and in a folder of tables without NOTES.

    A file that is named by itself stays. ValueError when nothing is left.
    """
    if len(files) == 1 and "/" not in files[0].relative:
        return list(files)
    data = [file for file in files if not _is_companion(PurePosixPath(file.relative))]
    notes = {file.relative for file in data if _is_note(file.name)}
    if any(_is_table(file, source) for file in data if file.relative not in notes):
        data = [file for file in data if file.relative not in notes]
    if not data:
        raise ValueError(
            f"Source.path of {source.name!r} holds {len(files)} files, none of them data (first: {files[0]}): "
            f"name the wanted files by a glob"
        )
    return data


def _is_companion(path: PurePosixPath) -> bool:
    name = path.name.lower()
    folders = {part.lower() for part in path.parts[:-1]}
    return name in NAMES or name.endswith(ENDINGS) or bool(FOLDERS & folders)


def _is_note(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return path.stem in NOTES and path.suffix in NOTE_ENDINGS


def _is_table(file: RawFile, source: "Source") -> bool:
    from openseek.data.sources import known_format

    return (source.format or known_format(file.name)) in TABLES
