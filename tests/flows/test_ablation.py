"""Sides of an ablation really trained: a clean corpus against one with junk that the filter would drop."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows.ablation import Arm, ablation, leave_one_out
from openseek.data.filters import Filters
from openseek.data.filters.gopher import GopherQuality, GopherRepetition
from openseek.data.scorers import Classify
from openseek.data.sources import Ingest, Source
from openseek.data.tokenizer import Tokenize
from openseek.eval.config import Benchmark, Evaluate
from openseek.recipes import Recipe
from openseek.sweep.pages import ablation as page
from tasks.where import Where

WITHOUT = ("synthesize", "select")
STORIES = ("good", "plain")


def story(number: int) -> str:
    return " ".join(f"the old ship {i} went over the sea with the wind of day {number}" for i in range(8))


@pytest.fixture
def noisy(tmp_path: Path, small: Recipe) -> Recipe:
    """A recipe over stories and lines of symbols, measured on other stories."""
    junk = [{"text": " ".join(f"#{i}{n} ..." for i in range(60))} for n in range(60)]
    stories = [{"text": story(n)} for n in range(80)]
    files = {"good": stories[:40], "plain": stories[40:65], "junk": junk, "fixed": stories[70:74]}
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = (*STORIES, "junk")
    sources = tuple(Source(name, str(tmp_path / f"{name}.jsonl"), lang="en", licence="public") for name in names)
    return replace(
        small,
        ingest=Ingest(sources=sources),
        classify=Classify(positive_sources=STORIES[:1], negative_sources=STORIES[1:]),
        filter=Filters(
            gopher_quality=GopherQuality(except_sources=STORIES),
            gopher_repetition=GopherRepetition(except_sources=STORIES),
        ),
        tokenize=Tokenize(vocab_size=300, heldout_fraction=0.1),
        evaluate=Evaluate(benchmarks=(Benchmark("bits_per_byte", str(tmp_path / "fixed.jsonl")),)),
    )


def test_what_a_stage_is_worth(noisy: Recipe, root: Where) -> None:
    told: list[str] = []
    near = ("dedup_exact", "dedup_minhash", "dedup_substring")
    arms = {"as it is": Arm(noisy, (*WITHOUT, *near)), "without filter": Arm(noisy, (*WITHOUT, *near, "filter"))}
    found = ablation(arms, seeds=2, finished=lambda name, trained: told.append(name))
    assert told == [f"{arm}, seed {seed}" for arm in arms for seed in range(2)]
    clean, dirty = found.values()
    assert dirty.tokens > 1.3 * clean.tokens
    assert set(clean.losses) == set(dirty.losses) == {0, 1}
    # Half of what the second side trains on is junk.
    assert max(clean.losses.values()) < min(dirty.losses.values())
    measured = {name: vars(each) | {"paths": []} for name, each in found.items()}
    text = page(measured)
    assert "| without filter |" in text
    assert "as it is better" in text or "no difference seen" in text


def test_stages_are_left_out_one_at_a_time_or_together(small: Recipe) -> None:
    arms = leave_one_out(small, ["filter", "dedup_exact+dedup_minhash"])
    assert [arm.without for arm in arms.values()] == [(), ("filter",), ("dedup_exact", "dedup_minhash")]
    with pytest.raises(ValueError, match="'tokenize' is no step that can be left out"):
        leave_one_out(small, ["tokenize"])


def test_sides_that_would_not_be_comparable_are_refused(noisy: Recipe, small: Recipe, root: Where) -> None:
    longer = replace(noisy, pretrain=replace(noisy.pretrain, train_tokens=9999))
    with pytest.raises(ValueError, match=r"the arms train on \[1536, 9999\] tokens"):
        ablation({"A": Arm(noisy), "B": Arm(longer)}, seeds=1)
    with pytest.raises(ValueError, match="evaluate.benchmarks has no bits_per_byte"):
        ablation({"A": Arm(small), "B": Arm(small)}, seeds=1)
