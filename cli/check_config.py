"""`openseek check-config`: what a config and its publication claim, recomputed, and every disagreement."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    from openseek.recipes.claims import ClaimCheck
    from openseek.recipes.config_numbers import Number, Unit
    from openseek.recipes.config_report import Report

FILE_WIDTH = 150
DISAGREE = 1
SECTIONS = {
    "parameters": "parameters",
    "start": "first step",
    "cost": "cost",
    "model": "shape",
    "training": "training",
    "rate": "learning rate",
    "mixture": "mixture",
}


def check_config(
    paths: tyro.conf.Positional[tuple[str, ...]] = (),
    json: Path | None = None,
    strict: bool = False,
    true_vocab_size: int = 0,
) -> int:
    """Recompute what a config and its publication claim; flag every disagreement and known trap.

    A path is a FlagScale experiment file or a folder of such, a config.json of the Hugging Face layout or its folder,
    a recipe in YAML; a name is a recipe's, a preset's, a published training's, `scores` or `mixtures`. Without any, the
    names are listed.

    Args:
        paths: Files, folders, names.
        json: File to write everything to as well.
        strict: Exit with 1 where a claim does not hold or a trap is found.
        true_vocab_size: Tokens of the tokenizer that the weights are to be used with (by default the one beside them).
    """
    from rich.console import Console

    from openseek.artifact import write_json
    from openseek.recipes.config_report import reports_on

    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_WIDTH)
    if not paths:
        _list_names(console)
        return 0
    reports = [each for path in paths for each in reports_on(path, true_vocab_size)]
    for each in reports:
        _show(console, each)
    failed = sum(len(each.findings) + len(each.disagreements) for each in reports)
    held = sum(check.agrees for each in reports for check in each.claims)
    claims = sum(len(each.claims) for each in reports)
    console.print(
        f"{len(reports)} checked: {held} of {claims} claims hold; {sum(len(r.findings) for r in reports)} traps found",
        highlight=False,
    )
    if json:
        write_json(json, {"reports": [asdict(each) for each in reports], "claims": claims, "claims_held": held})
    return DISAGREE if strict and failed else 0


def _list_names(console: Any) -> None:
    from openseek.model.presets import PRESETS
    from openseek.recipes import RECIPES
    from openseek.recipes.config_report import TABLES
    from openseek.recipes.published_setups import SETUPS

    groups = {
        "published trainings": SETUPS,
        "published tables": TABLES,
        "presets of the model": PRESETS,
        "recipes": RECIPES,
    }
    for title, names in groups.items():
        console.print(f"{title}: {', '.join(names)}", highlight=False, soft_wrap=True)
    console.print(
        "files: a FlagScale experiment or a folder of them, config.json or its folder, a recipe in YAML",
        highlight=False,
        soft_wrap=True,
    )


def _show(console: Any, report: "Report") -> None:
    from rich.rule import Rule

    console.print(Rule(f"{report.name}  ({report.source})", align="left"))
    for note in report.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    if report.numbers:
        console.print(_numbers_table(report.numbers))
    if report.claims:
        console.print(_claims_table(report.claims))
    for finding in report.findings:
        console.print(f"TRAP {finding.check}: {finding.message}", highlight=False, soft_wrap=True, markup=False)
    console.print()


def _table(*columns: tuple[str, str]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    return table


def _numbers_table(numbers: "tuple[Number, ...]") -> Any:
    table = _table(("", "left"), ("computed", "left"), ("value", "right"), ("", "left"))
    last = ""
    for number in numbers:
        section = number.key.partition(".")[0]
        table.add_row(
            SECTIONS[section] if section != last else "", number.label, shown(number.value, number.unit), number.note
        )
        last = section
    return table


def _claims_table(checks: "tuple[ClaimCheck, ...]") -> Any:
    table = _table(
        ("claim", "left"), ("says", "left"), ("computed", "right"), ("", "left"), ("why", "left"), ("stands in", "left")
    )
    for check in checks:
        verdict = "holds" if check.agrees else "DIFFERS"
        table.add_row(
            check.label,
            check.claim.says,
            shown(check.computed, check.unit),
            verdict,
            check.explanation,
            check.claim.source,
        )
    return table


def shown(value: "float | str", unit: "Unit") -> str:
    """A number as people write it."""
    if isinstance(value, str):
        return value
    if unit == "parameters" and 1e8 <= value < 1e11:
        return f"{value / 1e9:.3f} B"  # as sizes of models are told, active ones below a billion too
    if unit in ("parameters", "tokens", "FLOP", "bytes"):
        letters = ("", "k", "M", "G" if unit in ("FLOP", "bytes") else "B", "T", "P", "E", "Z")
        power = next((p for p in range(len(letters) - 1, 0, -1) if value >= 1000.0**p), 0)
        end = letters[power] + {"bytes": "B", "FLOP": "FLOP"}.get(unit, "")
        return f"{value / 1000.0**power:,.4g} {end}".strip()
    if unit == "share":
        return f"{value + 1e-9:.4f}"  # a mean that ends in 5 is no binary fraction
    if unit == "percent":
        return f"{value:.2f} %"
    if unit == "count" and float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.4g}" if unit == "rate" else f"{value:,.7g}"
