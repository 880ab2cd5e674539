"""Ranks start, report and end: with their launcher, with each other, and when another process says so.

The functions given to on_ranks are nested: submitit pickles those by value, so the ranks need not import this file.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from openseek.parallel.dims import ParallelDims
from tasks.launch import RanksFailed, cancel, on_ranks
from tasks.where import Executor, Where, using

REPOSITORY = Path(__file__).resolve().parents[2]
SLEEPER = """
def sleeper(out):
    import json, os, pathlib, time
    path = pathlib.Path(out) / f"alive-{os.environ['RANK']}.json"
    path.write_text(str(os.getpid()))
    time.sleep(300)
"""


def local(root: Path, **changes) -> Where:
    return Where(root=root, executor=Executor(kind="local", **changes))


def out_folder(root: Path) -> Path:
    out = root / "pretrain-1"
    out.mkdir(parents=True)
    return out


def pids(out: Path, ranks: int = 2, seconds: float = 60.0) -> list[int]:
    """Process ids that the ranks of `sleeper` wrote, once all have."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        files = [out / f"alive-{rank}.json" for rank in range(ranks)]
        if all(file.exists() and file.read_text() for file in files):
            return [int(file.read_text()) for file in files]
        time.sleep(0.1)
    raise AssertionError(f"the ranks did not start within {seconds} s")


