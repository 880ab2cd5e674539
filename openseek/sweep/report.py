"""What a sweep found, as plain values for tables, plots and files.

losses       names of the losses that count, with their weights
points       one entry a run: name, kind, seed, point, epochs, target and losses, prediction over the folds
excluded     {run, reason} of results that are left out
noise        standard deviation of the target between seeds, with its degrees of freedom
regressors   of each loss: {name: {weight, rmse, spearman}}
fit          Spearman and root mean square error of the target over the folds
optimum      point, epochs, predicted target, deviation, interval and boundary of each weight, slopes
best         the run with the least measured target
rival        who proposes it, and the point
check        predicted and realised target of optimum, reference and rival; the verdict with its reasons
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from openseek.sweep.choose import error
from openseek.sweep.config import Result, SweepConfig
from openseek.sweep.optimum import find_optimum, find_rival
from openseek.sweep.space import matrix
from openseek.sweep.surrogate import Measured, Surrogate, fit, usable
from openseek.sweep.verdict import Checked, Noise, judge

Array = np.ndarray


def report(
    config: SweepConfig, results: Sequence[Result], pool: Array | None = None, elsewhere: bool = False
) -> dict[str, Any]:
    """All tables; ValueError when too few results are usable.

    `elsewhere`: the check ran with other settings, so its losses are compared with each other and not with those
    predicted.
    """
    search = [result for result in results if not result.run.name.startswith("check-")]
    checks = [result for result in results if result.run.name.startswith("check-")]
    surrogate = fit(usable(search, config), config)
    measured, best = surrogate.measured, find_optimum(surrogate, config, pool)
    who, rival = find_rival(surrogate, best.point, config, pool)
    points = _points(surrogate, search, config)
    found = {
        "losses": dict(zip(measured.names, measured.weights.tolist(), strict=True)),
        "points": points,
        "excluded": [{"run": name, "reason": reason} for name, reason in measured.excluded],
        "noise": surrogate.noise,
        "noise_measured": measured.noise is not None,
        "noise_freedom": measured.freedom,
        "regressors": {name: _regressors(each) for name, each in zip(measured.names, surrogate.chosen, strict=True)},
        "fit": {
            "spearman": surrogate.rank_correlation,
            "rmse": error(surrogate.out_of_fold, measured.target),
            "calibration": surrogate.calibration,
        },
        "optimum": {**asdict(best), "epochs": epochs(best.point, config)},
        "best": min((p for p in points if p["target"] is not None), key=lambda p: p["target"]),
        "rival": {"proposed_by": who, "point": rival},
    }
    if checks:
        found["check"] = _check(surrogate, checks, config, elsewhere)
    return found


def epochs(point: dict[str, float], config: SweepConfig) -> dict[str, float]:
    """How often the training that the mixture is for sees each domain; nothing without train_tokens."""
    if not config.train_tokens:
        return {}
    return {name: round(point[name] * config.train_tokens / held, 4) for name, held in config.domains.items()}


def _regressors(chosen: Any) -> dict[str, dict[str, float]]:
    return {
        name: {"weight": chosen.weights.get(name, 0.0), "rmse": rmse, "spearman": correlation}
        for name, (rmse, correlation) in chosen.scores.items()
    }


def _points(surrogate: Surrogate, results: Sequence[Result], config: SweepConfig) -> list[dict[str, Any]]:
    measured = surrogate.measured
    held = {run: value for runs, value in zip(measured.runs, surrogate.out_of_fold, strict=True) for run in runs}
    return [
        {
            "name": result.run.name,
            "kind": result.run.kind,
            "seed": result.run.seed,
            "point": result.run.point,
            "epochs": epochs(result.run.point, config),
            "target": target_of(result, measured) if result.run.name in held else None,
            "out_of_fold": float(held[result.run.name]) if result.run.name in held else None,
            "losses": result.losses,
        }
        for result in results
    ]


def target_of(result: Result, measured: Measured) -> float:
    """Weighted loss of one result; NaN where a loss that counts is not there."""
    values = [(result.losses or {}).get(name, math.nan) for name in measured.names]
    return float(np.dot(values, measured.weights))


def _check(surrogate: Surrogate, results: Sequence[Result], config: SweepConfig, elsewhere: bool) -> dict[str, Any]:
    realised: dict[str, list[tuple[Result, float]]] = {}
    failed = []
    for result in results:
        target = target_of(result, surrogate.measured)
        if math.isfinite(target):
            realised.setdefault(result.run.kind, []).append((result, target))
        else:
            failed.append(result.run.name)
    checked = {}
    for kind, each in realised.items():
        row = matrix([each[0][0].run.point], config)
        mean, deviation = float(surrogate.mean(row)[0]), float(surrogate.deviation(row)[0])
        checked[kind] = Checked(mean, deviation, tuple(target for _, target in each))
    verdict = judge(checked, Noise(surrogate.noise, surrogate.measured.freedom), surrogate.rank_correlation, elsewhere)
    return {
        "points": {
            kind: {**asdict(each), "point": realised[kind][0][0].run.point, "seeds": len(each.realised)}
            for kind, each in checked.items()
        },
        "failed": failed,
        "elsewhere": elsewhere,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
    }
