"""The picture of `openseek bench tokens`: million tokens a CPU second, ours beside the peers."""

from collections.abc import Sequence

from benchmarks.rows import REPOSITORY, Row

PLOT = REPOSITORY / "docs" / "images" / "tokens_speed.svg"
PANELS = (
    ("encoding, BPE of 32,000", "BPE of 32,000", "speed"),
    ("encoding, DeepSeek-V3", "DeepSeek-V3", "speed"),
    ("parquet to token shards", "documents to token shards", "speed"),
    ("loader, uint16", "uint16", "loader, best fit"),
)
"""(title, how the case begins, metric)."""


def draw(rows: Sequence[Row]) -> None:
    """Bars of each panel, ours first."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "openseek"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(11, 2.8), layout="constrained")
    for axis, (title, case, metric) in zip(axes, PANELS, strict=True):
        chosen = [row for row in rows if row.case.startswith(case) and row.metric == metric]
        bars = {"OpenSeek": chosen[0].value} if chosen else {}
        bars |= {row.peer: row.peer_value for row in chosen if row.peer and row.peer_value}
        names = [name.replace(" ", "\n", 1) for name in bars]
        axis.bar(names, list(bars.values()), color=["C0", *["C7"] * (len(bars) - 1)])
        for place, value in enumerate(bars.values()):
            axis.text(place, value, f"{value:.3g}", ha="center", va="bottom", fontsize="x-small")
        axis.set_title(title, fontsize="small")
        axis.tick_params(axis="x", labelsize="x-small")
        axis.margins(y=0.15)
    axes[0].set_ylabel("million tokens a CPU second", fontsize="small")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)
