import pytest

from openseek.data.lexers import CODE, FEWEST, LATEX, PROSE, hash_tokens, kinds
from openseek.data.words import hash_words

ENOUGH = "\n" + " ".join(f"x{i}" for i in range(FEWEST))
"""Makes a text long enough that it is not read as prose."""


def same(kind: int, left: str, right: str) -> bool:
    return hash_tokens(left + ENOUGH, kind).tolist() == hash_tokens(right + ENOUGH, kind).tolist()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("int f(int a) { return a + 1; }", "/* Licence\n text */ int f( int a )\n{\n\treturn a+1; // next\n}\n"),
        ("def f(a):\n    return a", "# by somebody\ndef f( a ) :\n  return a  # the same"),
        ('call("x", y)', "call('x', y,)"),
        ("变量 = 值", "变量=值  # 注释"),
        ("เป็น = 1", "เปน=1"),
        ("#!/bin/sh\ncd", "cd"),
        ("it's\n// gone 'too", "it s"),
    ],
)
def test_layout_and_comments_of_code_do_not_count(left: str, right: str) -> None:
    assert same(CODE, left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a + b", "a - b"),
        ("Name", "name"),
        ("#include <stdio.h>", ""),
        ("see http://host/path here", "see http:"),
        ("#![no_std]", ""),
        ('accept = "*/*"; more', 'accept = "*'),
        ("rm '/tmp/*' # all\nls # */", "rm ls"),
        (r'"\"// " more', '" "'),
        ("cp dist/* there", "cp dist"),
        ("a /* never closed b", "a b"),
    ],
)
def test_what_counts_in_code(left: str, right: str) -> None:
    assert not same(CODE, left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\frac{a}{b} \leq c", r"\dfrac a b\le c"),
        (r"$x = \left( y \right)$", r"\( x\,=\;\bigl( y \bigr) % why"),
        ("The Sum\n% a comment\nis", "the sum is"),
        (r"\label{eq}x", "eq x"),
        ("x_2 + a_n", "x_{2} + a_{n}"),
    ],
)
def test_layout_of_latex_does_not_count(left: str, right: str) -> None:
    assert same(LATEX, left, right)


@pytest.mark.parametrize(("left", "right"), [("x^2", "x_2"), (r"\alpha", r"\beta"), ("a+b", "a b"), (r"5\% of", "5")])
def test_what_counts_in_latex(left: str, right: str) -> None:
    assert not same(LATEX, left, right)


def test_a_text_of_little_else_is_read_with_its_comments() -> None:
    words = " ".join(f"word{i}" for i in range(30))
    assert hash_tokens(f"// {words}\nx = 1", CODE).tolist() == hash_tokens(f"{words} x 1", PROSE).tolist()
    assert hash_tokens(f"% {words}\n$x$", LATEX).tolist() == hash_tokens(f"{words} x", PROSE).tolist()
    assert same(CODE, f"// {words}\nx = 1", "x = 1")


@pytest.mark.parametrize(
    "text", ["/*" * 300_000, "'" + r"\'" * 300_000, "\"'" * 300_000, "/" * 600_000, "*/" * 300_000]
)
def test_hostile_code_is_read_once(text: str) -> None:
    """A scan ahead from each sign would be 10^11 steps: minutes."""
    assert len(hash_tokens(text, CODE)) <= len(text)


def test_prose_is_words_and_nothing_else() -> None:
    text = "Some Words, 天气 x_1 % not a comment // nor this"
    assert hash_tokens(text, PROSE).tolist() == hash_words(text).tolist()
    assert len(hash_tokens("", CODE)) == len(hash_tokens("", LATEX)) == 0


@pytest.mark.parametrize("text", ["\\", "\\中", "%", "/*", "+-" * 50, "a\\", "\\begin", "\u0301", "{" * 9, "𠀀𠀁", "é"])
@pytest.mark.parametrize("kind", [PROSE, CODE, LATEX])
def test_no_text_overruns(text: str, kind: int) -> None:
    assert len(hash_tokens(text, kind)) <= len(text.encode())


def test_sources_choose_the_lexer() -> None:
    assert kinds(["web", "code", "math", "code"], ("code",), ("math",)).tolist() == [PROSE, CODE, LATEX, CODE]
    assert len(kinds([], ("code",), ())) == 0
