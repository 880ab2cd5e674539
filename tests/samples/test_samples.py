"""The bundled samples: small, of known origin and allowed licence, unchanged, with the planted documents in place."""

import gzip
import hashlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

LIMIT_BYTES = 15_000_000
ALLOWED_CLASSES = {"permissive", "public", "by", "by-sa"}
FORBIDDEN = re.compile(r"\bNC\b|\bND\b|GPL|GFDL|publishers|unknown", re.IGNORECASE)
NOT_DATA = {".py", ".md", ".pyc"}
DESCRIBED_BY = {"provenance.jsonl", "planted/planted.json"}


def data_files(samples: Path) -> list[str]:
    """Every file that is data, by its path below samples/."""
    files = (path for path in samples.rglob("*") if path.is_file() and path.suffix not in NOT_DATA)
    return sorted({path.relative_to(samples).as_posix() for path in files} - DESCRIBED_BY)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of one sample, read with the packages and not with the project's readers."""
    import pyarrow.parquet as pq
    import zstandard

    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return [json.loads(line, parse_constant=refuse) for line in data.decode().splitlines()]


def refuse(constant: str) -> None:
    """NaN and Infinity are no JSON: other readers than Python's would fail on them."""
    raise ValueError(f"{constant} is no JSON")


@pytest.fixture(scope="module")
def provenance(samples: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (samples / "provenance.jsonl").read_text().splitlines()]
    return {row["file"]: row for row in rows}


@pytest.fixture(scope="module")
def planted(samples: Path) -> dict[str, Any]:
    return json.loads((samples / "planted/planted.json").read_text(encoding="utf-8"))


def test_samples_are_small_and_every_file_has_its_provenance(samples: Path, provenance: dict[str, Any]) -> None:
    files = data_files(samples)
    assert files == sorted(provenance)
    assert sum((samples / file).stat().st_size for file in files) <= LIMIT_BYTES


def test_sums_match(samples: Path, provenance: dict[str, Any]) -> None:
    changed = [
        file
        for file, row in provenance.items()
        if hashlib.sha256((samples / file).read_bytes()).hexdigest() != row["sha256"]
    ]
    assert not changed, "samples changed without provenance.jsonl: run samples/build.py"


def test_licences_are_allowed(provenance: dict[str, Any]) -> None:
    for file, row in provenance.items():
        assert row["origins"], file
        assert sum(origin["records"] for origin in row["origins"]) == row["records"], file
        for origin in row["origins"]:
            assert origin["class"] in ALLOWED_CLASSES, (file, origin)
            assert not FORBIDDEN.search(origin["licence"]), (file, origin)


def test_rows_count_and_name_their_licence(samples: Path, provenance: dict[str, Any]) -> None:
    for file, row in provenance.items():
        if ".warc" in file or file == "planted/truncated.jsonl":
            continue
        rows = rows_of(samples / file)
        assert len(rows) == row["records"], file
        if "licence" in rows[0]:
            assert {item["licence"] for item in rows} == {origin["class"] for origin in row["origins"]}, file


def test_web_archives_hold_what_a_reader_meets(samples: Path, provenance: dict[str, Any]) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    seen: dict[str, set[str]] = {}
    for name in ("en_web", "zh_web"):
        with (samples / name / "docs.warc.gz").open("rb") as stream:
            records = list(
                (record.http_headers.status_code, record.http_headers.get("Content-Type"), record.reader.read())
                for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True)
                if record.http_headers
            )
        assert len(records) == provenance[f"{name}/docs.warc.gz"]["records"]
        seen[name] = {f"{status} {content_type}".lower() for status, content_type, _ in records}
    assert {"404 text/html; charset=utf-8", "200 image/png", "200 text/plain"} <= seen["en_web"]
    assert {"200 text/html", "200 text/html; charset=gbk", "200 text/html; charset=big5"} <= seen["zh_web"]


def test_planted_documents_are_where_planted_json_says(samples: Path, planted: dict[str, Any]) -> None:
    documents = {row["url"]: row["text"] for row in rows_of(samples / "planted/planted.jsonl")}
    documents |= {row["url"]: row["text"] for row in rows_of(samples / "wiki/wiki.json.gz")}
    for group in planted["groups"]:
        texts = [documents[url] for url in group["urls"]]
        assert (len(set(texts)) == 1) == group["name"].startswith("exact"), group["name"]
    assert all(documents[url].count(planted["passage"]["text"]) == 1 for url in planted["passage"]["urls"])
    assert {fate["task"] for fate in planted["dropped"]} == {"filter", "decontaminate"}
    contaminated = documents["https://planted.example/contaminated"]
    questions = [row["question"] for row in rows_of(samples / "benchmarks/gsm8k.jsonl.gz")]
    assert sum(question in contaminated for question in questions) >= 3
    exercises = documents["https://planted.example/contaminated-zh"]
    assert sum(row["question"] in exercises for row in rows_of(samples / "benchmarks/cmath.jsonl.gz")) >= 10


def test_near_duplicates_have_the_similarity_that_planted_json_gives(
    samples: Path, planted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(samples)
    from plant import jaccard  # pyright: ignore[reportMissingImports]

    documents = {row["url"]: row["text"] for row in rows_of(samples / "planted/planted.jsonl")}
    near = [group for group in planted["groups"] if group["task"] == "dedup_minhash"]
    assert len(near) >= 4
    for group in near:
        similarity = jaccard(*(documents[url] for url in group["urls"]))
        assert similarity == pytest.approx(group["jaccard"], abs=1e-4)
        assert 0.84 < similarity < 0.95
    kept = planted["kept"][0]
    assert jaccard(documents[kept["url"]], documents[kept["like"]]) < 0.5


def test_the_truncated_file_breaks_at_the_given_byte(samples: Path, planted: dict[str, Any]) -> None:
    expected = planted["quarantined"]
    data = (samples / "planted" / expected["file"]).read_bytes()
    lines = data.split(b"\n")[:-1]
    assert len(lines) == expected["rows_in"]
    assert data[expected["position"] :].startswith(lines[1])
    json.loads(lines[0])
    json.loads(lines[2])
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[1])


def test_problems_share_with_the_benchmark_only_what_the_readme_says(samples: Path) -> None:
    for name, shared in (("gsm8k", 0), ("cmath", 3)):
        problems = {row["question"] for row in rows_of(samples / f"rl/{name}.jsonl")}
        benchmark = {row["question"] for row in rows_of(samples / f"benchmarks/{name}.jsonl.gz")}
        assert len(problems & benchmark) == shared


def test_a_rebuild_gives_the_same_bytes(shared: Path, samples: Path, tmp_path: Path) -> None:
    """The real build script over the larger corpora, in a copy of samples/ that holds its code and what others made."""
    import shutil
    import subprocess

    copy = tmp_path / "samples"
    copy.mkdir()
    for script in samples.glob("*.py"):
        shutil.copy(script, copy)
    for made in ("rl/arithmetic.jsonl", "sft/arithmetic.jsonl.gz", "benchmarks/arithmetic.jsonl"):
        if (samples / made).exists():
            (copy / made).parent.mkdir(exist_ok=True)
            shutil.copy(samples / made, copy / made)
    subprocess.run([sys.executable, copy / "build.py", "--corpora", shared], check=True, capture_output=True)
    assert (copy / "provenance.jsonl").read_text() == (samples / "provenance.jsonl").read_text()
