"""A real Slurm on this host runs our Dask workers and trainings; nothing stays in its queue when their owner ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cluster import Cluster, LazyCluster, end_recorded
from openseek.artifact import read_manifest, write_json, write_manifest
from tasks.where import Executor, Where, using

pytestmark = pytest.mark.slurm

WORKERS = Cluster(kind="slurm", workers=2, memory="600MiB", interface="lo", walltime_minutes=10)
# Node names do not resolve on one host, so rank 0 is told its address.
TWO_NODES = Executor(kind="slurm", nodes=2, memory_gb=2, timeout_min=30, master_addr="127.0.0.1")
VOCABULARY = 64


def queue(name: str) -> list[str]:
    """States of the jobs of that name."""
    command = ["squeue", "-h", "-n", name, "-o", "%T"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.split()


def until(reached: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_dask_workers_are_jobs_and_end_by_their_record(slurm: Path, tmp_path: Path) -> None:
    from distributed import Client

    with LazyCluster(WORKERS, tmp_path, "flow-1") as cluster:
        with Client(cluster.address()) as client:
            client.wait_for_workers(2, timeout=60)
            workers = client.scheduler_info()["workers"]
            jobs = [client.submit(os.getenv, "SLURM_JOB_ID", workers=[each], pure=False).result() for each in workers]
            assert len({*jobs} - {None}) == 2
        assert queue("openseek-flow-1") == ["RUNNING", "RUNNING"]
        assert end_recorded(tmp_path, "flow-1")
        assert until(lambda: queue("openseek-flow-1") == [], 30)


def test_what_sbatch_refuses_is_told(slurm: Path, tmp_path: Path) -> None:
    config = Cluster(kind="slurm", workers=1, memory="600MiB", interface="lo", partition="nowhere", start_seconds=3)
    with (
        pytest.raises(ValueError, match=r"Dask cluster \(slurm\).*invalid partition specified: nowhere"),
        LazyCluster(config, tmp_path) as cluster,
    ):
        cluster.address()


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `mix` artifact over a few random tokens."""
    import numpy as np
    from tokenizers import Tokenizer, models

    from openseek.data.token_shards import TokenShardWriter

    root = tmp_path_factory.mktemp("slurm-root")
    tokens, folder = root / "tokenize-00000000", root / "mix-00000000"
    (tokens / "data").mkdir(parents=True)
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("wiki-00000", "heldout-00000"):
        with TokenShardWriter(tokens / "data" / name, np.uint16) as writer:
            for _ in range(20):
                writer.add_document(rng.integers(4, VOCABULARY, 200))
    Tokenizer(models.WordLevel({f"<{i}>": i for i in range(VOCABULARY)}, unk_token="<1>")).save(
        str(tokens / "tokenizer.json")
    )
    part = {"documents": 20, "tokens": 4000}
    entry = {"source": "wiki", "prefixes": ["data/wiki-00000"], "weight": 1.0, "epochs": 1.0, **part}
    content = {
        "tokens": "../tokenize-00000000",
        "entries": [entry],
        "heldout": {"prefixes": ["data/heldout-00000"], **part},
        "unigram_entropy_nats": 4.1,
        "vocab_size": VOCABULARY,
        "eod": 0,
    }
    write_json(folder / "mixture.json", content)
    nothing = {"label": None, "version": 1, "inputs": {}, "config": {}, "facts": {}}
    write_manifest(folder, task="mix", fingerprint="0" * 64, **nothing)
    return folder


LAUNCHER = """
import json, sys
from pathlib import Path
from openseek.fields import changed
from openseek.train.pretrain import Pretrain
from tasks.train import pretrain
from tasks.where import Executor, Where, using

mixture, root, key, steps = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
small = {"hidden_size": 32, "num_hidden_layers": 2, "moe_intermediate_size": 16, "intermediate_size": 32}
config = changed(Pretrain(), {
    "model": small, "fit.parallel.dp": 2, "sequence_length": 32, "global_batch_size": 4, "micro_batch_size": 2,
    "train_tokens": steps * 4 * 32, "warmup_tokens": 128, "heldout_sequences": 4,
})
executor = Executor(**json.loads(sys.argv[5]))
with using(Where(root=root, executor=executor, flow_run_id=key)):
    print(pretrain(mixture, config=config), flush=True)
"""


def launch(mixture: Path, root: Path, key: str, steps: int) -> subprocess.Popen[str]:
    """A process that trains on two nodes, one rank on each."""
    executor = {name: getattr(TWO_NODES, name) for name in ("kind", "nodes", "memory_gb", "timeout_min", "master_addr")}
    command = [sys.executable, "-c", LAUNCHER, str(mixture), str(root), key, str(steps), json.dumps(executor)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_pretrain_runs_on_two_nodes(slurm: Path, mixture: Path, tmp_path: Path) -> None:
    told, _ = launch(mixture, tmp_path, "flow-2", steps=4).communicate(timeout=300)
    finished = Path(told.strip().splitlines()[-1])
    assert finished.is_dir(), told
    assert read_manifest(finished)["facts"]["heldout_loss"] < 5
    assert (finished / "checkpoint" / "model.safetensors").is_file()
    assert {path.name for path in (finished / "metrics").iterdir()} == {"rank00000.jsonl", "rank00001.jsonl"}
    table = subprocess.run(
        ["sacct", "-o", "JobName,NodeList", "--parsable2"], check=True, capture_output=True, text=True, timeout=30
    )
    assert "openseek-flow-2|node[1-2]" in table.stdout.splitlines()
    assert until(lambda: queue("openseek-flow-2") == [], 20)


def interrupted(launcher: subprocess.Popen[str], root: Path, key: str) -> None:
    launcher.send_signal(signal.SIGTERM)


def cancelled_elsewhere(launcher: subprocess.Popen[str], root: Path, key: str) -> None:
    from tasks.launch import cancel

    launcher.kill()  # it can do nothing for its job any more
    launcher.wait()
    assert queue(f"openseek-{key}") == ["RUNNING"]
    with using(Where(root=root, executor=TWO_NODES)):
        cancel(key)


@pytest.mark.parametrize("how", [interrupted, cancelled_elsewhere])
def test_no_job_is_left_behind(
    how: Callable[[subprocess.Popen[str], Path, str], None], slurm: Path, mixture: Path, tmp_path: Path
) -> None:
    key = how.__name__
    launcher = launch(mixture, tmp_path, key, steps=100_000)
    assert until(lambda: queue(f"openseek-{key}") == ["RUNNING"], 120), launcher.poll()
    how(launcher, tmp_path, key)
    launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    assert until(lambda: queue(f"openseek-{key}") == [], 30)
