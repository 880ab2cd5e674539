"""Pages of ablations and ladders: tables with intervals, a verdict a line, the fitted law with its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openseek.sweep.tables import table


def ablation(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Every side against the first: mean loss, difference with its interval, verdict."""
    from openseek.sweep.verdict import ablate

    first, *others = measured
    base = {int(seed): value for seed, value in measured[first]["losses"].items()}
    rows: list[tuple[Any, ...]] = [(first, _mean(base), len(base), measured[first]["tokens"], "", "", "")]
    reasons = []
    for name in others:
        losses = {int(seed): value for seed, value in measured[name]["losses"].items()}
        if not losses or not base:
            rows.append((name, _mean(losses), len(losses), measured[name]["tokens"], "", "", "all trainings failed"))
            continue
        difference, verdict = ablate(base, losses)
        span = f"{difference.low:+.4f} to {difference.high:+.4f}"
        said = {"A better": f"{first} better", "B better": f"{name} better"}.get(verdict.verdict, verdict.verdict)
        rows.append((name, _mean(losses), len(losses), measured[name]["tokens"], f"{difference.mean:+.4f}", span, said))
        reasons += [f"- {name}: {reason}" for reason in verdict.reasons]
    names = ("side", "bits per byte", "seeds", "tokens in the corpus", "minus the first", "95 % interval", "verdict")
    scores = sorted({key for each in measured.values() for one in each["scores"].values() for key in one})
    by_text = [(name, *(_mean_score(each["scores"], key) for key in scores)) for name, each in measured.items()]
    parts = ["# Ablation", table(names, rows), "\n".join(reasons), "## By text", table(("side", *scores), by_text)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _mean(losses: Mapping[int, float]) -> float | None:
    return sum(losses.values()) / len(losses) if losses else None


def _mean_score(scores: Mapping[int, Mapping[str, float]], key: str) -> float | None:
    found = [each[key] for each in scores.values() if key in each]
    return sum(found) / len(found) if found else None


def ladder(steps: Sequence[Mapping[str, Any]], folder: Path) -> tuple[str, Path]:
    """(page, picture below `folder`) of a ladder: each training, the fitted law, the last size foretold by the rest."""
    from openseek.sweep.scaling import fit_compute_law

    compute, losses = [step["flops"] for step in steps], [step["loss"] for step in steps]
    rows = [
        (step["rung"], step["seed"], step["parameters"], step["tokens"], step["flops"], step["loss"]) for step in steps
    ]
    names = ("size", "seed", "active parameters", "tokens", "floating-point operations", "bits per byte")
    parts = ["# Ladder", table(names, rows)]
    law = None
    if len(set(compute)) >= 3:
        law = fit_compute_law(compute, losses)
        low, high = law.exponent_intervals[0]
        floor = law.floor_interval
        parts.append(
            f"L(C) = {law.floor:.4f} + {law.factors[0]:.4g} C^-{law.exponents[0]:.4f}; exponent {low:.4f} to "
            f"{high:.4f}, floor {floor[0]:.4f} to {floor[1]:.4f} (95 %, bootstrap over residuals)."
        )
    if len(set(compute)) >= 4:
        last = max(compute)
        fitted = [(c, loss) for c, loss in zip(compute, losses, strict=True) if c < last]
        before = fit_compute_law([c for c, _ in fitted], [loss for _, loss in fitted])
        low, high = before.interval([last])
        got = [loss for c, loss in zip(compute, losses, strict=True) if c == last]
        parts.append(
            f"The largest size, foretold by the smaller ones: {before([last]):.4f} ({low:.4f} to {high:.4f}); "
            f"measured {sum(got) / len(got):.4f}."
        )
    return "\n\n".join(parts) + "\n", _picture(compute, losses, law, folder)


def _picture(compute: Sequence[float], losses: Sequence[float], law: Any, folder: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter(compute, losses, label="measured")
    if law is not None:
        import numpy as np

        grid = np.geomspace(min(compute), 4 * max(compute), 60)
        spans = np.array([law.interval([c]) for c in grid])
        axes.plot(grid, [law([c]) for c in grid], color="C1", label="fitted law")
        axes.fill_between(grid, spans[:, 0], spans[:, 1], color="C1", alpha=0.2, label="95 %")
    axes.set(xscale="log", xlabel="floating-point operations", ylabel="bits per byte")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    path = folder / "ladder.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def trainings(first: Mapping[str, Any], second: Mapping[str, Any], noise: tuple[float, int] | None) -> str:
    """Two trainings with their repeats: shares, bits per byte of each source, verdict.

    A side is {name, weights, losses {seed: {source: loss}}, means {seed: loss}, tokens}; `noise` is the standard
    deviation of one training and its degrees of freedom, where they are known.
    """
    from openseek.sweep.verdict import Noise, ablate

    sides = (first, second)
    sources = sorted({*first["weights"], *second["weights"]})
    shares = [(name, *(side["weights"].get(name, 0.0) for side in sides)) for name in sources]
    held = sorted({name for side in sides for each in side["losses"].values() for name in each})
    rows = []
    for name in held:
        a, b = (_mean_score(side["losses"], name) for side in sides)
        rows.append((name, a, b, None if a is None or b is None else f"{b - a:+.4f}"))
    means = [side["means"] for side in sides]
    if not all(means):
        said = ["no held-out loss of one of them: nothing to compare"]
    elif min(map(len, means)) > 1:
        _, verdict = ablate(*means)
        said = [f"**{verdict.verdict}**", *verdict.reasons]
    elif noise:
        gap = Noise(*noise).difference(list(means[0].values()), list(means[1].values()))
        clear = "B better" if gap.high < 0 else "A better" if gap.low > 0 else "no difference seen"
        span = f"B minus A {gap.mean:+.4f}, 95 % interval {gap.low:+.4f} to {gap.high:+.4f}"
        said = [f"**{clear}**", f"{span}, from the noise {noise[0]:.4f} between seeds that the sweep measured"]
    else:
        gap = next(iter(means[1].values())) - next(iter(means[0].values()))
        said = [
            "**no verdict**",
            f"B minus A {gap:+.4f}, one training each: how much seeds differ is not known; train both with another "
            f"pretrain.seed, or run a sweep",
        ]
    if first["tokens"] != second["tokens"]:
        said.append(f"not at equal tokens: {first['tokens']:,} and {second['tokens']:,}")
    names = (first["name"], second["name"])
    parts = [f"# A {names[0]}, B {names[1]}", "\n".join(f"- {line}" for line in said), "## Shares"]
    parts += [
        table(("source", "A", "B"), shares),
        "## Held-out bits per byte",
        table(("source", "A", "B", "B - A"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def evaluations(first: str, second: str, compared: Mapping[str, Any], alone: Sequence[str]) -> str:
    """Two evaluations of the same items: the paired difference of each benchmark."""
    rows = [
        (
            name,
            f"{each.difference.mean:+.4f}",
            f"{each.difference.low:+.4f} to {each.difference.high:+.4f}",
            each.p_value,
            each.verdict,
        )
        for name, each in compared.items()
    ]
    names = ("benchmark", "B minus A", "95 % interval", "p", "B is")
    parts = [f"# A {first}, B {second}", table(names, rows)]
    if alone:
        parts.append(f"In one of them only: {', '.join(alone)}.")
    return "\n\n".join(parts) + "\n"
