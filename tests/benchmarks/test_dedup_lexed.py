"""The tokens by regular expressions and those of the kernels are the same, on real and on hostile text."""

import json
import random
import re
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from benchmarks import dedup_lexed
from benchmarks.dedup_lexed import FEWEST, LEXED, Token, code_tokens, latex_tokens, prose_words
from openseek.data import lexers
from openseek.data.lexers import CODE, LATEX, PROSE, hash_tokens

SIGNS = " \n\n/*#*/'\"\\:%{}$+-_^!ab1Xé\u0301中ไ\u0e31𠀀ﬁǅ"
LEXERS = {PROSE: prose_words, CODE: code_tokens, LATEX: latex_tokens}


def differing(texts: Iterable[str], tokens: Callable[[str], list[Token]], kind: int) -> list[str]:
    """Texts of which the two have different numbers of tokens, or different tokens equal, within and across texts."""
    hash_of: dict[Token, int] = {}
    token_of: dict[int, Token] = {}
    found = []
    for text in texts:
        expected, hashes = tokens(text), hash_tokens(text, kind).tolist()
        pairs = list(zip(expected, hashes, strict=False))
        same = len(expected) == len(hashes)
        if not same or any(hash_of.setdefault(t, h) != h or token_of.setdefault(h, t) != t for t, h in pairs):
            found.append(text)
    return found


@pytest.fixture(scope="module")
def code(samples: Path) -> list[str]:
    """Programs, and pages about programming."""
    table = pq.read_table(samples / "code/stack.parquet")
    with zstandard.open(samples / "code/pages.jsonl.zst", "rt", encoding="utf-8") as file:
        pages = [json.loads(line)["text"] for line in islice(file, 40)]
    return [*table["text"].to_pylist()[:120], *pages]


@pytest.fixture(scope="module")
def latex(samples: Path) -> list[str]:
    """Pages with formulas."""
    with zstandard.open(samples / "math/finemath.jsonl.zst", "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in islice(file, 100)]


def hostile(number: int) -> list[str]:
    """Texts of signs that begin and end comments and strings, marks, and letters of several scripts."""
    generator = random.Random(5)
    return ["".join(generator.choices(SIGNS, k=generator.randint(0, 160))) for _ in range(number)]


def test_real_code_has_the_tokens_of_the_definition(code: list[str]) -> None:
    assert sum(len(code_tokens(text)) for text in code) > 50_000
    assert differing(code, code_tokens, CODE) == []


def test_real_latex_has_the_tokens_of_the_definition(latex: list[str]) -> None:
    assert sum(len(latex_tokens(text)) for text in latex) > 50_000
    assert differing(latex, latex_tokens, LATEX) == []


@pytest.mark.parametrize("kind", LEXERS)
def test_hostile_text_has_the_tokens_of_the_definition(kind: int) -> None:
    texts = hostile(3000)
    assert sum(len(LEXERS[kind](text)) >= FEWEST for text in texts) > 1000
    assert differing(texts, LEXERS[kind], kind) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("COMMENT", re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)),
        ("STRING", re.compile("(?!)")),
        ("FEWEST", 0),
    ],
)
def test_control_a_wrong_definition_of_code_is_noticed(
    name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedup_lexed, name, wrong)
    assert differing(hostile(300), code_tokens, CODE)


def test_control_a_wrong_definition_of_latex_is_noticed(latex: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup_lexed, "SPELLINGS", {"le": "leq"})
    assert differing(latex, latex_tokens, LATEX)
    monkeypatch.undo()
    assert (
        differing([r"x \le y \leq z " * 9], lambda text: [(k, n.upper()) for k, n in latex_tokens(text)], LATEX) == []
    )
    assert differing([r"a A " * 20], lambda text: [("word", word) for word in text.split()], LATEX)


def test_equal_tokens_are_equal_grams_and_others_are_not() -> None:
    body = " ".join(f"x{i} = y{i}" for i in range(20))
    assert LEXED["code"](f"// one\n{body}") == LEXED["code"](f"/* two */ {body} # three")
    assert LEXED["code"](body) != LEXED["code"](body.replace("=", "+"))
    assert LEXED["math"](rf"\left({body}\right)") == LEXED["math"](f"({body}) % note")
    assert lexers.FEWEST == FEWEST
