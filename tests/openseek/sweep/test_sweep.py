import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from openseek.sweep.config import FieldRange, Result, Run, SweepConfig
from openseek.sweep.space import value_of
from openseek.sweep.sweep import Sweep

CONFIG = SweepConfig(
    domains={"web": 8000, "code": 1500, "math": 500},
    train_tokens=5000,
    max_epochs=4,
    budget_runs=15,
    batch_runs=5,
    bootstraps=2,
)


def losses(run: Run) -> dict[str, float]:
    """Loss of three domains, each falling with its own share and a little with the web's."""
    random = np.random.default_rng([run.seed, round(run.point["web"] * 1e6)])
    share = {name: run.point[name] + 0.2 * run.point["web"] + 0.02 for name in ("web", "code", "math")}
    return {name: 1 + value**-0.2 + 0.002 * float(random.normal()) for name, value in share.items()}


def finish(sweep: Sweep, results: list[Result], most: int = 100) -> list[Result]:
    """The results after at most so many other runs."""
    while (runs := sweep.next(results)) and most:
        results = [*results, *(Result(run, losses(run)) for run in runs[:most])]
        most -= min(most, len(runs))
    return results


@pytest.fixture(scope="module")
def finished() -> list[Result]:
    return finish(Sweep(CONFIG), [])


def test_design_has_the_references_and_repeats_of_one() -> None:
    runs = Sweep(CONFIG).next([])
    assert [run.kind for run in runs[:4]] == ["natural", "repeat", "repeat", "uniform"]
    assert runs[0].point == runs[1].point == {"web": 0.8, "code": 0.15, "math": 0.05}
    assert len({run.seed for run in runs[:3]}) == 3
    assert {tuple(run.point.values()) for run in runs[4:]} & {tuple(runs[0].point.values())} == set()
    assert all(math.isclose(sum(run.point.values()), 1) for run in runs)


def test_every_run_keeps_to_the_epoch_caps(finished: list[Result]) -> None:
    assert CONFIG.caps["math"] == 0.4
    assert max(result.run.point["math"] for result in finished) <= 0.4 + 1e-9
    assert len({result.run.name for result in finished}) == len(finished)


def test_search_stops_at_its_budget_and_the_check_follows(finished: list[Result]) -> None:
    kinds = [result.run.kind for result in finished]
    assert len([kind for kind in kinds if kind in ("proposed", "design")]) <= 11
    assert kinds[-6:] == 2 * ["optimum", "natural", "rival"]
    assert Sweep(CONFIG).next(finished) == []


def test_a_sweep_killed_at_any_run_goes_on_with_the_same_runs(finished: list[Result]) -> None:
    assert Sweep(CONFIG).next(finished[:3]) == [result.run for result in finished[3:6]]
    for kept in (8, len(finished) - 2):
        assert finish(Sweep(CONFIG), finished[:kept]) == finished


def test_order_of_results_does_not_matter(finished: list[Result]) -> None:
    assert [run.name for run in Sweep(CONFIG).next(finished[4::-1])] == ["design-05"]
    assert Sweep(CONFIG).next(finished[::-1]) == []


def test_report_finds_a_better_mixture_than_the_natural_one_and_trusts_it(finished: list[Result]) -> None:
    report = Sweep(CONFIG).report(finished)
    best = report["optimum"]["point"]
    assert best["math"] > 0.1 and best["code"] > 0.15
    assert report["check"]["verdict"] == "trust", report["check"]["reasons"]
    assert report["noise"] == pytest.approx(0.002 / math.sqrt(3), rel=0.9)
    assert report["optimum"]["low"]["code"] <= best["code"] <= report["optimum"]["high"]["code"]
    assert report["fit"]["spearman"] > 0.8
    assert report["optimum"]["epochs"]["math"] <= 4


def test_failed_runs_are_left_out_and_said(finished: list[Result]) -> None:
    broken = [*finished]
    broken[4] = Result(broken[4].run, None)
    broken[5] = Result(broken[5].run, {**losses(broken[5].run), "code": math.nan})
    broken[6] = Result(broken[6].run, {"web": 1.0})
    report = Sweep(CONFIG).report(broken)
    assert len(report["excluded"]) == 3
    reasons = {each["run"]: each["reason"] for each in report["excluded"]}
    assert reasons[broken[4].run.name] == "the training failed"
    assert reasons[broken[5].run.name] == "code is nan"
    assert reasons[broken[6].run.name] == "no value of code, math"


def test_too_few_usable_runs_are_refused() -> None:
    runs = Sweep(CONFIG).next([])
    with pytest.raises(ValueError, match="2 different points of 6 runs have losses.*the training failed"):
        Sweep(CONFIG).next([Result(run, losses(run) if place < 4 else None) for place, run in enumerate(runs)])


