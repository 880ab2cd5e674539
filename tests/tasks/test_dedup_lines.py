"""dedup_lines: repeats go and first occurrences stay, frames of pages go everywhere, and nothing else is lost."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.corpus import corpus
from openseek.artifact import read_manifest
from openseek.data import bloom
from openseek.data.repeated_lines import DedupLines
from openseek.recipes import Recipe
from tasks.dedup_lines import dedup_lines
from tasks.where import Where, using

Documents = Callable[..., Path]
LINES = DedupLines(unit="line", min_remaining=0)
PARAGRAPHS = DedupLines(min_remaining=0)


def rows(directory: Path, folder: str = "data") -> list[dict[str, Any]]:
    return pa.concat_tables([pq.read_table(p) for p in sorted((directory / folder).glob("*.parquet"))]).to_pylist()


def texts(directory: Path) -> list[str]:
    return [row["text"] for row in rows(directory)]


def facts(directory: Path) -> dict[str, Any]:
    return read_manifest(directory)["facts"]


def corpus_of(documents: int, different: int = 14) -> list[list[str]]:
    """Three shards of documents of twenty lines, drawn from so many different ones a document."""
    draw = random.Random(documents)
    lines = [f"line {i} says {draw.random()}" for i in range(documents * different)]
    made = ["\n".join(draw.choice(lines) for _ in range(20)) for _ in range(documents)]
    return [made[i::3] for i in range(3)]


def first_only(shards: list[list[str]]) -> list[str]:
    """The oracle: lines that came before go."""
    seen: set[str] = set()
    left = []
    for text in (text for shard in shards for text in shard):
        kept = []
        for line in text.split("\n"):
            if line not in seen:
                kept.append(line)
            seen.add(line)
        left.append("\n".join(kept))
    return left


def test_a_planted_paragraph_goes_and_its_first_occurrence_stays(documents_of: Documents) -> None:
    passage = "This paragraph\nis told twice. 这一段说了两次。"
    again = "this  paragraph is told TWICE. 这一段说了两次。"
    shards = [[f"one\n\n{passage}\n\ntwo", "other"], [f"three\r\n\r\n{again}\r\n\r\nfour", passage]]
    out = dedup_lines(documents_of(shards), config=replace(PARAGRAPHS, min_remaining=1))
    assert texts(out) == [shards[0][0], "other", "three\r\n\r\nfour"]
    ids = [row["id"] for row in rows(out)]
    cuts = rows(out, "cut")
    assert [(c["id"], c["partner"]) for c in cuts][0] == (ids[2], ids[0])
    assert shards[1][0].encode()[cuts[0]["start"] : cuts[0]["stop"]].decode() == again + "\r\n\r\n"
    (dropped,) = rows(out, "dropped")
    assert (dropped["rule"], dropped["partner"], dropped["value"], dropped["limit"]) == (
        "repeated_paragraph",
        ids[0],
        0,
        1,
    )
    assert (dropped["start"], dropped["stop"], dropped["row"]) == (0, len(passage.encode()), 1)
    told = facts(out)
    assert (told["rows_in"], told["rows_out"], told["dropped"]) == (4, 3, {"repeated_paragraph": 1})
    assert (told["documents_cut"], told["repeats"], told["units"]) == (1, 2, 8)
    assert told["bytes_cut"] == cuts[0]["stop"] - cuts[0]["start"]


@pytest.mark.parametrize("config", [LINES, replace(LINES, error_rate=0.0), replace(LINES, name_partners=False)])
def test_what_stays_is_what_a_plain_loop_keeps(documents_of: Documents, config: DedupLines) -> None:
    shards = corpus_of(150)
    out = dedup_lines(documents_of(shards), config=config)
    assert texts(out) == first_only(shards)
    holder: dict[str, str] = {}
    ids = [row["id"] for row in rows(out)]
    for identity, text in zip(ids, (text for shard in shards for text in shard), strict=True):
        for line in text.split("\n"):
            holder.setdefault(line, identity)
    whole = dict(zip(ids, (text.encode() for shard in shards for text in shard), strict=True))
    cuts = rows(out, "cut")
    assert len(cuts) == facts(out)["repeats"] > 200
    for cut in cuts:
        line = whole[cut["id"]][cut["start"] : cut["stop"]].decode().strip("\n")
        assert cut["partner"] == (holder[line] if config.name_partners else None)


def wrong_cuts(documents: Path, rate: float) -> tuple[int, float]:
    """(lines that a filter of this error cuts and the exact search does not, the number expected)."""
    exact = facts(dedup_lines(documents, config=replace(LINES, error_rate=0.0)))
    found = facts(dedup_lines(documents, config=replace(LINES, error_rate=rate, name_partners=False)))
    return found["repeats"] - exact["repeats"], found["expected_errors"]


def test_the_filter_is_wrong_as_often_as_it_says(documents_of: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = documents_of(corpus_of(1000, different=400))
    wrong, expected = wrong_cuts(documents, 0.05)
    assert 100 < expected < 0.05 * 20_000
    assert abs(wrong - expected) < 5 * expected**0.5
    named = dedup_lines(documents, config=replace(LINES, error_rate=0.05))
    assert facts(named)["errors_found"] == wrong
    assert texts(named) == texts(dedup_lines(documents, config=replace(LINES, error_rate=0.0)))
    # Control: a filter of a quarter of the bits is noticed.
    honest = bloom.size
    monkeypatch.setattr(bloom, "size", lambda units, rate: (-(-honest(units, rate)[0] // 4), honest(units, rate)[1]))
    wrong, _ = wrong_cuts(documents, 0.051)
    assert wrong > 3 * 0.051 * 20_000


def page(host: str, number: int, frame: str = "Startseite | 登录 | تسجيل") -> dict[str, str]:
    return {"text": f"{frame}\nbody {host} {number}\nall rights", "source": "web", "url": f"https://{host}/{number}"}


def test_the_frame_of_a_site_goes_from_all_its_pages(documents_of: Documents) -> None:
    config = DedupLines(unit="line", mode="boilerplate", min_documents=4, max_characters=40, min_remaining=0)
    frame = "Startseite | 登录 | تسجيل"
    code = [{**page("a.org", i), "source": "code"} for i in range(3)]
    long = {"text": "\n".join(["x" * 41] * 9), "source": "web", "url": "https://a.org/long"}
    shards = [
        [page("a.org", 0), page("A.org", 1), *code, long],
        [page("a.org", 2), page("a.org:80", 3), *(page("b.org", i) for i in range(3))],
        [{"text": f"{frame}\n{frame}\nno url", "source": "web"}] * 2,
    ]
    out = dedup_lines(documents_of(shards), config=replace(config, except_sources=("code",)))
    left = texts(out)
    assert [left[i] for i in (0, 1, 6, 7)] == [
        f"body {host} {i}" for i, host in enumerate(("a.org", "A.org", "a.org", "a.org:80"))
    ]
    assert left[2:6] == [*(row["text"] for row in code), long["text"]]
    assert left[8:11] == [page("b.org", i)["text"] for i in range(3)]
    assert left[11:] == [f"{frame}\n{frame}\nno url"] * 2
    first = rows(out)[0]["id"]
    assert {c["partner"] for c in rows(out, "cut")} == {first}
    assert facts(out)["boilerplate"] == 2
    # Control: of a limit that no site reaches, and of one that b.org reaches too.
    few, many = (dedup_lines(documents_of(shards, f"{n}"), config=replace(config, min_documents=n)) for n in (3, 9))
    assert facts(many)["documents_cut"] == 0
    assert facts(few)["documents_cut"] == 4 + 3 + 3


def test_a_line_repeated_within_one_document_is_no_boilerplate(documents_of: Documents) -> None:
    config = DedupLines(unit="line", mode="boilerplate", min_documents=2, group="source", min_remaining=0)
    out = dedup_lines(documents_of([["same\n" * 50 + "a"], ["b"]]), config=config)
    assert texts(out) == ["same\n" * 50 + "a", "b"]


def test_what_is_left_too_short_is_dropped_and_accounted_for(documents_of: Documents) -> None:
    documents = documents_of([["one\ntwo", "ab\none\ntwo", "short"], ["c\none"]])
    out = dedup_lines(documents, config=replace(LINES, min_remaining=2))
    assert texts(out) == ["one\ntwo", "ab", "short"]
    (dropped,) = rows(out, "dropped")
    assert (dropped["task"], dropped["rule"], dropped["value"], dropped["limit"], dropped["first"]) == (
        *("dedup_lines", "repeated_line"), *(1, 2, True),
    )  # fmt: skip
    assert (facts(out)["rows_in"], facts(out)["rows_out"], facts(out)["documents_cut"]) == (4, 3, 1)


@pytest.mark.parametrize("mode", ["first", "boilerplate"])
def test_awkward_documents(documents_of: Documents, mode: Any) -> None:
    shards = [
        [],
        ["", "\n\n", "no newline", "---", "---", "a\r\nb\r\na\r\n", "x\n" * 100_000, "word " * 2_000_000],
        [""],
    ]
    config = DedupLines(unit="line", mode=mode, group="source", min_documents=2, min_remaining=0)
    left = texts(dedup_lines(documents_of(shards), config=config))
    expected = [text for shard in shards for text in shard]
    if mode == "first":
        expected[5:7] = ["a\r\nb", "x"]
    assert left == expected


def test_sources_may_be_excepted(documents_of: Documents) -> None:
    shards = [[{"text": "same", "source": "code"}, {"text": "same", "source": "code"}, "same", "same\nb"]]
    out = dedup_lines(documents_of(shards), config=replace(LINES, except_sources=("code",)))
    assert texts(out) == ["same", "same", "same", "b"]


@pytest.mark.parametrize("mode", ["first", "boilerplate"])
def test_workers_do_not_change_a_byte(
    documents_of: Documents, files_of: Any, root: Where, two_workers: str, mode: Any
) -> None:
    documents = documents_of([*corpus_of(60), []])
    config = replace(LINES, mode=mode, group="source", min_documents=2, num_partitions=5)
    alone = files_of(dedup_lines(documents, config=config))
    with using(replace(root, root=root.root / "parallel", dask=lambda: two_workers)):
        together = files_of(dedup_lines(documents, config=config))
    assert together == alone
    assert {"cut/00003.parquet", "data/00003.parquet", "report.html"} <= set(alone)


def test_neither_the_number_of_parts_nor_a_kill_changes_what_stays(
    documents_of: Documents, files_of: Any, root: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = documents_of(corpus_of(60))
    whole = dedup_lines(documents, config=LINES)
    few = dedup_lines(documents, config=replace(LINES, num_partitions=1))
    assert texts(few) == texts(whole)
    import tasks.dedup_lines as module

    for step in ("_find_repeats", "_record_cuts", "_cut"):
        honest, calls = getattr(module, step), iter(range(99))

        def dying(*arguments: Any, honest: Any = honest, calls: Any = calls, **named: Any) -> Any:
            if next(calls) == 1:
                raise KeyboardInterrupt
            return honest(*arguments, **named)

        again = root.root / f"again{step}"
        with monkeypatch.context() as patch:
            patch.setattr(module, step, dying)
            with pytest.raises(KeyboardInterrupt):
                dedup_lines(documents, config=LINES, out=again)
        assert files_of(dedup_lines(documents, config=LINES, out=again)) == files_of(whole)


def test_a_flow_runs_it_where_the_recipe_enables_it(root: Where) -> None:
    with using(replace(root, plan=[])) as here:
        plain = list(corpus(Recipe()))
        enabled = list(corpus(Recipe(dedup_lines=replace(LINES, enabled=True))))
    place = plain.index("classify")
    assert "dedup_lines" not in plain
    assert enabled == [*plain[:place], "dedup_lines", *plain[place:]]
    assert here.plan is not None
    steps = {step.name: step for step in here.plan[len(plain) :]}
    assert steps["classify"].inputs["documents"]["path"] == steps["dedup_lines"].directory.name  # type: ignore[index]


def test_by_hand_and_in_a_flow_it_is_the_same_work(documents_of: Documents) -> None:
    documents = documents_of([["a"]])
    assert dedup_lines(documents, config=replace(LINES, enabled=True)) == dedup_lines(documents, config=LINES)
