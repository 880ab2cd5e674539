"""RegMix's released runs: 512 mixtures of 17 domains at 1M parameters to learn from, 256 others at 60M to rank.

Regressors learn from random subsets of the training runs and rank the 60M test runs, none of which is seen before.
Settings of the regressors and of the sequential design were chosen on training runs left out of a subset, the latter on
targets other than Pile-CC.
"""

import csv
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpus import CORPORA
from benchmarks.rows import Row, cpu_name, cpu_seconds

if TYPE_CHECKING:
    import numpy as np

    from openseek.sweep.config import Result, SweepConfig

FOLDER = CORPORA / "mixtures" / "regmix"
TARGET = "pile_cc"
SUBSETS = {32: 20, 128: 5, 512: 1}
"""Random subsets of each size; of 512 there is one."""
AVERAGED_SUBSETS = 5
SEEDS = 6
BUDGET = 32
FIRST = 8
"""Random runs that the sequential search starts from, and distance of the points of the plot."""
BATCHES = (2, 4, 8)
"""Runs proposed at once. Two was chosen on eight other losses, after runs with eight and four on Pile-CC."""
SEED = 20_000
REGMIX = "LightGBM, RegMix's settings"
SMALL_LEAF = "LightGBM, RegMix's settings but 4 runs a leaf"
SHARED: dict[str, Any] = {"bench": "mixtures", "command": "openseek bench mixtures"}


@dataclass(frozen=True)
class Runs:
    """Mixtures by domains, and losses of them by losses."""

    mixtures: "np.ndarray"
    losses: "np.ndarray"


def rows() -> list[Row]:
    """Ranking of the test runs by number of training runs, then the regret of sequential and random search."""
    from benchmarks.mixtures_plots import plot_ranking, plot_regret, plot_scatter

    domains, losses, train, test, small = load()
    target = losses.index(TARGET)
    found, ranked, example = ranking_rows(train, test, target)
    found += averaged_rows(train, test)
    measured, regrets = search_rows(domains, train, small, target)
    plot_ranking(ranked)
    plot_scatter(*example)
    plot_regret(regrets)
    return found + measured