def test_search_stops_when_the_gain_is_below_the_noise() -> None:
    """Losses that are noise alone leave nothing to gain: the budget is not spent."""
    sweep, results = Sweep(dataclasses.replace(CONFIG, budget_runs=40, check_seeds=0)), []
    random = np.random.default_rng(3)
    while runs := sweep.next(results):
        results += [Result(run, {"loss": 2 + 0.05 * float(random.normal())}) for run in runs]
    assert len(results) < 40


def test_recipe_fields_are_swept_like_mixtures() -> None:
    config = SweepConfig(
        fields={
            "pretrain.lr": FieldRange(1e-5, 1e-1, "log", current=1e-4),
            "pretrain.batch": FieldRange(8, 64, integer=True),
        },
        budget_runs=20,
        bootstraps=3,
        check_seeds=1,
    )

    def loss(run: Run) -> dict[str, float]:
        noise = 0.003 * float(np.random.default_rng(run.seed).normal())
        return {"loss": 2 + 0.1 * math.log10(run.point["pretrain.lr"] / 2e-3) ** 2 + noise}

    sweep, results = Sweep(config), []
    while runs := sweep.next(results):
        results += [Result(run, loss(run)) for run in runs]
    assert results[0].run.point == {"pretrain.lr": 1e-4, "pretrain.batch": 36.0}
    report = sweep.report(results)
    assert 7e-4 < report["optimum"]["point"]["pretrain.lr"] < 6e-3
    assert set(report["regressors"]["loss"]) == {"gaussian_process", "log_linear", "gradient_boosting"}


def test_a_pool_bounds_the_search_to_runs_that_exist() -> None:
    config = dataclasses.replace(CONFIG, check_seeds=0, bootstraps=2)
    random = np.random.default_rng(0)
    pool: list[dict[str, float]] = []
    while len(pool) < 40:
        shares = random.dirichlet([1, 1, 1])
        pool.append(dict(zip(config.domains, map(float, shares), strict=True)))
    sweep, results = Sweep(config, pool), []
    while runs := sweep.next(results):
        results += [Result(run, losses(run)) for run in runs]
    points = [tuple(result.run.point.values()) for result in results]
    assert len(set(points)) == len(points)
    assert set(points) <= {tuple(point.values()) for point in pool}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domains": {"web": 8000, "none": 0}}, "gives 'none' 0 tokens: leave out"),
        ({"domains": {"web": 8000}}, "'web' alone: a mixture needs two"),
        ({"train_tokens": 50_000}, "max_epochs 4 is infeasible.*set max_epochs to 5 or more"),
        ({"budget_runs": 3}, "budget_runs is 3, fewer than"),
        ({"domains": {str(n): 1 for n in range(20)}, "train_tokens": 0}, "fewer than the 20 domains"),
        ({"targets": {"web": -1.0}}, "gives 'web' the weight -1.0"),
        ({"targets": {"web": 0.0}}, "are all 0"),
        ({"initial_runs": 2}, "makes 2 first runs: they must be at least 6"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"batch_runs": 0}, "batch_runs is 0: it must be at least 1"),
        ({"max_epochs": -1.0}, "max_epochs is -1.0"),
        ({"fields": {"web": FieldRange()}}, "web is a domain and a field"),
    ],
)
def test_mistakes_in_the_configuration_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 1.0, "high": 1.0}, "finite and in order"),
        ({"low": 0.0, "high": 1.0, "scale": "log"}, "log scale needs it above 0"),
        ({"current": 3.0}, "lies outside 0.0 to 1.0"),
    ],
)
def test_mistakes_in_a_field_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FieldRange(**values)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"web": 0.5, "code": 0.5}, "differ in math"),
        ({"web": 0.5, "code": 0.5, "math": 0.0, "wiki": 0.0}, "differ in wiki"),
        ({"web": 1.5, "code": -0.5, "math": 0.0}, "must not be negative"),
        ({"web": 0.0, "code": 0.0, "math": 0.0}, "one must be above 0"),
        ({"web": math.nan, "code": 1.0, "math": 0.0}, "must not be negative"),
    ],
)
def test_mistakes_in_a_point_are_named(point: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sweep(dataclasses.replace(CONFIG, check_seeds=0), [point])


def test_a_pool_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="check_seeds is 2, but a pool has no other trainings"):
        Sweep(CONFIG, [{"web": 0.5, "code": 0.3, "math": 0.2}])


def test_a_sweep_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="neither domains nor fields vary"):
        Sweep(SweepConfig())


def test_whole_numbers_are_multiples_within_the_range() -> None:
    batch = FieldRange(2, 17, scale="log", integer=True, multiple=2)
    found = {value_of(place, batch) for place in np.linspace(0, 1, 50)}
    assert found == {float(value) for value in range(2, 17, 2)}
    with pytest.raises(ValueError, match="low 3 must be a multiple of multiple 2"):
        FieldRange(3, 9, integer=True, multiple=2)
