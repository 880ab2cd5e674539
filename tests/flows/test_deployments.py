"""What prefect.yaml deploys exists, shows a form, and ends its work when it is cancelled."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling
from prefect.utilities.callables import parameter_schema

from flows import deployments
from infra.processes import descendants
from openseek import tracking

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOYED = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]

OWNER = """
import sys, time
from pathlib import Path
from infra.cluster import Cluster, LazyCluster
with LazyCluster(Cluster(workers=1), Path(sys.argv[1]), sys.argv[2]) as cluster:
    print(cluster.address(), flush=True)
    time.sleep(300)
"""


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_the_deployments_are_those_that_the_documentation_names() -> None:
    names = [f"{flow_of(each).name}/{each['name']}" for each in DEPLOYED]
    lifecycle = ["openseek/full-pipeline", "corpus/build", "pretrain/run", "post-train/run", "evaluate/run"]
    assert names == [*lifecycle, "data-ratio/sweep", "ablation/run", "scaling/run"]


@pytest.mark.parametrize("deployment", DEPLOYED, ids=lambda each: each["entrypoint"])
def test_the_form_is_typed_and_the_hooks_are_set(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    schema = parameter_schema(flow.fn).model_dump()
    assert set(schema["properties"]) == set(deployment["parameters"])
    kinds = {name: field["type"] for name, field in schema["properties"].items()}
    common = {"recipe": "string", "root": "string", "overrides": "object"}
    if deployment["entrypoint"].endswith(".ablate"):
        common |= {"other": "string", "without": "array", "seeds": "integer", "workers": "integer"}
    assert kinds == common
    assert all(field["description"] for field in schema["properties"].values())
    assert flow.validate_parameters({"recipe": "debug", "root": "runs", "overrides": {"pretrain.train_tokens": 5}})
    assert flow.on_cancellation_hooks == flow.on_crashed_hooks == [deployments.end_work]


def test_the_hook_ends_workers_and_tracked_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = FlowRun(flow_id=uuid4(), parameters={"root": str(tmp_path)})
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / ".jobs"), str(run.id)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("tcp://")
    owner.stdout.close()
    below = descendants(owner.pid)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with tracking.run(uri, "openseek debug", key=str(run.id)) as parent:
        for _ in range(2):  # Prefect may call it in the run's own process and again in the worker's
            deployments.end_work(deployments.openseek, run, Cancelling())
        deadline = time.monotonic() + 20
        while any(each.alive() for each in below) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(each.alive() for each in below)
        assert tracking.close(uri, str(run.id)) == []
    assert parent.id is not None
    owner.kill()
    owner.wait()
    assert os.listdir(tmp_path / ".jobs")  # its log stays for whoever asks why
