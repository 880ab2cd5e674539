"""Scores as a table, a page and a plot: each with n, interval, chance level and whether it is at chance."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openseek.artifact import rename_into_place, write_json, write_text
from openseek.eval.harness import Record, Score

COLUMNS = ("benchmark", "metric", "score", "stderr", "95 % interval", "chance", "", "n", "shots", "cut")


def as_dict(score: Score) -> dict[str, Any]:
    """A score as plain JSON values."""
    e = score.estimate
    return {
        "benchmark": score.benchmark,
        "version": score.version,
        "metric": score.metric,
        "value": e.value,
        "stderr": e.stderr,
        "low": e.low,
        "high": e.high,
        "n": e.n,
        "chance": score.chance,
        "at_chance": score.at_chance,
        "num_fewshot": score.num_fewshot,
        "duplicates": score.duplicates,
        "truncated": score.truncated,
        "seconds": score.seconds,
    }


def rows_of(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """Table cells in the order of COLUMNS."""
    rows = []
    for s in scores:
        e = s.estimate
        chance = "" if s.chance is None else f"{s.chance:.3f}"
        interval = f"{e.low:.3f} to {e.high:.3f}"
        flag = "at chance" if s.at_chance else ""
        counts = (str(e.n), str(s.num_fewshot), str(s.truncated))
        rows.append((s.benchmark, s.metric, f"{e.value:.3f}", f"{e.stderr:.3f}", interval, chance, flag, *counts))
    return rows


def markdown(scores: Sequence[Score], title: str) -> str:
    """The report as Markdown."""
    lines = [f"# {title}", "", f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows_of(scores)]
    note = (
        "“at chance”: the interval holds the score of guessing, so the benchmark says nothing about this model. "
        "cut: requests that lost their beginning to fit the context."
    )
    return "\n".join([*lines, "", note, "", "![scores](scores.png)", ""])


def page(scores: Sequence[Score], title: str) -> str:
    """The report as an HTML page beside its plot."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows_of(scores)
    )
    style = (
        "body{font-family:sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc}"
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>\n<h1>{html.escape(title)}</h1>\n<table><tr>{head}</tr>\n{body}</table>\n"
        '<p><img src="scores.png" alt="scores with intervals and chance levels"></p></html>\n'
    )


def plot(scores: Sequence[Score], path: Path) -> None:
    """A PNG with a panel a metric: scores with their intervals, chance levels as ticks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = list(dict.fromkeys(s.metric for s in scores))
    figure = Figure(figsize=(4 * len(metrics), 1.2 + 0.35 * len(scores)), layout="constrained")
    for place, metric in enumerate(metrics):
        axes = figure.add_subplot(1, len(metrics), place + 1)
        shown = [s for s in scores if s.metric == metric][::-1]
        for row, s in enumerate(shown):
            e = s.estimate
            # An interval that begins or ends at the value may miss it by a rounding error.
            reach = [[max(0.0, e.value - e.low)], [max(0.0, e.high - e.value)]]
            axes.errorbar(e.value, row, xerr=reach, fmt="o", capsize=3, color="C0")
            if s.chance is not None:
                axes.plot(s.chance, row, "|", markersize=18, color="C3")
        axes.set_yticks(range(len(shown)), [s.benchmark for s in shown])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlabel(f"{metric} (95 % interval)")
    temporary = path.with_name(f".{path.name}.tmp")
    FigureCanvasAgg(figure).print_figure(temporary, dpi=100, format="png")
    rename_into_place(temporary, path)


def write_samples(records: Sequence[Record], path: Path) -> None:
    """One Parquet row a scored document, for paired comparisons and for reading what the model said."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = ("benchmark", "doc_hash", "prompt_hash", "target_hash", "metric", "cluster", "target", "response")
    number = {"value": pa.float64(), "weight": pa.float64(), "chance": pa.float64()}
    integer = ("doc_id", "responses")
    schema = pa.schema([*((n, pa.string()) for n in text), *number.items(), *((n, pa.int64()) for n in integer)])
    rows = [{n: _storable(r[n]) for n in schema.names} for r in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary, compression="zstd")
    rename_into_place(temporary, path)


def _storable(value: Any) -> Any:
    """Text without the lone surrogates that a model's bytes can decode to, which UTF-8 cannot hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def write_report(out: Path, scores: Sequence[Score], records: Sequence[Record], title: str) -> None:
    """scores.json, report.md, report.html, scores.png and data/00000.parquet below `out`."""
    write_samples(records, out / "data" / "00000.parquet")
    plot(scores, out / "scores.png")
    write_text(out / "report.md", markdown(scores, title))
    write_text(out / "report.html", page(scores, title))
    write_json(out / "scores.json", {"benchmarks": [as_dict(score) for score in scores]})
