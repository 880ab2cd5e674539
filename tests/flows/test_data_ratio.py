"""A sweep that really trains: small models, three domains, every run in this process."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows.data_ratio import searched, swept
from flows.trainings import Trained
from openseek.artifact import read_manifest
from openseek.fields import changed
from openseek.recipes import Recipe
from openseek.sweep.config import FieldRange
from openseek.sweep.experiment import Experiment
from tasks.where import Where

DOMAINS = ("letters", "numbers", "words")


def test_a_killed_sweep_goes_on_and_ends_with_the_same_verdict(tokens: Path, root: Where, small: Recipe) -> None:
    finished: list[str] = []

    def stop_after_five(name: str, trained: Trained) -> None:
        finished.append(name)
        if len(finished) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(small, tokens, stop_after_five)
    before = {path: path.stat().st_mtime_ns for path in root.root.glob("pretrain.proxy-*/manifest.json")}
    assert len(before) >= 5

    done = swept(small, tokens)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "a finished training ran again"
    facts = read_manifest(done)["facts"]
    assert facts["verdict"] in ("trust", "doubt")
    assert facts["runs"] == len(list(root.root.glob("pretrain.proxy-*/manifest.json")))
    report = json.loads((done / "report.json").read_text())
    assert [point["name"] for point in report["points"]][:5] == finished
    assert {point["kind"] for point in report["points"]} >= {"natural", "uniform", "repeat", "design"}
    assert set(report["losses"]) == set(DOMAINS)
    assert sum(facts["optimum"].values()) == pytest.approx(1)
    assert {path.name for path in (done / "plots").iterdir()} >= {"predicted.png", "mixtures.png", "losses.png"}
    assert all(domain in (done / "report.md").read_text() for domain in DOMAINS)
    assert swept(small, tokens) == done


def test_a_domain_gains_from_its_own_text(tokens: Path, small: Recipe) -> None:
    """Two mixtures apart: each is better at home. A mixture that trainings ignored would fail here."""
    from flows.data_ratio import _proxy
    from flows.trainings import losses
    from openseek.sweep.config import Run

    def of(domain: str) -> dict[str, float]:
        point = {name: 0.98 if name == domain else 0.01 for name in DOMAINS}
        found = losses(Trained(_proxy(small, tokens, Run(domain, "design", point, 0))))
        assert found is not None
        return found

    letters, numbers = of("letters"), of("numbers")
    assert letters["letters"] < numbers["letters"] - 0.05
    assert numbers["numbers"] < letters["numbers"] - 0.05


def test_fields_of_a_recipe_are_swept(tokens: Path, small: Recipe) -> None:
    rate = FieldRange(1e-4, 3e-2, scale="log")
    fields = {"pretrain.fit.schedule.peak": rate}
    search = replace(small.sweep.search, fields=fields, budget_runs=6, repeats=1, check_seeds=0)
    recipe = changed(small, {"pretrain.fit.schedule.final": 0.0})
    recipe = replace(recipe, sweep=Experiment(mixture=False, search=search))
    facts = read_manifest(swept(recipe, tokens))["facts"]
    assert facts["verdict"] == "not checked"
    # Six steps from random weights: a rate of 1e-4 hardly moves them.
    assert facts["optimum"]["pretrain.fit.schedule.peak"] > 3e-3


def test_the_budget_in_operations_limits_the_runs(tokens: Path, small: Recipe) -> None:
    summary = json.loads((tokens / "tokens.json").read_text())
    limited = replace(small, sweep=replace(small.sweep, budget_flops=6.5e9))
    assert searched(limited, summary, 1e9).budget_runs == 6
    assert searched(limited, summary, 1e9).domains.keys() == set(DOMAINS)
    with pytest.raises(ValueError, match="budget_runs is 2, fewer than"):
        searched(limited, summary, 3e9)


@pytest.mark.parametrize(
    ("name", "message"),
    [("pretrain.no_such", "has no field 'no_such'"), ("pretrain.separate_documents", "only numbers can be swept")],
)
def test_fields_that_cannot_be_swept_are_named(tokens: Path, small: Recipe, name: str, message: str) -> None:
    search = replace(small.sweep.search, fields={name: FieldRange()})
    with pytest.raises(ValueError, match=message):
        swept(replace(small, sweep=Experiment(mixture=False, search=search)), tokens)


def test_the_optimum_is_trained_at_the_next_size(tokens: Path, root: Where, small: Recipe) -> None:
    rate = FieldRange(1e-3, 3e-2, scale="log")
    search = replace(small.sweep.search, fields={"pretrain.fit.schedule.peak": rate}, budget_runs=4, repeats=1)
    recipe = changed(small, {"pretrain.fit.schedule.final": 0.0})
    confirm = {"pretrain.model.hidden_size": 24}
    recipe = replace(recipe, sweep=Experiment(mixture=False, search=search, confirm=confirm))
    done = swept(recipe, tokens)
    report = json.loads((done / "report.json").read_text())
    assert report["check"]["elsewhere"]
    assert not any("predicted" in reason for reason in report["check"]["reasons"])
    widths = {
        name: read_manifest(root.root / folder)["config"]["model"]["hidden_size"]
        for name, folder in report["artifacts"].items()
    }
    assert {width for name, width in widths.items() if name.startswith("check-")} == {24}
    assert {width for name, width in widths.items() if not name.startswith("check-")} == {16}
    assert "another size" in (done / "report.md").read_text()


def test_a_budget_that_no_search_can_do_with_is_refused_before_the_corpus_is_made(small: Recipe) -> None:
    with pytest.raises(ValueError, match="budget_runs is 2: no search has fewer than 4 runs"):
        replace(small.sweep, search=replace(small.sweep.search, budget_runs=2))
