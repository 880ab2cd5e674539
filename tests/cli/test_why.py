"""`openseek why` tells which step kept a document and which rule dropped it."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import why as module
from cli.runs import runs
from cli.why import why
from openseek.data.document import DOCUMENT, ShardOutput, document_id, dropped_table
from openseek.data.repeated_lines import DedupLines
from tasks.dedup_exact import dedup_exact
from tasks.dedup_lines import dedup_lines
from tasks.dedup_minhash import dedup_minhash
from tasks.dedup_substring import dedup_substring
from tasks.shards import input_shards, map_shards
from tasks.task import task
from tasks.where import Where


@pytest.fixture
def kept_and_dropped(root: Where) -> tuple[str, str]:
    texts = {"http://a/1": "a long text that stays", "http://b/2": "short"}
    ids = [document_id("web", "file", i) for i in range(2)]

    def documents(shard: int) -> Iterator[ShardOutput]:
        empty = [""] * 2
        columns = [
            ids,
            list(texts.values()),
            ["web"] * 2,
            list(texts),
            ["en"] * 2,
            ["Latn"] * 2,
            empty,
            empty,
            ["{}"] * 2,
        ]
        yield ShardOutput(pa.Table.from_arrays([pa.array(c) for c in columns], schema=DOCUMENT), 2)

    def without_short(shard: Path) -> Iterator[ShardOutput]:
        table = pq.read_table(shard)
        row = {"id": ids[1], "task": "shorten", "rule": "length", "value": 5.0, "limit": 10.0, "first": True, "row": 1}
        yield ShardOutput(table.slice(0, 1), 2, dropped_table([row]))

    @task
    def gather(out: Path, config: None = None) -> dict:
        return map_shards(out, [0], documents, title="gather")

    @task
    def shorten(out: Path, documents: Path, config: None = None) -> dict:
        return map_shards(out, input_shards(documents), without_short, title="shorten")

    shorten(gather())
    return ids[0], ids[1]


def test_a_kept_and_a_dropped_document(
    root: Where, kept_and_dropped: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    stays, goes = kept_and_dropped
    assert why(stays, root.root, text=True) == 0
    told = capsys.readouterr().out
    assert told.count("kept (web, en, 22 characters") == 2
    assert "a long text that stays" in told
    assert why(goes[:12], root.root) == 0
    told = capsys.readouterr().out
    assert "gather-" in told
    assert "dropped by length: 5.0 (limit 10.0)" in told
    assert why("b/2", root.root) == 0
    assert goes in capsys.readouterr().out


def test_an_unknown_document_fails(
    root: Where, kept_and_dropped: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert why("0" * 32, root.root) == 1
    assert "no document" in capsys.readouterr().out


def test_runs_lists_artifacts(
    root: Where, kept_and_dropped: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs(root.root) == 0
    told = capsys.readouterr().out
    assert "gather-" in told
    assert "shorten-" in told
    with pytest.raises(ValueError, match="does not exist"):
        runs(root.root / "nowhere")


PROSE = [f"word{i}" for i in range(2000)]


def prose(seed: int, words: int = 150) -> str:
    return " ".join(random.Random(seed).choices(PROSE, k=words))


def identity(place: int) -> str:
    return document_id("web", "file", place)


def documents_of(texts: list[str], first: int = 0) -> Iterator[ShardOutput]:
    count = len(texts)
    filled = {"id": [identity(first + i) for i in range(count)], "text": texts, "source": ["web"] * count}
    filled["url"] = [f"http://a/{i}" for i in range(count)]
    columns = [filled.get(name, ["{}" if name == "meta" else ""] * count) for name in DOCUMENT.names]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, DOCUMENT, strict=True)]
    yield ShardOutput(pa.Table.from_arrays(arrays, schema=DOCUMENT), count)


@pytest.fixture
def gathered(root: Where) -> Callable[..., Path]:
    """`gathered(texts, ...)`: a finished artifact of documents, a shard an argument."""

    def make(*shards: list[str], name: str = "gather", first_id: int = 0) -> Path:
        @task
        def gather(out: Path, config: None = None) -> dict:
            first = [first_id + sum(map(len, shards[:i])) for i in range(len(shards))]
            return map_shards(out, [*zip(shards, first, strict=True)], lambda part: documents_of(*part), title="gather")

        return gather(out=root.root / name)

    return make


def told(capsys: pytest.CaptureFixture[str], place: int, root: Where, **options: Any) -> list[str]:
    assert why(identity(place), root.root, **options) == 0
    return capsys.readouterr().out.splitlines()


def test_the_partner_stands_beside_what_went(
    root: Where, gathered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    common, tail, other = prose(1), prose(2, 15), prose(3, 12)
    documents = gathered([f"{common} {tail}", prose(9)], [f"{common} {other}", f"{common}  {tail}"])
    dedup_minhash(dedup_exact(documents))
    exact = told(capsys, 3, root)
    assert any(line.endswith("100% of the characters are common") for line in exact)
    lines = told(capsys, 2, root)
    assert f"--- dropped: {identity(2)} (web, {len(common + other) + 1:,} characters) http://a/0" in lines
    assert f"+++ instead of it: {identity(0)} (web, {len(common + tail) + 1:,} characters) http://a/0" in lines
    # The common part is longer than what is shown of a part.
    (equal,) = [line for line in lines if line.startswith("= ")]
    assert equal.startswith(f"= {common[:200]}")
    assert f"… {len(common) - module.MOST_CHARACTERS:,} characters …" in equal
    assert [line for line in lines if line[:2] in ("- ", "+ ")] == [f"- {other}", f"+ {tail}"]
    assert not any(line[:2] in ("- ", "+ ", "= ") for line in told(capsys, 2, root, side_by_side=False))
    assert not any(line[:2] in ("- ", "+ ", "= ") for line in told(capsys, 0, root))


def test_a_terminal_gets_two_columns_and_no_commands(
    root: Where,
    gathered: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evil = "\x1b[2Jowned [bold]not markup[/bold] \u202egnp"
    dedup_exact(gathered([f"{prose(1, 9)} {evil}", f"{prose(1, 9)}  {evil}"]))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert why(identity(1), root.root, text=True) == 0
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    assert "[bold]" in shown
    assert "\x1b[30;42m" in shown
    assert all(len(line) < 160 for line in shown.splitlines() if "owned" in line)


def test_a_cut_passage_stands_in_its_context(
    root: Where, gathered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    passage = "".join(f"Sentence {i} is 原文的一句话, repeated. " for i in range(20)).strip()
    documents = gathered([f"{prose(1)}\n{passage}\n{prose(2)}", f"{prose(3)}\n{passage}\n{prose(4)}", passage])
    dedup_substring(documents)
    lines = told(capsys, 1, root)
    assert any("cut: 1 passages" in line for line in lines)
    start = len(prose(3)) + 1
    assert any(line.startswith(f"--- cut from byte {start:,} to") for line in lines)
    assert any(line.startswith(f"+++ it stands in: {identity(0)}") for line in lines)
    assert any(line.startswith("= Sentence 0 is 原文的一句话") for line in lines)
    assert f"- … {prose(3)[-199:]}".rstrip() in lines
    assert any(line.startswith(f"+ {prose(2)[:190]}") and line.endswith(" …") for line in lines)
    gone = told(capsys, 2, root)
    assert any("dropped by substring" in line for line in gone)
    assert any(line.startswith("= Sentence 0") for line in gone)


def test_a_partner_that_nobody_named(
    root: Where, gathered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"line {i} {prose(i, 5)}" for i in range(6)]
    documents = gathered(["\n".join(lines), "\n".join(["own words", *lines[:5], "more own words"])])
    dedup_lines(documents, config=DedupLines(unit="line", name_partners=False, min_remaining=0))
    shown = told(capsys, 1, root)
    assert any(line.startswith("+++ it stands in: not recorded") for line in shown)
    assert f"- {lines[0]}" in shown
    assert "  … 2 more passages are cut" in shown
    dedup_lines(documents, config=DedupLines(unit="line", min_remaining=0))
    assert f"= {lines[0]}" in told(capsys, 1, root)


def test_a_partner_in_an_earlier_pass(
    root: Where, gathered: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    copied = prose(1)

    @task
    def dedup_new(out: Path, documents: Path, against: Path | None = None, config: None = None) -> dict:
        def all_gone(shard: Path) -> Iterator[ShardOutput]:
            table = pq.read_table(shard)
            row = {"id": table["id"][0].as_py(), "task": "dedup_new", "rule": "minhash", "first": True, "row": 0}
            yield ShardOutput(table.slice(1), 1, dropped_table([{**row, "partner": identity(partner)}]))

        return map_shards(out, input_shards(documents), all_gone, title="dedup_new")

    earlier = dedup_exact(gathered(["a filler", f"first {copied}", f"first  {copied}"], name="old"))
    for place, partner in ((7, 1), (8, 2), (9, 5)):
        new = gathered([f"second {copied}"], name=f"new{place}", first_id=place)
        assert dedup_new(new, earlier, out=root.root / f"again{place}") != earlier
        lines = told(capsys, place, root)
        if partner == 5:
            assert f"+++ instead of it: {identity(5)} (its text is in no input)" in lines
        else:  # kept by the earlier pass, or read and dropped by it
            assert any(line.startswith(f"= {copied[:200]}") for line in lines)
            assert "- second" in lines
            assert "+ first" in lines
