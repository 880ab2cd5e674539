"""`openseek compare RUN RUN`: two trainings or two evaluations side by side, with a verdict."""

from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from openseek.artifact import read_manifest
from tasks.where import current

if TYPE_CHECKING:
    from tasks.comparison import Side


def compare(a: tyro.conf.Positional[str], b: tyro.conf.Positional[str], root: Path | None = None) -> int:
    """Set two trainings (mixture, held-out bits per byte of each source) or two evaluations side by side.

    Trainings that differ from one named in nothing but the seed count as its repeats.

    Args:
        a: Folder of an artifact, its name below the root, or the id of its MLflow run.
        b: The other one.
        root: Folder that holds the artifacts (by default OPENSEEK_ROOT, else `runs`).
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from openseek.sweep.pages import evaluations, trainings
    from tasks.comparison import EVALUATION, found, noise_beside, scored, side

    root = root or current().root
    paths = [found(run, root) for run in (a, b)]
    if all(read_manifest(path)["task"] == EVALUATION for path in paths):
        compared, alone = _compared(scored(paths[0]), scored(paths[1]))
        page = evaluations(paths[0].name, paths[1].name, compared, alone)
    else:
        page = trainings(_plain(side(paths[0])), _plain(side(paths[1])), noise_beside(paths[0]))
    Console().print(Markdown(page))
    return 0


def _plain(side: "Side") -> dict:
    return vars(side) | {"means": side.means}


def _compared(first: dict, second: dict) -> tuple[dict, list[str]]:
    """({benchmark: comparison}, benchmarks of one evaluation only)."""
    from openseek.eval.uncertainty import compare as paired

    shared = sorted(first.keys() & second.keys())
    return {name: paired(first[name], second[name]) for name in shared}, sorted(first.keys() ^ second.keys())