def gone(numbers: list[int], seconds: float = 20.0) -> bool:
    """Whether all these processes end within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = [n for n in numbers if psutil.pid_exists(n) and psutil.Process(n).status() != psutil.STATUS_ZOMBIE]
        if not alive:
            return True
        time.sleep(0.1)
    return False


def sleeper_function():
    names: dict = {}
    exec(SLEEPER, names)  # its own namespace: pickled by value
    return names["sleeper"]


def test_ranks_know_each_other_and_rank_0_gives_the_facts_and_metrics(tmp_path, capfd):
    def function(out, factor):
        import json
        import os
        import pathlib
        import sys

        names = ("RANK", "WORLD_SIZE", "MASTER_PORT", "OMP_NUM_THREADS", "MLFLOW_TRACKING_URI")
        seen = {name: os.environ[name] for name in names}
        rank = int(seen["RANK"])
        (pathlib.Path(out) / f"seen-{rank}.json").write_text(json.dumps(seen))
        (pathlib.Path(out) / "metrics").mkdir(exist_ok=True)
        with open(pathlib.Path(out) / "metrics" / f"rank{rank:05d}.jsonl", "a") as file:
            for step in range(1, 4):
                file.write(json.dumps({"step": step, "loss": 10.0 * factor + step + rank}) + "\n")
        print("progress of rank", rank)
        assert "mlflow" not in sys.modules
        return {"rank": rank, "answer": factor * 21}

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    # The job has no route to MLflow: its address there answers nobody. The launcher's own is another.
    executor = Executor(kind="local", setup=("export MLFLOW_TRACKING_URI=http://127.0.0.1:9",))
    out = out_folder(tmp_path)
    with using(Where(root=tmp_path, executor=executor, tracking_uri=uri)):
        facts = on_ranks(function, ParallelDims(dp=2), out=out, factor=2)
    assert facts == {"rank": 0, "answer": 42}
    first, second = (json.loads((out / f"seen-{rank}.json").read_text()) for rank in (0, 1))
    assert (first["RANK"], second["RANK"], first["WORLD_SIZE"]) == ("0", "1", "2")
    assert first["MASTER_PORT"] == second["MASTER_PORT"]
    assert first["OMP_NUM_THREADS"] == "1"
    assert first["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"
    printed = capfd.readouterr().out
    assert "progress of rank 0" in printed
    assert "progress of rank 1" not in printed
    assert not list((tmp_path / ".jobs").iterdir())

    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FINISHED"
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")] == [21.0, 22.0, 23.0]
    assert run.data.metrics["answer"] == 42


def test_a_failing_rank_ends_the_others_and_its_reason_is_the_message(tmp_path):
    def function(out):
        import os
        import pathlib
        import time

        if os.environ["RANK"] == "1":
            raise ValueError("shard 7 has no tokens: tokenize it again")
        (pathlib.Path(out) / "pid").write_text(str(os.getpid()))
        time.sleep(300)
        return {}

    out = out_folder(tmp_path)
    with using(local(tmp_path)), pytest.raises(RanksFailed) as error:
        on_ranks(function, ParallelDims(dp=2), out=out)
    message = str(error.value)
    assert message.startswith("pretrain-1: rank 1 failed: ValueError: shard 7 has no tokens: tokenize it again")
    log = Path(message.split("log: ")[1].splitlines()[0])
    assert "shard 7" in log.read_text()
    assert not (out / "pid").exists() or gone([int((out / "pid").read_text())])


def test_a_killed_rank_is_noticed_while_another_waits_for_it(tmp_path):
    def function(out):
        import os
        import signal
        import sys
        import time

        if os.environ["RANK"] == "1":
            print("about to need 900 GB", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(300)
        return {}

    with using(local(tmp_path)), pytest.raises(RanksFailed, match="rank 1 ended without a result") as error:
        on_ranks(function, ParallelDims(dp=2), out=out_folder(tmp_path))
    assert "about to need 900 GB" in str(error.value)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ranks_end_with_their_launcher(how, tmp_path):
    out = out_folder(tmp_path)
    program = tmp_path / "launcher.py"
    program.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from openseek.parallel.dims import ParallelDims
        from tasks.launch import on_ranks
        from tasks.where import Executor, Where, using
        names = {{}}
        exec({SLEEPER!r}, names)
        with using(Where(root=Path({str(tmp_path)!r}), executor=Executor(kind="local"))):
            on_ranks(names["sleeper"], ParallelDims(dp=2), out=Path({str(out)!r}))
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    launcher = subprocess.Popen([sys.executable, str(program)], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        ranks = pids(out)
        launcher.send_signal(how)
        launcher.communicate(timeout=30)
        assert gone(ranks)
        assert launcher.returncode in {signal.SIGINT: (130, -signal.SIGINT), signal.SIGTERM: (143,)}.get(how, (-how,))
    finally:
        launcher.kill()
        launcher.wait()


def test_cancel_ends_the_jobs_of_one_flow_run_and_no_reused_pid(tmp_path):
    out = out_folder(tmp_path)
    failure: list[BaseException] = []
    here = Where(root=tmp_path, executor=Executor(kind="local"), flow_run_id="flow-a")

    def launch() -> None:
        try:
            with using(here):
                on_ranks(sleeper_function(), ParallelDims(dp=2), out=out)
        except RanksFailed as error:
            failure.append(error)

    thread = threading.Thread(target=launch)
    thread.start()
    ranks = pids(out)
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        created = psutil.Process(stranger.pid).create_time() - 99
        record = {"host": os.uname().nodename, "pid": stranger.pid, "created": created}
        (tmp_path / ".jobs" / "ranks-flow-a-1.json").write_text(json.dumps(record))
        with using(here):
            assert not any("local" in each for each in cancel("flow-b"))
            assert all(psutil.pid_exists(pid) for pid in ranks)
            assert [each for each in cancel("flow-a") if "local" in each]
        assert gone(ranks)
        thread.join(timeout=30)
        assert "ended without a result" in str(failure[0])
        assert stranger.poll() is None
        assert not list((tmp_path / ".jobs").iterdir())
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_killed_launcher_left_is_ended_before_the_next_job_starts(tmp_path):
    out = out_folder(tmp_path)
    leftover = subprocess.Popen(["sleep", "300"])
    try:
        created = psutil.Process(leftover.pid).create_time()
        (out / ".job").mkdir()
        record = {"host": os.uname().nodename, "pid": leftover.pid, "created": created}
        (out / ".job" / "rank-00000.json").write_text(json.dumps(record))
        with using(local(tmp_path)):
            assert on_ranks(lambda out: {"done": 1}, ParallelDims(), out=out) == {"done": 1}
        assert leftover.poll() is not None
    finally:
        leftover.kill()
        leftover.wait()


def test_inline_is_a_plain_call_of_one_rank(tmp_path):
    out = out_folder(tmp_path)
    with using(Where(root=tmp_path, executor=Executor(kind="inline"))):
        assert on_ranks(lambda out, value: {"value": value, "pid": os.getpid()}, ParallelDims(), out=out, value=3) == {
            "value": 3,
            "pid": os.getpid(),
        }
        with pytest.raises(ValueError, match="inline executor runs one rank"):
            on_ranks(lambda out: {}, ParallelDims(dp=2), out=out)


def test_slurm_without_its_commands_and_ranks_that_do_not_spread_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    for executor, message in (
        (Executor(kind="slurm"), "sbatch is not on PATH"),
        (Executor(kind="slurm", nodes=2), "do not spread evenly over executor.nodes=2"),
    ):
        out = tmp_path / message[:5] / "pretrain-1"
        out.mkdir(parents=True)
        with using(Where(root=tmp_path, executor=executor)), pytest.raises(ValueError, match=message):
            on_ranks(lambda out: {}, ParallelDims(), out=out)


def test_ranks_start_without_touching_the_log_handlers_of_others(tmp_path: Path) -> None:
    """Prefect's handlers, once closed under logging's lock by a library's import, wait for ever."""
    program = f"""
    import logging
    from pathlib import Path
    from openseek.parallel.dims import ParallelDims
    from tasks.launch import on_ranks
    from tasks.where import Where, using

    class Handler(logging.Handler):
        closed = False
        def close(self):
            Handler.closed = True
        flush = close

    if __name__ == "__main__":
        handler = Handler()
        out = Path({str(tmp_path)!r}) / "out"
        out.mkdir()
        def nothing(out):
            return {{"done": 1}}
        with using(Where(root=out.parent)):
            print(on_ranks(nothing, ParallelDims(), out=out), Handler.closed)
    """
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "{'done': 1} False"
