"""evaluate: a checkpoint on benchmarks -> scores with intervals, records and a report."""

from pathlib import Path

from openseek.artifact import Facts
from openseek.eval.config import Evaluate
from openseek.parallel.dims import ParallelDims
from tasks.task import task


@task
def evaluate(out: Path, checkpoint: Path, config: Evaluate = Evaluate()) -> Facts:
    """Measure a checkpoint on benchmarks: scores with intervals and chance levels, records, report and plot."""
    from openseek.eval.checkpoint import evaluate_checkpoint
    from tasks.launch import on_ranks

    return on_ranks(evaluate_checkpoint, ParallelDims(), out=out, checkpoint=checkpoint.resolve(), config=config)