def load(folder: Path = FOLDER) -> tuple[list[str], list[str], Runs, Runs, Runs]:
    """(domains, losses, 1M training runs, 60M test runs, 1M runs of the test mixtures)."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there: the benchmark of mixtures needs RegMix's released runs")
    domains, train_x = _table(folder / "train_mixture_1m.csv")
    losses, train_y = _table(folder / "train_pile_loss_1m.csv")
    test_x, test_y = _table(folder / "test_mixture_60m.csv")[1], _table(folder / "test_pile_loss_60m.csv")[1]
    small_x, small_y = _table(folder / "test_mixture_1m.csv")[1], _table(folder / "test_pile_loss_1m.csv")[1]
    train, test, small = (
        Runs(x / x.sum(1, keepdims=True), y) for x, y in ((train_x, train_y), (test_x, test_y), (small_x, small_y))
    )
    names = [name.removeprefix("metric/the_pile_").removesuffix("_val_loss") for name in losses]
    return [name.removeprefix("train_the_pile_") for name in domains], names, train, test, small


def _table(path: Path) -> "tuple[list[str], np.ndarray]":
    """(names, values) without the column of row numbers."""
    import numpy as np

    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    return lines[0][1:], np.array(lines[1:], dtype=np.float64)[:, 1:]


def ranking_rows(
    train: Runs, test: Runs, target: int
) -> "tuple[list[Row], dict[str, dict[int, list[float]]], tuple[np.ndarray, np.ndarray]]":
    """(rows, {regressor: {runs: correlations}}, (predicted, measured) of the first smallest subset)."""
    import numpy as np

    from openseek.sweep.choose import REGRESSORS, choose, spearman
    from openseek.sweep.gradient_boosting import LEAF, fit_gradient_boosting

    ranked: dict[str, dict[int, list[float]]] = {}
    measured, example, seconds = test.losses[:, target], None, []
    for size, subsets in SUBSETS.items():
        for subset in range(subsets):
            taken = np.random.default_rng(SEED + subset).permutation(len(train.mixtures))[:size]
            x, y = train.mixtures[taken], train.losses[taken, target]
            spent, chosen = cpu_seconds(lambda x=x, y=y: choose(x, y, x.shape[1]))
            predicted = {"ours": chosen(test.mixtures)}
            for name in chosen.scores:
                predicted[name] = REGRESSORS[name](x, y, x.shape[1])(test.mixtures)
            for name, leaf in ((REGMIX, LEAF), (SMALL_LEAF, 4)):
                predicted[name] = fit_gradient_boosting(x, y, x.shape[1], leaf)(test.mixtures)
            for name, values in predicted.items():
                ranked.setdefault(name, {}).setdefault(size, []).append(spearman(values, measured))
            if size == min(SUBSETS):
                seconds.append(spent)
                example = example or (predicted["ours"], measured)
    assert example is not None
    found = [row for size in SUBSETS for row in _ranked(ranked, size)]
    case = f"{min(SUBSETS)} runs at 1M"
    found.append(_row(case, "cross-validation and fit of all regressors", statistics.mean(seconds), "CPU s"))
    return found, ranked, example


def _ranked(ranked: dict[str, dict[int, list[float]]], size: int) -> list[Row]:
    """Mean correlation of ours beside each peer, with the interval of the mean over the subsets, and each regressor."""
    case = f"fit on {size} runs at 1M, rank 256 at 60M, Pile-CC, mean of {SUBSETS[size]} subsets"
    ours = ranked["ours"][size]
    found = [
        _row(case, "Spearman", statistics.mean(ours), "", peer, statistics.mean(ranked[peer][size]))
        for peer in (REGMIX, SMALL_LEAF)
    ]
    if len(ours) > 1:
        low, high = mean_interval(ours)
        found += [_row(case, "Spearman, 95 % interval of the mean, low", low, "")]
        found += [_row(case, "Spearman, 95 % interval of the mean, high", high, "")]
        found += [_row(case, "Spearman, least of the subsets", min(ours), "")]
    alone = [name for name in ranked if name not in ("ours", REGMIX, SMALL_LEAF)]
    return found + [_row(case, f"Spearman, {name} alone", statistics.mean(ranked[name][size]), "") for name in alone]


def averaged_rows(train: Runs, test: Runs) -> list[Row]:
    """The mean of all 13 losses as the target: each loss by itself, then their mean."""
    import numpy as np

    from openseek.sweep.choose import choose, spearman
    from openseek.sweep.gradient_boosting import fit_gradient_boosting
    from openseek.sweep.mixing_law import fit_exponential_law

    size = min(SUBSETS)
    kinds: dict[str, Callable[[Any, Any, int], Callable[[Any], Any]]] = {
        "ours": choose,
        "exponential mixing law": fit_exponential_law,
        SMALL_LEAF: lambda x, y, domains: fit_gradient_boosting(x, y, domains, 4),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for subset in range(AVERAGED_SUBSETS):
        taken = np.random.default_rng(SEED + subset).permutation(len(train.mixtures))[:size]
        x = train.mixtures[taken]
        for name, fit in kinds.items():
            parts = [fit(x, y, x.shape[1])(test.mixtures) for y in train.losses[taken].T]
            found[name].append(spearman(np.mean(parts, axis=0), test.losses.mean(1)))
    case = f"fit on {size} runs at 1M, rank 256 at 60M, mean of 13 losses, mean of {AVERAGED_SUBSETS} subsets"
    mean = {name: statistics.mean(values) for name, values in found.items()}
    low, high = mean_interval(found["ours"])
    return [
        *(_row(case, "Spearman", mean["ours"], "", peer, mean[peer]) for peer in list(kinds)[1:]),
        _row(case, "Spearman, 95 % interval of the mean, low", low, ""),
        _row(case, "Spearman, 95 % interval of the mean, high", high, ""),
    ]


def search_rows(
    domains: list[str], train: Runs, small: Runs, target: int
) -> tuple[list[Row], dict[str, dict[int, list[float]]]]:
    """(rows, {search: {runs: regrets}}) over the pool of all mixtures measured at 1M."""
    import numpy as np

    from openseek.sweep.config import Result, SweepConfig
    from openseek.sweep.sweep import Sweep

    mixtures = np.vstack([train.mixtures, small.mixtures])
    values = np.r_[train.losses[:, target], small.losses[:, target]]
    pool = [dict(zip(domains, map(float, row), strict=True)) for row in mixtures]
    loss = {tuple(point.values()): float(value) for point, value in zip(pool, values, strict=True)}
    held = dict(zip(domains, (1e9 * train.mixtures.mean(0)).astype(int).tolist(), strict=True))
    regrets: dict[str, dict[int, list[float]]] = {}

    def add(search: str, results: "list[Result]", config: "SweepConfig") -> None:
        best = min((result.losses or {})[TARGET] for result in results)
        place = recommended(config, results, mixtures)
        for kind, value in (("best run", best), ("recommended", float(values[place]))):
            regret = value - float(values.min())
            regrets.setdefault(f"{search}, {kind}", {}).setdefault(len(results), []).append(regret)

    for seed in range(SEEDS):
        wide = SweepConfig(domains=held, budget_runs=BUDGET, initial_runs=BUDGET, repeats=1, check_seeds=0, seed=seed)
        for batch in BATCHES:
            config = replace(wide, initial_runs=FIRST, batch_runs=batch)
            sweep, results = Sweep(config, pool), []
            while runs := sweep.next(results):
                results += [Result(run, {TARGET: loss[tuple(run.point.values())]}) for run in runs]
                if len(results) % FIRST == 0:
                    add(f"sequential by {batch}", results, config)
        drawn = [Result(run, {TARGET: loss[tuple(run.point.values())]}) for run in Sweep(wide, pool).next([])]
        for count in range(FIRST, BUDGET + 1, FIRST):
            add("random", drawn[:count], wide)
    return _searched(regrets, len(pool)), regrets


def recommended(config: "SweepConfig", results: "list[Result]", mixtures: "np.ndarray") -> int:
    """Place in the pool of the least loss, measured where it is known and else predicted."""
    import numpy as np

    from openseek.sweep.space import matrix
    from openseek.sweep.surrogate import fit, usable

    predicted = fit(usable(results, config), config).mean(mixtures)
    for result in results:
        known = np.abs(mixtures - matrix([result.run.point], config)).max(1) < 1e-9
        predicted[known] = (result.losses or {})[TARGET]
    return int(predicted.argmin())


def _searched(regrets: dict[str, dict[int, list[float]]], points: int) -> list[Row]:
    case = f"Pile-CC at 1M, pool of {points} measured mixtures, {BUDGET} runs, mean of {SEEDS} seeds"
    mean = {name: statistics.mean(values[BUDGET]) for name, values in regrets.items()}
    found = []
    for batch in BATCHES:
        search = f"sequential by {batch}"
        for kind in ("best run", "recommended"):
            metric, peer = f"regret of the {kind}, {search}", "random runs, same regressors"
            found.append(_row(case, metric, mean[f"{search}, {kind}"], "loss", peer, mean[f"random, {kind}"]))
        worst = max(regrets[f"{search}, best run"][BUDGET])
        found.append(_row(case, f"regret of the best run, {search}, worst seed", worst, "loss"))
    return found


def mean_interval(values: list[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def _row(case: str, metric: str, value: float, unit: str, peer: str = "", peer_value: float | None = None) -> Row:
    return Row(
        **SHARED,
        device=cpu_name(),
        case=case,
        metric=metric,
        value=value,
        unit=unit,
        peer=peer,
        peer_value=peer_value,
    )
