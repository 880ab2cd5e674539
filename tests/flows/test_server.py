"""`openseek up` and the flows under it, driven through Prefect's API: a repaired and retried failure, a cancellation.

One start of the services and one small run of the whole lifecycle serve all tests, which go on from each other.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from infra.processes import descendants
from infra.services import Services, fetch, free_port
from openseek.artifact import MANIFEST

pytestmark = pytest.mark.server

REPOSITORY = Path(__file__).resolve().parents[2]
BENCHMARK = REPOSITORY / "samples" / "benchmarks" / "gsm8k.jsonl.gz"


@dataclass(frozen=True)
class Server:
    """What `openseek up` started, and the recipe that the tests run."""

    api: str
    mlflow: str
    root: Path
    recipe: Path
    benchmark: Path

    def call(self, path: str, body: Any = None) -> Any:
        """GET, or POST a body, to the Prefect API."""
        answer = fetch(f"{self.api}{path}", body, seconds=30)
        assert answer is not None, f"{path} was refused; see {self.root}/.services/prefect.log"
        return json.loads(answer)

    def start(self, deployment: str, **overrides: Any) -> str:
        """Start a run as the UI's form does; its id."""
        found = self.call(f"/deployments/name/{deployment}")
        # A busy server may answer late; asked again with the same key, it starts no second run.
        body = {"parameters": {"recipe": str(self.recipe), "overrides": overrides}, "idempotency_key": uuid4().hex}
        path, answers = f"{self.api}/deployments/{found['id']}/create_flow_run", []

        def answered() -> bool:
            answers.append(fetch(path, body, seconds=60))
            return answers[-1] is not None

        until(answered, 300, self.log)
        return json.loads(answers[-1])["id"]

    def set_state(self, run: str, kind: str, name: str) -> None:
        answer = self.call(f"/flow_runs/{run}/set_state", {"state": {"type": kind, "name": name}, "force": False})
        assert answer["status"] == "ACCEPT", answer

    def await_state(self, run: str, *kinds: str, seconds: float = 600) -> dict[str, Any]:
        """The run once its state is one of `kinds`."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            found.update(self.call(f"/flow_runs/{run}"))
            return found["state"]["type"] in kinds

        until(reached, seconds, lambda: f"{found['state']}\n{self.log()}")
        return found

    def log(self) -> str:
        return (self.root / ".services" / "worker.log").read_text()[-6000:]

    def manifests(self) -> dict[str, float]:
        """When each finished artifact was finished, by its folder."""
        return {path.parent.name: path.stat().st_mtime for path in self.root.glob(f"*-*/{MANIFEST}")}


def until(reached: Callable[[], bool], seconds: float, told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, told()
        time.sleep(0.5)


def openseek(*words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin"):
        request.getfixturevalue("slurm")  # before the worker, whose environment must name it
    root, port, mlflow_port = tmp_path_factory.mktemp("up"), free_port(), free_port()
    benchmark, recipe = root / "gsm8k.jsonl.gz", root / "small.yaml"
    recipe.write_text(yaml.safe_dump(small(benchmark)))
    # One process for all ranks' work: the tests of tasks/launch.py start others.
    (root / "where.yaml").write_text(yaml.safe_dump({"executor": {"kind": "inline"}}))
    # A file that the step before the last reads, cut in the middle.
    benchmark.write_bytes(BENCHMARK.read_bytes()[:5000])
    api, mlflow = f"http://127.0.0.1:{port}/api", f"http://127.0.0.1:{mlflow_port}"
    words = ["--root", str(root), "--port", str(port), "--mlflow-port", str(mlflow_port)]
    try:
        told = openseek("up", *words)
        assert f"http://127.0.0.1:{port}" in told
        assert mlflow in told
        assert "already runs" in openseek("up", *words)
        yield Server(api, mlflow, root, recipe, benchmark)
    finally:
        below = [each for service in Services(root / ".services").living() for each in descendants(service.process.pid)]
        told = openseek("down", "--root", str(root))
        ended = [line.split()[1] for line in told.splitlines() if line.startswith("ended ")]
        assert ended == ["worker", "mlflow", "prefect"]
        assert not any(each.alive() for each in below)
        assert fetch(f"{api}/health") is None


def small(benchmark: Path) -> dict[str, Any]:
    """The debug recipe on a part of its sources, with a few steps of training."""
    samples = REPOSITORY / "samples"

    def source(name: str, path: str, **more: str) -> dict[str, str]:
        return {"name": name, "path": str(samples / path), "licence": "by-sa", **more}

    def measured(path: Path | str) -> dict[str, Any]:
        return {"benchmarks": [{"name": "gsm8k", "path": str(path), "limit": 2, "max_new_tokens": 4}]}

    texts = [source("zh", "zh/*.jsonl*", lang="zh"), source("wiki", "wiki/*.json.gz")]
    model = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "moe_intermediate_size": 16}
    one_rank = {"parallel": {"dp": 1}, "save_every_steps": 0}
    batches = {"global_batch_size": 4, "micro_batch_size": 2}
    pretrain = {"train_tokens": 512, "warmup_tokens": 256, "sequence_length": 64, "heldout_sequences": 2, **batches}
    reinforce = {"prompts_per_step": 2, "group_size": 2, "heldout_prompts": 2, "heldout_samples": 1}
    return {
        "base": "debug",
        "ingest": {"sources": texts},
        "classify": {"positive_sources": ["wiki"], "negative_sources": ["zh"]},
        "synthesize": {"num_documents": 1, "recipes": ["wiki_paraphrase"], "max_tokens": 20},
        "tokenize": {"vocab_size": 600},
        "pretrain": {"model": model, "fit": one_rank, **pretrain},
        "evaluate": measured(BENCHMARK),
        "ingest_sft": {"sources": [source("arithmetic", "sft/arithmetic.jsonl.gz", kind="chat")]},
        "sft": {"epochs": 0.05, "mixture": [], "sequence_length": 128, **batches},
        "evaluate_sft": measured(BENCHMARK),
        "rl": {"fit": {"num_steps": 1}, "sampling": {"max_new_tokens": 2}, **reinforce},
        "evaluate_rl": measured(benchmark),
    }


def test_a_run_that_its_input_failed_completes_after_the_repair_without_redoing_tasks(server: Server) -> None:
    run = server.start("openseek/full-pipeline")
    failed = server.await_state(run, "FAILED", "COMPLETED", "CRASHED")
    assert failed["state"]["type"] == "FAILED", server.log()
    assert str(server.benchmark) in failed["state"]["message"]
    before = server.manifests()
    assert any(name.startswith("rl-") for name in before)
    assert not any(name.startswith("evaluate.rl") for name in before)

    server.benchmark.write_bytes(BENCHMARK.read_bytes())
    assert gzip.decompress(server.benchmark.read_bytes())
    server.set_state(run, "SCHEDULED", "AwaitingRetry")
    completed = server.await_state(run, "COMPLETED", "CRASHED")
    assert completed["state"]["type"] == "COMPLETED", server.log()
    assert completed["run_count"] == 2
    after = server.manifests()
    assert {name: after[name] for name in before} == before
    assert {name.rpartition("-")[0] for name in set(after) - set(before)} == {"evaluate.rl", "export"}


def test_its_summary_stands_in_both_uis(server: Server) -> None:
    runs = server.call("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    assert runs[0]["state"]["type"] == "COMPLETED"
    tasks = server.call("/task_runs/filter", {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}})
    assert {"Cached", "Completed"} <= {each["state"]["name"] for each in tasks}
    artifacts = server.call("/artifacts/filter", {"artifacts": {"key": {"any_": ["summary"]}}})
    assert "| evaluate.rl |" in artifacts[0]["data"]
    reports = server.call("/artifacts/filter", {"artifacts": {"key": {"any_": ["filter-report"]}}})
    assert "| source | kept | dropped |" in reports[0]["data"]

    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.mlflow)
    experiment = client.get_experiment_by_name("openseek")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.recipe != ''")
    assert [each.info.status for each in found] == ["FINISHED"]  # one parent for both attempts
    assert "pretrain.seconds" in found[0].data.metrics
    children = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{found[0].info.run_id}'")
    assert {"pretrain", "sft", "rl"} <= {str(each.info.run_name).rpartition("-")[0] for each in children}
    assert "export" in {
        each.path.rpartition("/")[2] for each in client.list_artifacts(found[0].info.run_id, "manifests")
    }
    kept = [each.path for each in client.list_artifacts(found[0].info.run_id, "reports/filter")]
    assert kept == ["reports/filter/report.html"]


def test_a_run_by_hand_finds_the_work_of_the_flow(server: Server) -> None:
    before = server.manifests()
    told = openseek("run", "--recipe", str(server.recipe), "--root", str(server.root))
    assert "everything was done already" in told
    assert server.manifests() == before


def test_cancelling_leaves_no_job_no_worker_and_no_open_run(slurm: Path, server: Server) -> None:
    executor = {"kind": "slurm", "nodes": 2, "memory_gb": 2, "timeout_min": 30, "master_addr": "127.0.0.1"}
    (server.root / "where.yaml").write_text(yaml.safe_dump({"executor": executor}))
    # A changed vocabulary makes the Dask cluster work again before the training of two ranks, one on each node.
    changes = {"tokenize.vocab_size": 601, "pretrain.train_tokens": 10**9, "pretrain.fit.parallel.dp": 2}
    run = server.start("pretrain/run", **changes)
    queue = ["squeue", "-h", "-n", f"openseek-{run}", "-o", "%T %D"]

    def states() -> list[str]:
        return subprocess.run(queue, check=True, capture_output=True, text=True, timeout=30).stdout.splitlines()

    until(lambda: states() == ["RUNNING 2"], 300, server.log)
    records = list((server.root / ".jobs").glob(f"dask-{run}-*.json"))
    workers = [each for record in records for each in descendants(json.loads(record.read_text())["pid"])]
    assert workers
    server.set_state(run, "CANCELLING", "Cancelling")
    server.await_state(run, "CANCELLED", "CRASHED", "FAILED", seconds=120)
    assert server.call(f"/flow_runs/{run}")["state"]["type"] == "CANCELLED"
    until(lambda: states() == [], 30, server.log)
    assert not any(each.alive() for each in workers)
    assert not list((server.root / ".jobs").glob(f"*{run}*.json"))

    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.mlflow)
    experiment = client.get_experiment_by_name("openseek")
    assert experiment is not None
    assert client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'") == []
    assert client.search_runs([experiment.experiment_id], "attributes.status = 'KILLED'")
