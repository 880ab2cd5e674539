import gzip
import json
from pathlib import Path

import pytest

from openseek.eval.benchmarks import BENCHMARKS
from openseek.eval.benchmarks.definition import Question
from openseek.eval.benchmarks.rows import read_questions

FILES = {name: f"{name}.jsonl.gz" for name in BENCHMARKS} | {
    "cmath_zh": "cmath.jsonl.gz",
    "arithmetic": "arithmetic.jsonl",
    "bits_per_byte": "lambada.jsonl.gz",
}
ROW = {"question": "1 + 1 = ?", "options": ["1", "2"], "answer": "B"}


def write(path: Path, *lines: object) -> str:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_reads_its_bundled_slice(samples: Path, name: str) -> None:
    questions = read_questions(str(samples / "benchmarks" / FILES[name]), BENCHMARKS[name])
    assert len(questions) >= 100
    for question in questions:
        assert question.target
        assert (question.target in question.choices) == bool(question.choices)
        assert question.prompt or name == "bits_per_byte"
    if BENCHMARKS[name].kind == "generate_until":  # the reference itself is a right answer
        score = BENCHMARKS[name].score
        assert score is not None
        assert sum(score(f"the answer is {q.target}", q.target) for q in questions) == len(questions)


def test_a_question_is_rendered_as_the_benchmark_is_published() -> None:
    assert BENCHMARKS["mmlu"].question(ROW) == Question(
        "1 + 1 = ?\nA. 1\nB. 2", "1 + 1 = ?\nA. 1\nB. 2\nAnswer:", "B", ("A", "B")
    )
    row = {"passage": None, "question": "问", "options": ["(A)甲", "(B)乙"], "label": "A"}
    assert BENCHMARKS["agieval_zh"].question(row).prompt == "问\n(A)甲\n(B)乙\n答案："
    assert BENCHMARKS["gsm8k"].question({"question": "q", "answer": "why\n#### 1,200"}).target == "1,200"
    lambada = BENCHMARKS["lambada"].question({"text": "a b  c"})
    assert (lambada.prompt, lambada.target) == ("a b ", " c")


@pytest.mark.parametrize(
    "row, words",
    [
        ({**ROW, "answer": "C"}, "letters AB"),
        ({**ROW, "answer": None}, "'answer' is None"),
        ({**ROW, "options": ["1", ""]}, "none of them empty"),
        ({**ROW, "options": []}, "at least two"),
        ({**ROW, "question": 7}, "'question' is 7"),
        ([1], "no JSON object"),
        ("{", "bad.jsonl:2"),
        ('{"question": "\\ud800"', "bad.jsonl:2"),
    ],
)
def test_a_bad_row_names_file_line_and_fault(tmp_path: Path, row: object, words: str) -> None:
    path = write(tmp_path / "bad.jsonl", ROW, row)
    with pytest.raises(ValueError, match=words) as error:
        read_questions(path, BENCHMARKS["mmlu"])
    assert "bad.jsonl:2" in str(error.value)


def test_unreadable_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "\xe9"}\n')
    with pytest.raises(ValueError, match=r"latin.jsonl:1"):
        read_questions(str(tmp_path / "latin.jsonl"), BENCHMARKS["mmlu"])
    whole = gzip.compress(json.dumps(ROW).encode() * 50)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="copy it again"):
        read_questions(str(tmp_path / "cut.jsonl.gz"), BENCHMARKS["mmlu"])
    with pytest.raises(ValueError, match="holds no question"):
        read_questions(write(tmp_path / "empty.jsonl", ""), BENCHMARKS["mmlu"])
    with pytest.raises(ValueError, match="is not there"):
        read_questions(str(tmp_path / "missing.jsonl"), BENCHMARKS["mmlu"])
