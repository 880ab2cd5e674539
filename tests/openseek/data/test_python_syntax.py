"""What Python parses, what it does not, and what would take a careless caller down."""

import threading

import pyarrow as pa
import pytest

from openseek.data.python_syntax import is_python, syntax_error


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("x = 1\n", 0, ""),
        ("", 0, ""),
        ("path = 'C:\\d'\n", 0, ""),
        ("1 is 1\n", 0, ""),
        ("x = 1\nprint 'two'\n", 2, "Missing parentheses in call to 'print'"),
        ("def f(:\n", 1, "invalid syntax"),
        ("if 1:\nx\n", 2, "expected an indented block"),
    ],
)
def test_reasons(text: str, line: int, reason: str) -> None:
    found = syntax_error(text)
    assert found[0] == line
    assert found[1].startswith(reason) and bool(found[1]) == bool(reason)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000, "-" * 100_000 + "1", "not " * 50_000 + "1", "a" + ".b" * 100_000, "1+" * 100_000 + "1", "x\0y",
        "lambda:" * 50_000 + "1",
    ],
)  # fmt: skip
def test_what_no_parser_takes_is_an_error_and_no_crash(text: str) -> None:
    found: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: found.append(syntax_error(text)))
    thread.start()
    thread.join()
    assert found[0][0] >= 1 and found[0][1]


def test_meta_names_python() -> None:
    meta = [
        '{"path": "/src/a.py"}', '{"file_path":"a.pyi"}', '{"language": "Python", "x": 1}', '{"extension": "py"}',
        '{"path": "a.pyc"}', '{"path": "a.go", "language": "Go"}', '{"title": "a.py"}', "", None,
    ]  # fmt: skip
    assert is_python(pa.array(meta, pa.string())).tolist() == [True] * 4 + [False] * 5
