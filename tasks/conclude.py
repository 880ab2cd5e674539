"""conclude: the results of a sweep's trainings -> tables, plots and the verdict."""

from pathlib import Path

from openseek.artifact import Facts, write_json, write_text
from openseek.sweep.experiment import Findings
from tasks.task import REPORT, task

PLOTS = "plots"


@task
def conclude(out: Path, tokens: Path, config: Findings = Findings()) -> Facts:
    """Fit the losses of a sweep's trainings, say which mixture is best, and whether that is to be trusted."""
    from openseek.sweep.figures import draw
    from openseek.sweep.sweep import Sweep
    from openseek.sweep.tables import markdown

    if not config.results:
        raise ValueError("conclude: there are no results: `openseek sweep` trains the proxies and then calls this task")
    found = Sweep(config.search).report(config.results, config.confirmed_elsewhere)
    found["cost"] = {
        "runs": len(config.results),
        "seconds": round(sum(config.seconds.values()), 1),
        "flops": config.flops_a_run * len(config.results),
    }
    found["artifacts"], found["failures"] = config.artifacts, config.failures
    write_json(out / "report.json", found)
    write_text(out / REPORT, markdown(found))
    draw(found, out / PLOTS)
    optimum, check = found["optimum"], found.get("check", {})
    realised = {kind: each["realised"] for kind, each in check.get("points", {}).items()}
    return {
        "verdict": check.get("verdict", "not checked"),
        "reasons": check.get("reasons", []),
        "runs": len(config.results),
        "failed": len(config.failures),
        "optimum": optimum["point"],
        "predicted": optimum["predicted"],
        "realised": {kind: sum(values) / len(values) for kind, values in realised.items()},
        "noise": found["noise"],
        "noise_freedom": found["noise_freedom"],
        "spearman": found["fit"]["spearman"],
        "training_seconds": found["cost"]["seconds"],
        "training_flops": found["cost"]["flops"],
    }
