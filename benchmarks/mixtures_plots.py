"""The pictures of the benchmark of mixtures, the same bytes for the same numbers."""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.rows import REPOSITORY

if TYPE_CHECKING:
    import numpy as np

IMAGES = REPOSITORY / "docs" / "images"
COLORS = {"random": "#046", "sequential by 4": "#c80", "sequential by 8": "#987", "sequential": "#b00"}


def plot_ranking(ranked: dict[str, dict[int, list[float]]], path: Path = IMAGES / "mixtures_ranking.svg") -> None:
    """Spearman correlation by number of training runs, the spread of the subsets as a bar."""
    figure, axis = _axes(5.5, 3.6)
    for name, by_size in ranked.items():
        sizes = sorted(by_size)
        means = [statistics.mean(by_size[size]) for size in sizes]
        spreads = [statistics.stdev(by_size[size]) if len(by_size[size]) > 1 else 0.0 for size in sizes]
        style: dict[str, Any] = (
            {"linewidth": 2.5, "color": "#b00"} if name == "ours" else {"linewidth": 1, "alpha": 0.8}
        )
        axis.errorbar(sizes, means, spreads, marker="o", markersize=3, label=name.replace("_", " "), **style)
    axis.set(xscale="log", xlabel="runs at 1M", ylabel="Spearman on 256 runs at 60M, Pile-CC", ylim=(0.8, 1.0))
    axis.set_xticks(sorted(next(iter(ranked.values()))), [str(size) for size in sorted(next(iter(ranked.values())))])
    axis.minorticks_off()
    axis.legend(fontsize=7)
    _save(figure, path)


def plot_scatter(predicted: "np.ndarray", measured: "np.ndarray", path: Path = IMAGES / "mixtures_scatter.svg") -> None:
    """Predicted loss at 1M against the measured loss at 60M: ranks, not values, are comparable."""
    figure, axis = _axes(4, 3.6)
    axis.scatter(predicted, measured, s=8, alpha=0.6)
    axis.set(xlabel="predicted Pile-CC loss at 1M, from 32 runs", ylabel="measured Pile-CC loss at 60M")
    _save(figure, path)


def plot_regret(regrets: dict[str, dict[int, list[float]]], path: Path = IMAGES / "mixtures_regret.svg") -> None:
    """Mean regret by number of runs, with the single seeds behind it."""
    figure, axis = _axes(5.5, 3.6)
    for name, by_count in regrets.items():
        counts = sorted(by_count)
        color = next(color for search, color in COLORS.items() if name.startswith(search))
        line = "-" if "best" in name else "--"
        means = [statistics.mean(by_count[count]) for count in counts]
        axis.plot(counts, means, line, marker="o", markersize=3, color=color, label=name)
        if "best" in name:
            for seed in range(len(by_count[counts[0]])):
                axis.plot(counts, [by_count[count][seed] for count in counts], color=color, alpha=0.15, linewidth=0.8)
    axis.set(xlabel="runs", ylabel="Pile-CC loss above the best of the pool", ylim=(-0.01, None))
    axis.legend(fontsize=7)
    _save(figure, path)


def _axes(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "openseek"
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(width, height))
    axis.grid(alpha=0.3)
    return figure, axis


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
