"""Source code: languages, binary, minified and large files."""

from pathlib import Path

import pytest

from openseek.data.sources import SUFFIXES, Source, code_files
from openseek.data.sources.record import Bad, Item, Limits, Row, Skipped
from openseek.raw_files import RawFile

LIMITS = Limits(record_bytes=300_000, expansion=1000)
CODE = 'def f(x):\n\tif x:\n        return "中文 \\n"\n'


def read(tmp_path: Path, name: str, data: bytes) -> Item:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data)
    file = RawFile(str(tmp_path / name), name, len(data))
    (item,) = code_files.read(file, Source("s", str(tmp_path), format="code"), LIMITS)
    return item


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "Python"),
        ("src/deep/b.CPP", "C++"),
        ("a.h", "C"),
        ("Makefile", "Makefile"),
        ("CMakeLists.txt", "CMake"),
        ("x.rs", "Rust"),
        ("page.html", "HTML"),
        ("a.f90", "Fortran"),
    ],
)
def test_code_keeps_its_bytes_its_path_and_its_language(tmp_path: Path, name: str, language: str) -> None:
    item = read(tmp_path, name, CODE.replace("\n", "\r\n").encode())
    assert isinstance(item, Row)
    assert (item.text, item.meta) == (CODE, {"path": name, "language": language})


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("a.xyz", b"text", "unknown_language"),
        ("a.py", b"\xcb\x0d\x0d\x0a\0\0\0\0e3", "binary"),
        ("a.js", b"var a=1;" * 1000 + b"\n\n", "minified"),
        ("a.js", b"var a=1;\n" * 1000 + b"x" * 100_001, "minified"),
        ("a.py", b"", "no_text"),
    ],
)
def test_what_is_no_code_is_dropped_by_rule(tmp_path: Path, name: str, data: bytes, rule: str) -> None:
    item = read(tmp_path, name, data)
    assert isinstance(item, Skipped) and item.rule == rule


def test_large_files_are_quarantined_and_other_charsets_read(tmp_path: Path) -> None:
    item = read(tmp_path, "a.sql", b"insert 1;\n" * 30_001)
    assert isinstance(item, Bad) and "beyond max_record_bytes" in item.error
    item = read(tmp_path, "a.c", ("/* 这是一个说明，我们在这里说明它的内容 */\n" * 3 + "int x;\n").encode("gb18030"))
    assert isinstance(item, Row) and "这是一个说明" in item.text


def test_no_ending_of_code_hides_another_format() -> None:
    others = {suffix for format, group in SUFFIXES.items() if format != "code" for suffix in group}
    assert not [
        ending for ending in code_files.ENDINGS if ending.endswith(tuple(others)) and ending != "cmakelists.txt"
    ]
    twice = [e for e in code_files.ENDINGS if code_files.ENDINGS.count(e) > 1]
    assert not twice
