"""Files of a published list: paths below its host, whole URLs, globs against the end, relative paths for ids."""

import gzip
from collections.abc import Iterator

import fsspec
import pytest

from openseek.raw_index import indexed, is_indexed


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/host", recursive=True)


def test_paths_of_a_packed_list_stand_below_its_host(memory: fsspec.AbstractFileSystem) -> None:
    lines = [f"set/quality=high/kind={kind}/CC-part-{n}.jsonl.zstd" for n in (1, 0) for kind in ("actual", "synthetic")]
    memory.pipe("/host/set/list.paths.gz", gzip.compress("\n".join(lines).encode() + b"\n"))
    found = indexed("memory://host/set/list.paths.gz#quality=high/kind=actual/*.jsonl.*")
    assert found == [
        (f"memory://host/set/quality=high/kind=actual/CC-part-{n}.jsonl.zstd", f"CC-part-{n}.jsonl.zstd")
        for n in (0, 1)
    ]


def test_urls_stand_for_themselves_and_keep_the_folders_that_a_wildcard_chose(
    memory: fsspec.AbstractFileSystem,
) -> None:
    text = "https://a.org/v1/wiki/wiki-0000.json.gz\n\nhttps://a.org/v1/pes2o/pes2o-0003.json.gz\n"
    memory.pipe("/host/urls.txt", text.encode())
    assert indexed("memory://host/urls.txt#wiki/*.json.gz") == [
        ("https://a.org/v1/wiki/wiki-0000.json.gz", "wiki-0000.json.gz")
    ]
    assert indexed("memory://host/urls.txt#p*/pes2o-*.json.gz") == [
        ("https://a.org/v1/pes2o/pes2o-0003.json.gz", "pes2o/pes2o-0003.json.gz")
    ]
    with pytest.raises(ValueError, match=r"names no file that ends in 'books/\*.gz'"):
        indexed("memory://host/urls.txt#books/*.gz")


def test_only_a_url_with_a_glob_is_a_list() -> None:
    assert is_indexed("https://a.org/list#x/*.gz")
    assert not is_indexed("/data/c#/x.jsonl")
    assert not is_indexed("https://a.org/x.jsonl")
