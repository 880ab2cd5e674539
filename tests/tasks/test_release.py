"""release: listed documents go, restricted texts are withheld, the card counts, copies go on and never mix."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.__main__ import main
from openseek.artifact import read_manifest
from openseek.data.release import Release, publish
from tasks.release import release
from tasks.where import Where

SHARDS = [
    [
        {"text": "kept by attribution", "licence": "by", "url": "https://a.org/1"},
        {"text": "SECRET of a listed page", "licence": "by", "url": "https://bad.org/2"},
        {"text": "terms TEXT", "licence": "terms", "url": "https://a.org/3", "meta": '{"warc_record_id": "<u:3>"}'},
    ],
    [
        {"text": "nd TEXT", "licence": "nd", "url": "https://a.org/4"},
        {"text": "中文", "licence": "public", "lang": "zh", "source": "zh"},
    ],
]


def listed(folder: Path) -> str:
    path = folder / "list.jsonl"
    path.write_text('{"version": "7"}\n{"kind": "domain", "value": "bad.org"}\n')
    return str(path)


def read(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_a_release_holds_what_may_go_out(root: Where, documents_of: Callable[..., Path], tmp_path: Path) -> None:
    documents = documents_of(SHARDS)
    target = tmp_path / "public"
    done = release(documents, config=Release(suppression=listed(tmp_path), destination=str(target)))
    facts = read_manifest(done)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"]) == (5, 2, {"suppressed": 1, "text_withheld": 2})
    assert [row["text"] for row in read(target / "data")] == ["kept by attribution", "中文"]
    metadata = read(target / "metadata")
    assert [(row["url"], row["source_id"]) for row in metadata] == [
        ("https://a.org/3", "<u:3>"),
        ("https://a.org/4", ""),
    ]
    assert not {"text", "meta"} & set(metadata[0])
    (gone,) = [row for row in read(done / "dropped") if row["rule"] == "suppressed"]
    assert (gone["detail"], gone["row"]) == ("domain bad.org (list 7)", 1)
    card = (target / "README.md").read_text()
    for wanted in ("2 documents with their text, 21 characters", "| zh | zh | public | 1 | 2 |", "suppression list: 7"):
        assert wanted in card
    everything = b"".join(path.read_bytes() for path in target.rglob("*") if path.is_file())
    assert b"bad.org" not in everything and not (target / "dropped").exists()
    assert "TEXT" not in str(read(target / "data") + metadata)
    assert json.loads((target / "release.json").read_text())["complete"]


def test_a_class_in_neither_list_is_left_out(root: Where, documents_of: Callable[..., Path]) -> None:
    done = release(documents_of(SHARDS), config=Release(licences=("by",), metadata_licences=("nd",)))
    assert read_manifest(done)["facts"]["dropped"] == {"licence": 2, "text_withheld": 1}


def test_a_copy_goes_on_and_never_mixes_two_releases(
    root: Where, documents_of: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = release(documents_of(SHARDS))
    target, fingerprint = tmp_path / "public", read_manifest(done)["fingerprint"]
    assert publish(done, str(target), fingerprint) == 5
    whole = {path.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    part = target / "data" / "00001.parquet"
    part.write_bytes(part.read_bytes()[:50])
    assert main(["publish", str(done), "--destination", str(target)]) == 0
    assert "2 files copied" in capsys.readouterr().out
    assert whole == {path.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="holds the release"):
        publish(done, str(target), "0" * 64)
    assert main(["publish", str(documents_of(SHARDS[:1], "other")), "--destination", str(target)]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"licences": ("MIT",)}, "Release.licences has 'MIT'"),
        ({"licences": ("nd",)}, "'nd' is in licences and in metadata_licences"),
        ({"destination": "s3://key:secret@bucket/x"}, "names an account or a signature"),
    ],
)
def test_wrong_releases_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Release(**options)
