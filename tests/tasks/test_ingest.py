"""ingest end to end: mixed sources, accounting, broken files, and a repaired file on the second try."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openseek.artifact import read_manifest
from openseek.data.document import DOCUMENT, document_id
from openseek.data.sources import Ingest, Source
from tasks.ingest import ingest
from tasks.where import Where

ROWS = [{"text": f"This is the sentence with number {i}.", "n": i} for i in range(100)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def read(directory: Path, part: str) -> list[dict]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / part).glob("*.parquet"))]).to_pylist()


def test_sources_of_all_kinds_become_documents(root: Where, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "deep").mkdir(parents=True)
    (raw / "deep" / "a.jsonl.gz").write_bytes(gzip.compress(LINES + b"no json\n" + b'{"text": ""}\n'))
    pq.write_table(pa.table({"body": ["他们在这里学习。", "他們在這裡學習。"]}), raw / "zh.parquet")
    (raw / "chat.json").write_text(json.dumps([{"instruction": "Say hi.", "output": "Hi!"}]))
    (raw / "rl.jsonl").write_text('{"question": "How much is 2 and 2?", "answer": "so #### 4"}\n')
    sources = (
        Source("lines", str(raw / "**" / "*.jsonl.gz"), licence="public"),
        Source("zh", str(raw / "zh.parquet"), text_column="body"),
        Source("chat", str(raw / "chat.json"), kind="chat"),
        Source("rl", str(raw / "rl.jsonl"), kind="problem", answer_marker="####"),
    )
    directory = ingest(config=Ingest(sources))
    facts = read_manifest(directory)["facts"]
    assert (facts["rows_in"], facts["rows_out"], facts["dropped"], facts["quarantined"]) == (
        106,
        104,
        {"no_text": 1},
        1,
    )
    rows = read(directory, "data")
    assert list(rows[0]) == DOCUMENT.names
    assert [(r["source"], r["lang"], r["script"]) for r in rows[99:]] == [
        ("lines", "en", "Latn"),
        ("zh", "zh", "Hans"),
        ("zh", "zh", "Hant"),
        ("chat", rows[102]["lang"], "Latn"),
        ("rl", "en", "Latn"),
    ]
    second = len(json.dumps(ROWS[0])) + 1
    assert rows[1]["id"] == document_id("lines", "deep/a.jsonl.gz", second)
    assert json.loads(rows[1]["meta"]) == {"n": 1}
    assert json.loads(rows[102]["meta"])["messages"][1] == {"role": "assistant", "content": "Hi!"}
    assert json.loads(rows[103]["meta"])["answer"] == "4"
    assert len({r["id"] for r in rows}) == 104
    (bad,) = read(directory, "quarantine")
    assert (bad["path"], bad["position"], bad["bytes"]) == ("deep/a.jsonl.gz", len(LINES), b"no json")
    (dropped,) = read(directory, "dropped")
    assert (dropped["rule"], dropped["first"], dropped["row"]) == ("no_text", True, 101)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_truncated_file_fails_by_name_and_its_repair_goes_through(root: Where, tmp_path: Path, name: str) -> None:
    whole = gzip.compress(LINES) if name.endswith("gz") else LINES
    path = tmp_path / name
    path.write_bytes(whole[:-100])
    config = Ingest((Source("s", str(path)),))
    with pytest.raises(ValueError, match=rf"{name} is not whole: .*cut off.* position \d+.*on_truncated=quarantine"):
        ingest(config=config)
    path.write_bytes(whole)
    assert read_manifest(ingest(config=config))["facts"]["rows_out"] == 100


def test_a_truncated_file_can_keep_what_came_before(root: Where, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(LINES)[:-100])
    directory = ingest(config=Ingest((Source("s", str(path)),), on_truncated="quarantine"))
    facts = read_manifest(directory)["facts"]
    assert facts["quarantined"] == 1
    assert 10 < facts["rows_out"] < 100
    assert facts["rows_in"] == facts["rows_out"] + 1
    (bad,) = read(directory, "quarantine")
    assert bad["path"] == "a.jsonl.gz"
    assert "cut off" in bad["error"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.docx", b"PK", "a.docx: unknown format"),
        (
            "a.jsonl",
            b'{"content": "a"}\n{"content": "b"}\n',
            r"'text' is missing \(columns: content\) in all 2 records",
        ),
        ("a.parquet", b"PAR1", "a.parquet is not whole"),
        ("a.warc", b"hello\n" * 50, "a.warc is no WARC file"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_task_by_name(
    root: Where, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=message):
        ingest(config=Ingest((Source("s", str(tmp_path / name)),)))


def test_missing_folders_and_missing_sources_are_named(root: Where, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.*is not there"):
        ingest(config=Ingest((Source("s", str(tmp_path / "nowhere")),)))
    with pytest.raises(ValueError, match="Ingest.sources is empty"):
        ingest()


def test_an_empty_file_has_no_rows(root: Where, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    directory = ingest(config=Ingest((Source("s", str(tmp_path / "a.jsonl")),)))
    assert read_manifest(directory)["facts"]["rows_in"] == 0


def test_a_folder_of_own_material_is_read_by_each_files_name(root: Where, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for name, data in {
        "book.md": "# One\nfirst\n# Two\nsecond\n",
        "notes/a.txt": "我们在这里说明它的内容。".encode("gb18030") * 9,
        "notes/empty.txt": "",
        "paper.tex": "\\documentclass{a}\\begin{document}\\input{part}\\end{document}",
        "part.tex": "body",
        "table.csv": "text,n\nrow,1\nragged\n",
        "src/x.py": "def f():\n    return 1\n",
        "src/.git/config": "[core]",
        "LICENSE": "You may copy this.",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    directory = ingest(config=Ingest((Source("own", str(folder), split="chapter"),)))
    facts = read_manifest(directory)["facts"]
    # LICENSE is a note beside a table; .git is no material.
    assert facts["files_passed_over"] == 2
    assert facts["dropped"] == {"input_elsewhere": 1, "no_text": 1}
    assert (facts["rows_in"], facts["rows_out"], facts["quarantined"]) == (9, 6, 1)
    texts = [row["text"] for row in read(directory, "data")]
    assert texts[:2] == ["# One\nfirst\n", "# Two\nsecond\n"]
    assert {"def f():\n    return 1\n", "body", "row"} <= set(texts)
    (folder / "picture.png").write_bytes(b"x")
    with pytest.raises(
        ValueError, match="picture.png: unknown format .*known endings: .*Name the wanted files by a glob"
    ):
        ingest(config=Ingest((Source("own", str(folder)),)))


def test_a_tree_of_small_files_becomes_few_shards(root: Where, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    size = 0
    for i in range(150):
        path = tree / f"part{i % 7}" / f"{i:03d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = b"" if i == 40 else b"\x00\x01\x02binary" * 50 if i == 70 else f"The text of file {i}.\n".encode()
        path.write_bytes(raw)
        size += len(raw)
    (tree / "part3" / "large.txt").write_text("A large file among them. " * 20_000)
    directory = ingest(config=Ingest((Source("tree", str(tree)),)))
    facts = read_manifest(directory)["facts"]
    assert facts["rows_in"] == 151 == facts["rows_out"] + sum(facts["dropped"].values()) + facts["quarantined"]
    assert facts["bytes_in"] == size + 500_000
    rows = read(directory, "data")
    files = sorted(path for path in tree.rglob("*.txt") if path.name not in ("040.txt", "070.txt"))
    expected = [document_id("tree", path.relative_to(tree).as_posix(), 0) for path in files]
    assert [row["id"] for row in rows] == expected
    assert [row["path"] for row in read(directory, "quarantine")] == ["part0/070.txt"]
    shards = sorted((directory / "data").glob("*.parquet"))
    assert [pq.read_metadata(shard).num_rows for shard in shards] == [86, 1, 62]
    gone = read(directory, "dropped")
    assert [(row["rule"], row["shard"], row["id"]) for row in gone] == [
        ("no_text", 2, document_id("tree", "part5/040.txt", 0))
    ]
    # Its place among the rows of its shard, not of its file.
    before = [path for path in files if "part3/large.txt" < path.relative_to(tree).as_posix() < "part5/040.txt"]
    assert gone[0]["row"] == len(before)
    assert "part4/004.txt … part6/146.txt (63 files)" in (directory / "report.html").read_text(encoding="utf-8")
