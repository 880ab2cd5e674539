"""A sweep that really trains: small models, three domains, every run in this process."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.data_ratio import searched, swept
from flows.trainings import Trained
from openseek.artifact import read_manifest
from openseek.data.tokenizer import Tokenize
from openseek.fields import changed
from openseek.model.config import ModelConfig
from openseek.recipes import Recipe
from openseek.sweep.config import FieldRange, SweepConfig
from openseek.sweep.experiment import Experiment
from openseek.train.loop import Fit
from openseek.train.optimizer import Schedule
from openseek.train.pretrain import Pretrain
from tasks.tokens import tokenize
from tasks.where import Where

Documents = Callable[..., Path]
DOMAINS = ("letters", "numbers", "words")


def text(domain: str, number: int) -> str:
    generator = random.Random(f"{domain}{number}")
    if domain == "letters":
        return "".join(generator.choices("abcdefgh", k=160))
    if domain == "numbers":
        return " ".join(str(generator.randrange(100)) for _ in range(60))
    return " ".join(generator.choices(("the", "sea", "wind", "ship", "old", "went", "over"), k=50))


SEARCH = SweepConfig(budget_runs=8, batch_runs=2, repeats=2, check_seeds=1, bootstraps=4, folds=2)
RECIPE = Recipe(
    pretrain=Pretrain(
        model=ModelConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            kv_lora_rank=8,
            qk_nope_head_dim=8,
            qk_rope_head_dim=4,
            v_head_dim=8,
            intermediate_size=32,
            moe_intermediate_size=16,
            n_routed_experts=2,
            first_k_dense_replace=1,
            num_nextn_predict_layers=0,
            initializer_range=0.1,
        ),
        fit=Fit(schedule=Schedule(peak=2e-2, final=2e-3)),
        train_tokens=6 * 8 * 32,
        warmup_tokens=0,
        sequence_length=32,
        global_batch_size=8,
        micro_batch_size=8,
        heldout_sequences=6,
    ),
    sweep=Experiment(search=SEARCH),
)


@pytest.fixture
def tokens(documents_of: Documents, root: Where) -> Path:
    rows = [{"text": text(domain, i), "source": domain} for i in range(40) for domain in DOMAINS]
    return tokenize(documents_of([rows]), config=Tokenize(vocab_size=280, heldout_fraction=0.2))


def test_a_killed_sweep_goes_on_and_ends_with_the_same_verdict(tokens: Path, root: Where) -> None:
    finished: list[str] = []

    def stop_after_five(name: str, trained: Trained) -> None:
        finished.append(name)
        if len(finished) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(RECIPE, tokens, stop_after_five)
    before = {path: path.stat().st_mtime_ns for path in root.root.glob("pretrain.proxy-*/manifest.json")}
    assert len(before) >= 5

    done = swept(RECIPE, tokens)
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
    assert swept(RECIPE, tokens) == done


def test_a_domain_gains_from_its_own_text(tokens: Path) -> None:
    """Two mixtures apart: each is better at home. A mixture that trainings ignored would fail here."""
    from flows.data_ratio import _proxy
    from flows.trainings import losses
    from openseek.sweep.config import Run

    def of(domain: str) -> dict[str, float]:
        point = {name: 0.98 if name == domain else 0.01 for name in DOMAINS}
        found = losses(Trained(_proxy(RECIPE, tokens, Run(domain, "design", point, 0))))
        assert found is not None
        return found

    letters, numbers = of("letters"), of("numbers")
    assert letters["letters"] < numbers["letters"] - 0.05
    assert numbers["numbers"] < letters["numbers"] - 0.05


def test_fields_of_a_recipe_are_swept(tokens: Path) -> None:
    rate = FieldRange(1e-4, 3e-2, scale="log")
    fields = {"pretrain.fit.schedule.peak": rate}
    search = replace(SEARCH, fields=fields, budget_runs=6, repeats=1, check_seeds=0)
    recipe = changed(RECIPE, {"pretrain.fit.schedule.final": 0.0})
    recipe = replace(recipe, sweep=Experiment(mixture=False, search=search))
    facts = read_manifest(swept(recipe, tokens))["facts"]
    assert facts["verdict"] == "not checked"
    # Six steps from random weights: a rate of 1e-4 hardly moves them.
    assert facts["optimum"]["pretrain.fit.schedule.peak"] > 3e-3


def test_the_budget_in_operations_limits_the_runs(tokens: Path) -> None:
    summary = json.loads((tokens / "tokens.json").read_text())
    limited = replace(RECIPE, sweep=replace(RECIPE.sweep, budget_flops=6.5e9))
    assert searched(limited, summary, 1e9).budget_runs == 6
    assert searched(limited, summary, 1e9).domains.keys() == set(DOMAINS)
    with pytest.raises(ValueError, match="budget_runs is 2, fewer than"):
        searched(limited, summary, 3e9)


@pytest.mark.parametrize(
    ("name", "message"),
    [("pretrain.no_such", "has no field 'no_such'"), ("pretrain.separate_documents", "only numbers can be swept")],
)
def test_fields_that_cannot_be_swept_are_named(tokens: Path, name: str, message: str) -> None:
    search = replace(SEARCH, fields={name: FieldRange()})
    with pytest.raises(ValueError, match=message):
        swept(replace(RECIPE, sweep=Experiment(mixture=False, search=search)), tokens)
