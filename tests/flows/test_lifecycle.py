"""The order of the lifecycle, walked as a plan: nothing runs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows.corpus import corpus
from flows.evaluate import evaluation
from flows.lifecycle import lifecycle
from openseek.recipes import load_recipe
from tasks.where import PlannedStep, Where, using

# docs/CONTRACTS.md, "Order of the lifecycle"; instructions and problems enter before the step that needs them.
ORDER = [
    *("ingest", "filter", "dedup_exact", "dedup_minhash", "dedup_substring", "classify", "select", "decontaminate"),
    *("synthesize", "decontaminate.synthetic", "tokenize", "mix", "pretrain", "evaluate"),
    *("ingest.sft", "decontaminate.sft", "sft", "evaluate.sft"),
    *("ingest.rl", "decontaminate.prompts", "rl", "evaluate.rl", "export"),
]


@pytest.fixture
def plan(tmp_path: Path) -> list[PlannedStep]:
    steps: list[PlannedStep] = []
    with using(replace(Where(root=tmp_path), plan=steps)):
        done = lifecycle(load_recipe("debug"))
    assert list(done) == [step.name for step in steps]
    assert list(done.values()) == [step.directory for step in steps]
    assert list(tmp_path.iterdir()) == []
    return steps


def test_the_order_is_that_of_the_contracts(plan: list[PlannedStep]) -> None:
    assert [step.name for step in plan] == ORDER


def test_every_step_reads_what_it_should(plan: list[PlannedStep]) -> None:
    names = {step.directory.name: step.name for step in plan}
    reads = {
        step.name: [names[record["path"]] for record in step.inputs.values() if record is not None] for step in plan
    }
    assert reads["tokenize"] == ["decontaminate", "decontaminate.synthetic"]
    assert reads["sft"] == ["pretrain", "decontaminate.sft"]
    assert reads["rl"] == ["sft", "decontaminate.prompts"]
    assert reads["evaluate.rl"] == reads["export"] == ["rl"]
    assert [name for name, inputs in reads.items() if not inputs] == ["ingest", "ingest.sft", "ingest.rl"]
    # Nothing is made for nobody: only measurements and the release are not read again.
    used = {name for inputs in reads.values() for name in inputs}
    assert set(ORDER) - used == {"evaluate", "evaluate.sft", "evaluate.rl", "export"}


def test_parts_are_prefixes_of_the_whole(tmp_path: Path) -> None:
    steps: list[PlannedStep] = []
    with using(replace(Where(root=tmp_path), plan=steps)):
        assert list(corpus(load_recipe("debug"))) == ORDER[: ORDER.index("mix") + 1]
        assert list(evaluation(load_recipe("debug"))) == ["evaluate", "evaluate.sft", "evaluate.rl"]


def test_the_plain_order_imports_no_prefect_and_nothing_heavy() -> None:
    program = (
        "import sys, flows.lifecycle, flows.place, flows.server\n"
        "heavy = {'prefect', 'mlflow', 'distributed', 'numba', 'numpy', 'pyarrow', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
