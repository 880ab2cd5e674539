import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from openseek.data.ngrams import BenchmarkFile, BenchmarkItem, Decontaminate, item_label, label_benchmark, read_items

ITEMS = [{"question": "What is it?", "choices": ["one", "two"], "n": 1}, {"question": "第二题", "choices": [], "n": 2}]
LINES = "".join(json.dumps(i) + "\n" for i in ITEMS)


def write(folder: Path, name: str) -> Path:
    path = folder / name
    plain = name.removesuffix(".gz").removesuffix(".zst")
    if plain.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist([{**i, "choices": i["choices"]} for i in ITEMS]), path)
        return path
    if plain.endswith(".jsonl"):
        content = LINES
    elif plain == "array.json":
        content = json.dumps(ITEMS)
    elif plain == "object.json":
        content = json.dumps({"canary": "x", "examples": ITEMS})
    elif plain == "lines.json":
        content = LINES
    else:
        with open(path, "w", newline="") as file:
            rows = csv.writer(file, delimiter="\t" if plain.endswith(".tsv") else ",")
            rows.writerows([["question", "choices"], ["What is it?", "one\ntwo"], ["第二题", ""]])
        content = path.read_text()
    encoded = content.encode()
    encoded = gzip.compress(encoded) if name.endswith(".gz") else encoded
    encoded = zstandard.ZstdCompressor().compress(encoded) if name.endswith(".zst") else encoded
    path.write_bytes(encoded)
    return path


@pytest.mark.parametrize(
    "name",
    ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "array.json", "array.json.gz", "object.json", "lines.json", "a.parquet"],
)
def test_items_of_every_form(tmp_path: Path, name: str) -> None:
    benchmark = BenchmarkFile("b", str(write(tmp_path, name)), ("question", "choices"))
    found = [item.question for item in read_items(benchmark)]
    assert found[0] == "What is it?\none\ntwo"
    assert found[1].startswith("第二题")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_items_of_tables(tmp_path: Path, name: str) -> None:
    benchmark = BenchmarkFile("b", str(write(tmp_path, name)), ("question", "choices"))
    found = [item.question for item in read_items(benchmark)]
    assert found == ["What is it?\none\ntwo", "第二题\n"]


def test_dotted_names_reach_into_lists(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}], "n": {"x": 3}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (item,) = read_items(BenchmarkFile("b", str(tmp_path / "a.jsonl"), ("messages.content", "n.x")))
    assert item.question == "Hi\nYes\n3"


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "Which?", "options": ["one", NaN, null]}\n')
    (item,) = read_items(BenchmarkFile("b", str(tmp_path / "a.jsonl"), ("question", "options")))
    assert item.question == "Which?\none"


@pytest.mark.parametrize(("answer", "expected"), [("B", "two"), ("(a)", "one"), ("1", "two"), (0, "one"), (None, "")])
def test_a_letter_or_a_number_names_a_choice(tmp_path: Path, answer: Any, expected: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({**ITEMS[0], "answer": answer}))
    benchmark = BenchmarkFile("b", str(tmp_path / "a.jsonl"), ("question",), ("answer",), ("choices",))
    assert list(read_items(benchmark)) == [BenchmarkItem("What is it?", expected)]


def test_an_answer_is_read_beside_the_question(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({**ITEMS[0], "answer": "A thing"}))
    benchmark = BenchmarkFile("b", str(tmp_path / "a.jsonl"), answer_fields=("answer", "n"))
    assert list(read_items(benchmark)) == [BenchmarkItem("What is it?", "A thing\n1")]


def test_a_choice_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({**ITEMS[0], "answer": "C"}))
    benchmark = BenchmarkFile("b", str(tmp_path / "a.jsonl"), ("question",), ("answer",), ("choices",))
    with pytest.raises(ValueError, match="record 0: the answer 'C' names none of 2 choices"):
        list(read_items(benchmark))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"question": "x"}\n{"q": "y"}\n', r"a.jsonl, record 1: no column 'question' \(there are: q\)"),
        ("a.jsonl", b'{"question": "x"}\n{"question"\n', "a.jsonl, line 2: no JSON"),
        ("a.jsonl.gz", gzip.compress(LINES.encode() * 9)[:-12], "a.jsonl.gz: .* cut off"),
        ("a.xml", b"<x/>", "a.xml: unknown format of a benchmark"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_items(BenchmarkFile("b", str(tmp_path / name))))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere.jsonl' is not there"):
        list(read_items(BenchmarkFile("b", str(tmp_path / "nowhere.jsonl"))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BenchmarkFile("", "x"), "name is ''"),
        (lambda: BenchmarkFile("a#b", "x"), "without '#'"),
        (lambda: BenchmarkFile("a"), "path of 'a' is empty"),
        (lambda: BenchmarkFile("a", "x", ()), "fields of 'a' is empty"),
        (lambda: BenchmarkFile("a", "x", choice_fields=("c",)), "needs one answer field"),
        (lambda: Decontaminate(ngram=9), "ngram is 9"),
        (lambda: Decontaminate(policy="mask"), "policy is 'mask'"),  # pyright: ignore[reportArgumentType]
        (lambda: Decontaminate(act_on="x"), "act_on is 'x'"),  # pyright: ignore[reportArgumentType]
        (lambda: Decontaminate(max_owners=0), "max_owners is 0"),
        (lambda: Decontaminate(min_overlap=0), "min_overlap is 0"),
        (lambda: Decontaminate(min_whole_bits=-1), "min_whole_bits is -1"),
        (lambda: Decontaminate(min_alone_bits=-1), "min_alone_bits is -1"),
        (lambda: Decontaminate((BenchmarkFile("a", "x"), BenchmarkFile("a", "y"))), "names a twice"),
    ],
)
def test_wrong_values_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_labels() -> None:
    assert item_label("mmlu", 7) == "mmlu#7"
    assert label_benchmark("mmlu#7") == "mmlu"
