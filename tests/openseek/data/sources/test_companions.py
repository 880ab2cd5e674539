"""Which files of a folder are data."""

import pytest

from openseek.data.sources import Source
from openseek.data.sources.companions import wanted
from openseek.raw_files import RawFile


def kept(*names: str, **options) -> list[str]:
    files = [RawFile(f"/data/{name}", name, 1) for name in names]
    return [file.relative for file in wanted(files, Source("s", "/data", **options))]


def test_a_dataset_folder_of_the_hub_is_its_tables() -> None:
    names = ("README.md", "LICENSE", ".gitattributes", "dataset_infos.json", "data/train-00000-of-00001.parquet")
    assert kept(*names, ".cache/huggingface/download/data/x.metadata", "data/x.parquet.lock") == [names[-1]]
    assert kept("dataset_dict.json", "train/state.json", "train/dataset_info.json", "train/data-00000.arrow") == [
        "train/data-00000.arrow"
    ]
    assert kept("README", "a.jsonl.zst") == kept("README", "a.jsonl.zst", format="jsonl") == ["a.jsonl.zst"]


def test_notes_are_texts_where_the_data_are_texts() -> None:
    names = ("README.md", "LICENSE", "book.epub", "notes.txt", "src/readme.rst")
    assert kept(*names) == list(names)
    assert kept("README.md", "src/a.py", ".git/config", "node_modules/x/index.js", format="code") == [
        *("README.md", "src/a.py")
    ]


def test_a_file_that_is_named_itself_stays_and_a_folder_without_data_is_refused() -> None:
    assert kept("README.md") == ["README.md"]
    with pytest.raises(ValueError, match=r"of 's' holds 2 files, none of them data \(first: /data/state.json\)"):
        kept("state.json", "dataset_info.json")
