"""The corpus that deduplication is measured on: its record is true, and it is the same for the same seed."""

import random
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.dedup_corpus import Corpus, load, with_truth, write
from benchmarks.dedup_edits import EDITS, exact, reformatted, renamed, rewrapped, scattered_characters
from benchmarks.dedup_reference import jaccard, word_grams, words
from benchmarks.dedup_sources import LEAST_BYTES, MOST_BYTES, Package, fetch, kind_of, pieces, plain
from openseek.artifact import read_manifest
from tasks.__main__ import find
from tasks.where import Where

GO = "package main\n\n// Sum adds.\nfunc Sum(values []int) int {\n\ttotal := 0\n\treturn total + len(values)\n}\n"
LATEX = "Let $a \\le b$ hold,\nand \\left( x \\right) too. % note\n\nThen it ends\nhere."


@pytest.fixture(scope="module")
def base(samples: Path) -> dict[str, list[str]]:
    """Forty documents of each kind; the code is made up."""
    tables = {"prose_en": "en_edu/fineweb-edu-docs.parquet", "prose_zh": "zh_edu/fineweb-edu-chinese-4_5.parquet"}
    found: dict[str, list[str]] = {}
    for kind, name in tables.items():
        texts = pq.read_table(samples / name, columns=["text"])["text"].to_pylist()
        cut = [p for text in texts for p in pieces(text, random.Random(0)) if kind_of(p, "prose") == kind]
        found[kind] = sorted(set(cut))[:40]
    found["code"] = [GO.replace("total", f"total{i}") * 12 for i in range(40)]
    found["math"] = [LATEX.replace("$a", f"$a_{{{i}}}") * 20 for i in range(40)]
    assert {len(documents) for documents in found.values()} == {40}
    return found


def test_every_pair_and_every_passage_is_as_recorded(base: dict[str, list[str]]) -> None:
    corpus = with_truth(base, seed=3)
    assert len(corpus.texts) == 160 + len(corpus.pairs)
    assert len(corpus.pairs) == 32
    for pair in corpus.pairs:
        copy, source = corpus.texts[pair.copy], corpus.texts[pair.source]
        assert pair.jaccard == jaccard(word_grams(copy), word_grams(source))
        assert corpus.kinds[pair.copy] == corpus.kinds[pair.source] == pair.kind
        assert corpus.families[pair.copy] == corpus.families[pair.source]
        assert pair.edit != "exact" or copy == source
    assert corpus.passages
    for passage in corpus.passages:
        found = corpus.texts[passage.target].encode()[passage.start : passage.stop]
        source = corpus.texts[passage.source].encode()
        assert found == source[passage.source_start :][: len(found)]
        assert len(found) >= 200
        found.decode()


def test_the_seed_decides(base: dict[str, list[str]]) -> None:
    assert with_truth(base, seed=3) == with_truth(base, seed=3)
    assert with_truth(base, seed=3).texts != with_truth(base, seed=4).texts


def test_a_part_holds_copies_with_their_sources(base: dict[str, list[str]]) -> None:
    corpus = with_truth(base, seed=3)
    part = set(corpus.part(4))
    assert 0 < len(part) < len(corpus.texts) / 2
    assert all((pair.copy in part) == (pair.source in part) for pair in corpus.pairs)


def test_what_is_written_is_read_back_and_a_task_takes_it(
    base: dict[str, list[str]], root: Where, tmp_path: Path
) -> None:
    corpus = with_truth(base, seed=3)
    write(corpus, tmp_path, {"made": "up"})
    assert load(tmp_path) == corpus
    facts = read_manifest(find("dedup_exact")(tmp_path / "documents"))["facts"]
    assert facts["rows_in"] == len(corpus.texts)
    assert facts["dropped"]["exact"] == len(corpus.texts) - len(set(corpus.texts))


@pytest.mark.parametrize("kind", EDITS)
def test_edits_come_close_to_their_rate(base: dict[str, list[str]], kind: str) -> None:
    for name, edit, rates in EDITS[kind]:
        edited = edit(base[kind][0], max(rates), random.Random(1), base[kind])
        assert (edited == base[kind][0]) == (edit is exact), name
        assert jaccard(word_grams(edited), word_grams(base[kind][0])) > 0, name


def test_white_space_changes_no_word_and_names_no_keyword() -> None:
    generator = random.Random(0)
    assert words(reformatted(GO, 1.0, generator, [])) == words(GO)
    assert words(rewrapped(LATEX, 1.0, generator, [])) == words(LATEX)
    changed = renamed(GO, 1.0, generator, [])
    assert "total" not in words(changed)
    assert {"package", "func", "return"} <= set(words(changed))


def test_a_comment_of_latex_keeps_its_line() -> None:
    wrapped = rewrapped(LATEX * 3, 1.0, random.Random(0), [])
    assert wrapped.count("% note\n\nThen it ends here.") == 3


def test_only_chinese_characters_are_edited_in_chinese() -> None:
    edited = scattered_characters("GNU 工具 gcc", 1.0, random.Random(0), ["文字"])
    assert edited.startswith("GNU ") and edited.endswith(" gcc") and edited != "GNU 工具 gcc"


def test_pieces_are_of_the_size_of_documents_and_lose_nothing_but_ends() -> None:
    text = "\n\n".join(f"Paragraph {i}. " + "Words of it. " * (i % 40) for i in range(400))
    found = list(pieces(text, random.Random(0)))
    assert all(LEAST_BYTES <= len(piece.encode()) <= MOST_BYTES for piece in found)
    assert len("\n\n".join(found)) >= len(text) - MOST_BYTES
    assert all(text.index(a) < text.index(b) for a, b in pairwise(found))


def test_marks_of_html_and_manual_pages_go() -> None:
    page = b"<head>x</head><p>One &amp; <b>two</b></p>\n<p>three</p>"
    assert plain("a.html", page).split() == ["One", "&", "two", "three"]
    assert plain("a.1", b".SH NAME\nls \\- \\fBlist\\fP\n") == "NAME\nls - list"
    assert plain("a.txt", b"\xff\xfe") == ""


def test_a_package_that_cannot_be_had_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no Debian package no-such-openseek-package.*apt-get update"):
        fetch(Package("no-such-openseek-package", "prose", ""), tmp_path)


def test_an_empty_corpus_has_no_truth() -> None:
    assert with_truth({"code": []}, seed=1) == Corpus([], [], [])
