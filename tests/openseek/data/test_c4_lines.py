"""Texts with only the lines that C4 keeps, against plain Python on random and real text."""

import random
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.reference_rules import POLICIES
from openseek.data.c4_lines import keep_lines
from openseek.data.filters.c4 import C4Lines
from openseek.data.transform import apply
from openseek.recipes.recipe import SAMPLES

PIECES = [
    "the",
    "cat.",
    "dog,",
    "[1]",
    "[edit]",
    "[citation needed]",
    "[12",
    "é…",
    "...",
    "!",
    "'",
    "JavaScript",
    "中文",
    "😀",
    "\n",
]
ALL = {"terminal_punctuation": True, "min_words": 3, "max_word_length": 1000, "javascript": True, "policies": True}


def plain(text: str, terminal_punctuation: bool = True) -> str:
    kept = []
    for line in text.splitlines():
        words, clean = line.split(), re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line.strip())
        ended = clean.endswith((".", "?", "!", '"', "'")) and not clean.endswith("...")
        unwanted = any(phrase in clean.lower() for phrase in ("javascript", *POLICIES))
        sound = len(words) >= 3 and max(map(len, words)) <= 1000
        if sound and not unwanted and (ended or not terminal_punctuation):
            kept.append(clean)
    return "\n".join(kept).strip()


def kept(texts: list[str], **changed: object) -> list[str]:
    column = pa.array(texts, pa.large_string())
    return keep_lines(column, np.ones(len(texts), bool), **(ALL | changed)).to_pylist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Home\nThis line stays.\nMenu here now\n  So does this! \r\n", "This line stays.\nSo does this!"),
        ("Known [1] since [edit] then.[citation needed]", "Known  since  then."),
        ("It goes on and...\nThe TERMS of Use apply.\nUse Cookies or else!\nTurn on JAVASCRIPT, please.", ""),
        ("Two words.\n" + "w" * 1001 + " is long.", ""),
        ("Er sagte „été“ 中文 😀 hier.", "Er sagte „été“ 中文 😀 hier."),
    ],
)
def test_lines_by_hand(text: str, expected: str) -> None:
    assert kept([text]) == [expected]


def test_kernel_equals_plain_python() -> None:
    draw = random.Random(11)
    texts = [" ".join(draw.choices(PIECES, k=draw.randrange(40))) for _ in range(500)]
    texts += pq.read_table(sorted((SAMPLES / "en_edu").glob("*.parquet"))[0], columns=["text"])["text"].to_pylist()[
        :100
    ]
    assert kept(texts) == [plain(text) for text in texts]
    assert kept(texts, terminal_punctuation=False) == [plain(text, False) for text in texts]
    assert kept(texts) != texts, "control: some line goes"


def test_only_documents_in_scope_are_rewritten(documents) -> None:
    text = "A title\nAnd a line that ends."
    batch = pa.Table.from_batches([documents([text]), documents([text], lang="zh"), documents([text], source="code")])
    after, dropped = apply([C4Lines(enabled=True)], batch.combine_chunks().to_batches()[0], task="filter")
    assert after["text"].to_pylist() == ["And a line that ends.", text, text]
    assert dropped.num_rows == 0
    untouched, _ = apply([C4Lines()], documents([text]), task="filter")
    assert untouched["text"].to_pylist() == [text], "off unless switched on"
    assert after.schema.equals(documents([text]).schema)
