"""All that check-config tells of one thing: its numbers, the traps it is in, and the claims that were made about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from openseek.data.published_mixtures import PUBLISHED
from openseek.model.presets import PRESETS
from openseek.recipes.claims import Claim, ClaimCheck, check_claims, claims_on, published_setup
from openseek.recipes.config_checks import Finding, findings, mixture_messages
from openseek.recipes.config_numbers import Number, mixture_numbers, numbers
from openseek.recipes.published_scores import PUBLISHED_SCORES, ROUNDING, Scores, check_scores
from openseek.recipes.published_setups import SETUPS
from openseek.recipes.setup_files import setups_at
from openseek.recipes.training_setup import TrainingSetup

BUFFERS = 1e-3
"""Share of stored values that are no weights, such as the routers' balancing biases."""


@dataclass(frozen=True)
class Report:
    """What was found about one setup, table or mixture."""

    name: str
    source: str
    numbers: tuple[Number, ...] = ()
    findings: tuple[Finding, ...] = ()
    claims: tuple[ClaimCheck, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def disagreements(self) -> tuple[ClaimCheck, ...]:
        """Claims that do not hold."""
        return tuple(check for check in self.claims if not check.agrees)


def report(setup: TrainingSetup) -> Report:
    """Numbers, traps and claims of a setup; what its weight files hold counts as a claim."""
    found = numbers(setup)
    claims = claims_on(setup) + ((_stored(setup, found),) if setup.stored_values else ())
    return Report(
        setup.name, setup.source, tuple(found.values()), findings(setup), check_claims(setup, claims), setup.notes
    )


def _stored(setup: TrainingSetup, found: dict[str, Number]) -> Claim:
    """The weights in the files as a claim: on the total, or on the way that they store multi-token prediction in."""
    stored = setup.stored_values
    claims = [
        Claim(
            (setup.name,), key, stored, BUFFERS * stored, f"{stored:,} values stored", "safetensors beside the config"
        )
        for key in ("parameters.total", "parameters.total_with_mtp", "parameters.stored_with_mtp")
        if key in found
    ]
    return next((claim for claim in claims if check_claims(setup, (claim,))[0].agrees), claims[0])


def score_reports(table: tuple[Scores, ...] = PUBLISHED_SCORES) -> tuple[Report, ...]:
    """The printed averages of each column of a table of scores beside the means of its scores."""
    checks: dict[str, list[ClaimCheck]] = {column.model: [] for column in table}
    for check in check_scores(table):
        claim = Claim(
            (check.model,),
            f"scores.{check.average}",
            check.printed,
            ROUNDING,
            f"{check.printed:.4f}",
            "published table of scores",
        )
        explanation = f"true of: {check.explanation}" if check.explanation else ""
        label = f"mean, {check.average}"
        checks[check.model].append(ClaimCheck(claim, label, check.computed, "share", check.agrees, explanation))
    return tuple(Report(f"scores: {name}", "published table of scores", claims=tuple(c)) for name, c in checks.items())


def mixture_reports() -> tuple[Report, ...]:
    """Sums and kinds of the published mixtures."""
    reports = []
    for name, mixture in PUBLISHED.items():
        weights = tuple((entry.name, weight) for entry in mixture.entries for weight in entry.weights)
        traps = tuple(Finding("mixture", message) for message in mixture_messages(weights))
        reports.append(Report(f"mixtures: {name}", mixture.title, tuple(mixture_numbers(weights)), traps))
    return tuple(reports)


def reports_on(place: str, true_vocab_size: int = 0) -> tuple[Report, ...]:
    """Reports on a file, a folder or a name; ValueError tells what can be given.

    true_vocab_size: tokens of the tokenizer that the weights are to be used with, instead of what the files say.
    """
    named = not Path(place).exists()
    if named and place in TABLES:
        return TABLES[place]()
    setups = [published_setup(place)] if named and place in (*SETUPS, *PRESETS) else setups_at(place)
    if true_vocab_size:
        setups = [replace(setup, tokenizer_size=true_vocab_size) for setup in setups]
    return tuple(map(report, setups)) + _published_beside(setups)


def _published_beside(setups: list[TrainingSetup]) -> tuple[Report, ...]:
    """What else OpenSeek published on its own trainings: their scores, and with several of its files all the rest."""
    names = {setup.name for setup in setups} & SETUPS.keys()
    if len(names) < 2:
        columns = {COLUMNS[name] for name in names & COLUMNS.keys()}
        return score_reports(tuple(scores for scores in PUBLISHED_SCORES if scores.model in columns))
    others = [replace(setup, notes=(*setup.notes, NO_FILE)) for name, setup in SETUPS.items() if name not in names]
    return (*map(report, others), *score_reports())


COLUMNS = {
    "OpenSeek-Small-v1": "Small-v1",
    "OpenSeek-16B-default": "Default 100B",
    "OpenSeek-16B-tuned": "+init/router/aux",
    "OpenSeek-16B-MTP": "+MTP",
}
"""Column of each training in the table of scores."""
TABLES: dict[str, Callable[[], tuple[Report, ...]]] = {"scores": score_reports, "mixtures": mixture_reports}
"""Published tables by name."""
NO_FILE = "its file is not among those given: these are the settings as published"
