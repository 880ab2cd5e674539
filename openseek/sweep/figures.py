"""Pictures of a sweep: predicted and measured, mixtures, losses by domain, slopes, the check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"natural": "C2", "reference": "C2", "repeat": "C2", "uniform": "C4", "design": "C0", "proposed": "C1"}


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the pictures of a report below `folder` as PNG; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "predicted": (_predicted, (5.5, 5)),
        "target": (_target, (8, 4)),
        "mixtures": (_mixtures, (9, 0.22 * len(found["points"]) + 1.5)),
        "losses": (_losses, (0.6 * len(found["losses"]) + 3.5, 0.22 * len(found["points"]) + 1.5)),
        "slopes": (_slopes, (7, 0.35 * len(found["optimum"]["slopes"]) + 1.2)),
        "check": (_check, (7, 4)),
    }
    if not found.get("check", {}).get("points"):
        del pictures["check"]
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, (paint, size) in pictures.items():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        paint(figure.subplots(), found)
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=110, metadata={"Software": None})
    return written


def _measured(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in found["points"] if each["target"] is not None]


def _predicted(axes: Axes, found: Mapping[str, Any]) -> None:
    points = _measured(found)
    for kind in dict.fromkeys(each["kind"] for each in points):
        chosen = [each for each in points if each["kind"] == kind]
        values = [each["out_of_fold"] for each in chosen], [each["target"] for each in chosen]
        axes.scatter(*values, label=kind, color=COLOURS.get(kind, "C3"), s=22)
    ends = [value for each in points for value in (each["target"], each["out_of_fold"])]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="grey", linewidth=0.8)
    axes.set(xlabel="predicted without the run itself", ylabel="measured target")
    axes.set_title(f"Spearman {found['fit']['spearman']:.3f}", fontsize="medium")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)


def _target(axes: Axes, found: Mapping[str, Any]) -> None:
    points = _measured(found)
    least, best = [], math.inf
    for each in points:
        best = min(best, each["target"])
        least.append(best)
    axes.scatter(range(len(points)), [each["target"] for each in points], s=18, label="measured")
    axes.step(range(len(points)), least, where="post", color="C1", label="best so far")
    axes.axhline(found["optimum"]["predicted"], color="C3", linestyle="--", label="predicted at the optimum")
    axes.set(xlabel="training", ylabel="target")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)


def _mixtures(axes: Axes, found: Mapping[str, Any]) -> None:
    """Each training's point as bars; fields are scaled by their greatest value."""
    points = sorted(_measured(found), key=lambda each: -each["target"])
    names = list(found["optimum"]["point"])
    labels = [f"{each['name']}  {each['target']:.4f}" for each in points]
    rows = [*(each["point"] for each in points), found["optimum"]["point"]]
    fields = [name for name in names if name not in found["optimum"]["epochs"] and max(r[name] for r in rows) > 1]
    left = [0.0] * len(rows)
    for number, name in enumerate(names):
        scale = max(abs(row[name]) for row in rows) if name in fields else 1.0
        widths = [row[name] / (scale or 1.0) for row in rows]
        axes.barh(
            range(len(rows)), widths, left=left, label=name, color=f"C{number % 10}", alpha=1 - 0.4 * (number // 10)
        )
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(rows)), [*labels, "optimum"], fontsize="x-small")
    axes.set(xlabel="share")
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))


def _losses(axes: Axes, found: Mapping[str, Any]) -> None:
    """Losses of each training over the reference's."""
    points, names = _measured(found), list(found["losses"])
    base = next((each for each in points if each["kind"] in ("natural", "reference")), points[0])["losses"]
    values = [[each["losses"][name] - base[name] for name in names] for each in points]
    most = max((abs(value) for row in values for value in row), default=1.0) or 1.0
    picture = axes.imshow(values, cmap="coolwarm", vmin=-most, vmax=most, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize="x-small")
    axes.set_yticks(range(len(points)), [each["name"] for each in points], fontsize="x-small")
    axes.set_title("loss minus the reference's", fontsize="medium")
    axes.figure.colorbar(picture, ax=axes)


def _slopes(axes: Axes, found: Mapping[str, Any]) -> None:
    slopes = found["optimum"]["slopes"]
    axes.barh(range(len(slopes)), list(slopes.values()))
    axes.set_yticks(range(len(slopes)), list(slopes), fontsize="small")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="change of the target for one hundredth more")
    axes.grid(alpha=0.3, axis="x")


def _check(axes: Axes, found: Mapping[str, Any]) -> None:
    points = found["check"]["points"]
    if not found["check"].get("elsewhere"):
        predicted = [each["predicted"] for each in points.values()]
        halves = [1.96 * each["deviation"] for each in points.values()]
        axes.errorbar(range(len(points)), predicted, halves, fmt="o", capsize=4, label="predicted, 95 %")
    for place, each in enumerate(points.values()):
        marks = {"color": "C1", "marker": "x", "label": "realised" if not place else None}
        axes.scatter([place + 0.12] * len(each["realised"]), each["realised"], **marks)
    axes.set_xticks(range(len(points)), list(points))
    axes.set(ylabel="target")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    axes.set_title(f"verdict: {found['check']['verdict']}", fontsize="medium")
