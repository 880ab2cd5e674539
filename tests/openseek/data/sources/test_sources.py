"""Source and Ingest check themselves; formats go by file names; configs load nothing heavy."""

import subprocess
import sys

import pytest

from openseek.data.sources import READERS, SUFFIXES, Ingest, Source
from openseek.raw_files import RawFile


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("CC-MAIN.warc.gz", "warc"),
        ("a.WARC", "warc"),
        ("part.jsonl.zstd", "jsonl"),
        ("wiki.json.gz", "jsonl"),
        ("000_00000.parquet", "parquet"),
        ("data-00000-of-00001.arrow", "arrow"),
        ("a.tsv.bz2", "csv"),
        ("zhwiki-latest-pages-articles1.xml-p1p41242.bz2", "mediawiki"),
        ("README.md", "markdown"),
        ("LICENSE", "text"),
        ("a.EPUB", "epub"),
        ("a.tex", "latex"),
        ("a.pdf", "pdf"),
        ("CMakeLists.txt", "code"),
        ("a.py", "code"),
    ],
)
def test_format_by_name(name: str, format: str) -> None:
    assert Source("s", "p").format_of(RawFile(name, name, 1)) == format


def test_an_unknown_format_is_named_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"notes.docx: unknown format \(source 's'\); known endings: .warc.*Source.format"
    ):
        Source("s", "p").format_of(RawFile("notes.docx", "notes.docx", 1))
    assert Source("s", "p", format="jsonl").format_of(RawFile("notes.docx", "notes.docx", 1)) == "jsonl"


def test_every_reader_has_file_names() -> None:
    assert set(READERS) == set(SUFFIXES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "", "path": "p"}, "Source.name"),
        ({"name": "a/b", "path": "p"}, "Source.name is 'a/b'"),
        ({"name": "a", "path": ""}, "Source.path of 'a' is empty"),
        ({"name": "a", "path": "p", "format": "docx"}, "Source.format of 'a' is 'docx': give one of warc, jsonl"),
        ({"name": "a", "path": "p", "licence": "MIT"}, "Source.licence of 'a' is 'MIT'"),
    ],
)
def test_wrong_sources_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_record_bytes": 0}, "max_record_bytes is 0"),
        ({"max_expansion": 1.0}, "max_expansion is 1.0"),
        ({"sources": (Source("a", "p"), Source("a", "q"))}, "a is named twice"),
    ],
)
def test_wrong_ingests_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ingest(**options)


def test_configs_and_tasks_load_nothing_heavy() -> None:
    configs = "openseek.data.sources, openseek.data.filters, openseek.data.scorers"
    heavy = ["numpy", "numba", "pyarrow", "torch", "prefect", "mlflow", "trafilatura", "fastwarc", "opencc", "orjson"]
    heavy += ["lxml", "yaml", "mwparserfromhell", "pypdfium2"]
    modules = f"{configs}, tasks.ingest, tasks.filter, tasks.classify"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
