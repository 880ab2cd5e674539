"""OpenSeek's published benchmark scores, and whether the printed averages follow from them.

Scores of lm-evaluation-harness at e20e1ddc, five-shot unless the metric says otherwise. Where they stand in
FlagAI-Open/OpenSeek at 50212ea: docs/README_OPENSEEK_SMALL_V1.md, docs/algorithm_exp_results.md and
docs/data_mixture_exp_results.md. All columns but the first are models of 100 billion training tokens.
"""

from dataclasses import dataclass

ENGLISH, MATHEMATICS, CHINESE = "English", "mathematics", "Chinese"
ROUNDING = 1.0001e-4
"""Most that rounding can do: half of the last digit in the scores, and half of it in their mean."""

_COLUMNS = ("Small-v1", "Default 100B", "+init/router/aux", "+MTP", "No-Sampling", "Phi4-Sampling")
_SCORES: dict[str, tuple[str, tuple[float, ...]]] = {
    "HellaSwag": (ENGLISH, (0.3893, 0.4414, 0.4544, 0.4568, 0.4722, 0.4827)),
    "TruthfulQA (0-shot)": (ENGLISH, (0.3990, 0.3735, 0.3707, 0.3438, 0.4114, 0.4016)),
    "Winogrande": (ENGLISH, (0.5541, 0.5927, 0.5777, 0.6062, 0.5975, 0.6117)),
    "CommonsenseQA": (ENGLISH, (0.2048, 0.2056, 0.1966, 0.2531, 0.2023, 0.1933)),
    "PIQA": (ENGLISH, (0.7203, 0.7274, 0.7476, 0.7454, 0.7612, 0.7644)),
    "OpenBookQA": (ENGLISH, (0.2560, 0.2760, 0.3040, 0.3180, 0.2640, 0.3040)),
    "BoolQ": (ENGLISH, (0.6165, 0.6294, 0.6465, 0.6471, 0.5615, 0.6621)),
    "ARC-Easy": (ENGLISH, (0.6237, 0.7029, 0.7353, 0.7264, 0.7222, 0.7487)),
    "ARC-Challenge": (ENGLISH, (0.3157, 0.3703, 0.3993, 0.4053, 0.3703, 0.3993)),
    "MMLU": (ENGLISH, (0.2654, 0.2602, 0.2671, 0.3397, 0.2707, 0.2652)),
    "GSM8K": (MATHEMATICS, (0.0182, 0.0182, 0.0265, 0.0136, 0.0349, 0.1039)),
    "Minerva Math (4-shot)": (MATHEMATICS, (0.0010, 0.0094, 0.0098, 0.0080, 0.0118, 0.0248)),
    "C-Eval": (CHINESE, (0.2422, 0.2645, 0.2600, 0.3076, 0.2481, 0.2281)),
    "CMMLU": (CHINESE, (0.2468, 0.2455, 0.2475, 0.2856, 0.2469, 0.2538)),
}
_AVERAGES: dict[str, tuple[tuple[str, ...], tuple[float | None, ...]]] = {
    "English w/o mathematics": ((ENGLISH,), (0.4345, 0.4579, 0.4699, 0.4842, 0.4633, 0.4833)),
    "English": ((ENGLISH, MATHEMATICS), (0.3637, 0.3839, 0.3946, 0.4053, 0.3900, 0.3992)),
    "Chinese": ((CHINESE,), (0.2445, 0.2550, 0.2538, 0.2966, 0.2475, 0.2538)),
    "all": ((ENGLISH, MATHEMATICS, CHINESE), (0.3466, 0.3655, 0.3745, 0.3897, 0.3696, 0.3888)),
    "all w/o mathematics": ((ENGLISH, CHINESE), (0.4028, None, None, None, None, None)),
}


@dataclass(frozen=True)
class Scores:
    """One column: a model's scores and the averages printed below them."""

    model: str
    """Its name in the table."""
    values: dict[str, float]
    """Score by metric, a share."""
    averages: dict[str, float]
    """Printed mean by name."""


KINDS = {metric: kind for metric, (kind, _) in _SCORES.items()}
"""Kind of each metric."""
AVERAGED = {name: kinds for name, (kinds, _) in _AVERAGES.items()}
"""Kinds that each average is the mean of."""
PUBLISHED_SCORES = tuple(
    Scores(
        model,
        {metric: values[i] for metric, (_, values) in _SCORES.items()},
        {name: value for name, (_, values) in _AVERAGES.items() if (value := values[i]) is not None},
    )
    for i, model in enumerate(_COLUMNS)
)
"""The table as published."""


@dataclass(frozen=True)
class AverageCheck:
    """A printed average beside the mean of the scores above it."""

    model: str
    average: str
    printed: float
    computed: float
    agrees: bool
    """Whether rounding explains the difference."""
    explanation: str
    """A mean that the printed number is: found by taking one metric in or out."""


def check_scores(table: tuple[Scores, ...] = PUBLISHED_SCORES) -> tuple[AverageCheck, ...]:
    """Every printed average recomputed.

    ValueError names a column without a score that an average needs, or an average or metric that is not known.
    """
    return tuple(_check(column, name, printed) for column in table for name, printed in column.averages.items())


def _check(column: Scores, name: str, printed: float) -> AverageCheck:
    if name not in AVERAGED:
        raise ValueError(f"{column.model}: average {name!r} is not known: use one of {', '.join(AVERAGED)}")
    if unknown := column.values.keys() - KINDS.keys():
        raise ValueError(f"{column.model}: metric {min(unknown)!r} is not known: use one of {', '.join(KINDS)}")
    metrics = [metric for metric, kind in KINDS.items() if kind in AVERAGED[name]]
    if missing := [metric for metric in metrics if metric not in column.values]:
        raise ValueError(f"{column.model}: the average {name!r} needs {', '.join(missing)}: give a score")
    computed = _mean(column, metrics)
    agrees = abs(computed - printed) <= ROUNDING
    explanation = "" if agrees else "; ".join(_explanations(column, metrics, printed))
    return AverageCheck(column.model, name, printed, computed, agrees, explanation)


def _explanations(column: Scores, metrics: list[str], printed: float) -> list[str]:
    """Means over one metric more or less that round to the printed number."""
    found = []
    for metric in column.values:
        inside = metric in metrics
        others = [m for m in metrics if m != metric] if inside else [*metrics, metric]
        if others and abs(_mean(column, others) - printed) <= ROUNDING:
            found.append(f"the mean {'without' if inside else 'with'} {metric}")
    return found


def _mean(column: Scores, metrics: list[str]) -> float:
    return sum(column.values[metric] for metric in metrics) / len(metrics)
