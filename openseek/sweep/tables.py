"""The report of a sweep as Markdown: verdict, mixtures, losses, epochs, sensitivities, cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def markdown(found: Mapping[str, Any]) -> str:
    """The page of a report of `openseek.sweep.report`, with `cost` and `failures` beside it."""
    parts = ["# What the sweep says", *_verdict(found), "## The optimum", _optimum(found)]
    if found.get("check"):
        parts += ["## Predicted and realised", _check(found["check"])]
    parts += ["## Every training", _trainings(found), "## Losses of every training", _losses(found)]
    parts += ["## Regressors, over the folds of the cross-validation", _regressors(found)]
    if found["failures"]:
        parts += ["## Failed trainings", table(("run", "reason"), _failures(found["failures"]))]
    return "\n\n".join(parts) + "\n"


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers are set to the right, to four significant digits."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [bool(cells) and all(_is_number(row[k]) for row in cells) for k in range(len(names))]
    lines = [f"| {' | '.join(names)} |", f"|{'|'.join('---:' if each else '---' for each in right)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "/").replace("\n", " ")


def _is_number(text: str) -> bool:
    return not text or text.replace(".", "").replace("-", "").replace("e", "").replace("+", "").isdigit()


def _verdict(found: Mapping[str, Any]) -> list[str]:
    check, cost = found.get("check"), found["cost"]
    said = [f"**{check['verdict']}**" if check else "**not checked**"]
    said += [f"- {reason}" for reason in (check or {}).get("reasons", [])]
    hours, flops = cost["seconds"] / 3600, cost["flops"]
    spent = f"{cost['runs']} trainings, {hours:.2f} hours of training, {flops:.3g} floating-point operations; "
    fit = found["fit"]
    measured = "measured" if found["noise_measured"] else "estimated"
    spent += (
        f"rank correlation over the folds {fit['spearman']:.3f}, noise between seeds {found['noise']:.4g} ({measured})."
    )
    return ["\n".join(said), spent]


def _optimum(found: Mapping[str, Any]) -> str:
    best = found["optimum"]
    reference = next((each for each in found["points"] if each["kind"] in ("natural", "reference")), None)
    rows = [
        (
            name,
            value,
            f"{best['low'][name]:.4g} to {best['high'][name]:.4g}",
            reference["point"][name] if reference else None,
            best["epochs"].get(name),
            best["slopes"].get(name),
            best["boundary"].get(name, ""),
        )
        for name, value in best["point"].items()
    ]
    names = ("of", "optimum", "90 % interval", "reference", "epochs", "slope", "on the boundary")
    return table(names, rows) + f"\n\nPredicted target {best['predicted']:.4f} ± {1.96 * best['deviation']:.4f}."


def _check(check: Mapping[str, Any]) -> str:
    rows = [
        (
            kind,
            each["predicted"],
            1.96 * each["deviation"],
            sum(each["realised"]) / len(each["realised"]),
            each["seeds"],
        )
        for kind, each in check["points"].items()
    ]
    text = table(("point", "predicted", "±", "realised", "seeds"), rows)
    elsewhere = "\n\nThe check ran at another size: its losses are not those predicted, their differences count."
    return text + (elsewhere if check.get("elsewhere") else "")


def _trainings(found: Mapping[str, Any]) -> str:
    names = list(found["optimum"]["point"])
    rows = [
        (each["name"], each["kind"], *(each["point"][name] for name in names), each["target"], each["out_of_fold"])
        for each in found["points"]
    ]
    return table(("run", "kind", *names, "target", "predicted over the folds"), rows)


def _losses(found: Mapping[str, Any]) -> str:
    names = list(found["losses"])
    rows = [(each["name"], *((each["losses"] or {}).get(name) for name in names)) for each in found["points"]]
    weights = ("weight in the target", *(float(found["losses"][name]) for name in names))
    return table(("run", *names), [weights, *rows])


def _regressors(found: Mapping[str, Any]) -> str:
    rows = [
        (loss, name, each["weight"], each["rmse"], each["spearman"])
        for loss, regressors in found["regressors"].items()
        for name, each in regressors.items()
    ]
    return table(("loss", "regressor", "weight", "root mean square error", "Spearman"), rows)


def _failures(failures: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, reason[:200]) for name, reason in failures.items()]
