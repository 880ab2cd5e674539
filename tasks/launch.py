"""on_ranks: call a function on every rank, on this host or through Slurm, and watch over the job until it ends.

Ranks write files only. This process, which submitted them, forwards rank 0's metrics to MLflow, shows its progress,
turns a failed rank into one clear error, and ends the job when it is itself interrupted. `cancel` ends the jobs of a
flow run from any other process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openseek.artifact import Facts, canonical, write_json
from openseek.parallel.dims import ParallelDims
from tasks import where
from tasks.where import Executor, Where

if TYPE_CHECKING:
    import submitit

POLL_SECONDS = 0.5
FORWARD_SECONDS = 5.0
SLURM_STATE_SECONDS = 5
RENDEZVOUS_SECONDS = 600.0
TAIL_LINES = 15
REPOSITORY = Path(__file__).resolve().parents[1]


class RanksFailed(RuntimeError):
    """A rank failed; the message names it, its error and its log."""


@dataclass(frozen=True)
class RankCall:
    """What submitit pickles: called once in every rank's process."""

    function: Callable[..., Facts]
    out: Path
    arguments: dict[str, Any]
    job_folder: Path
    master_addr: str | None
    launcher: tuple[int, float] | None
    """(pid, creation time) of a launcher on this host: the ranks end when it is gone."""

    def __call__(self) -> Facts:
        import submitit

        env = submitit.JobEnvironment()
        if self.launcher is not None:
            threading.Thread(target=_end_without, args=self.launcher, name="launcher-watch", daemon=True).start()
        _write_alive(self.job_folder / f"rank-{env.global_rank:05d}.json")
        os.environ.update(
            RANK=str(env.global_rank),
            WORLD_SIZE=str(env.num_tasks),
            LOCAL_RANK=str(env.local_rank),
            LOCAL_WORLD_SIZE=str(env.num_tasks // env.num_nodes),
        )
        address, port = self._rendezvous(env)
        os.environ.update(MASTER_ADDR=address, MASTER_PORT=str(port))
        if address.startswith("127."):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the host's own name need not resolve then
        facts = self.function(self.out, **self.arguments)
        if "torch" in sys.modules:
            import torch.distributed as dist

            if dist.is_initialized():
                dist.destroy_process_group()
        return facts

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit queues again after a preemption or a time limit: this call, which resumes from its files."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)

    def _rendezvous(self, env: submitit.JobEnvironment) -> tuple[str, int]:
        """Address and port of rank 0: it picks a port that is free on its node and leaves it in a file of the job."""
        attempt = f"{env.job_id}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"
        path = self.job_folder / f"rendezvous-{attempt}.json"
        if env.global_rank == 0:
            with socket.socket() as probe:
                probe.bind(("", 0))
                port = probe.getsockname()[1]
            write_json(path, {"address": self.master_addr or env.hostnames[0], "port": port})
        deadline = time.monotonic() + RENDEZVOUS_SECONDS
        while not path.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"rank 0 left no {path} within {RENDEZVOUS_SECONDS:.0f} s: is {path.parent} shared?")
            time.sleep(0.1)
        found = json.loads(path.read_text())
        return found["address"], found["port"]


def on_ranks(function: Callable[..., Facts], parallel: ParallelDims, *, out: Path, **arguments: Any) -> Facts:
    """`function(out, **arguments)` on parallel.world_size ranks; the facts of rank 0.

    How ranks start is where.current().executor: "inline" is a plain call of one rank in this process, "local" starts
    processes on this host and "slurm" submits a job, both through submitit. Metrics that rank 0 appends to
    out/metrics/rank00000.jsonl go to MLflow as they come. Raises RanksFailed when a rank fails.
    """
    from openseek import tracking

    # Importing it would configure logging, which ends all handlers that there are; Prefect's waits, under a lock, for a
    # thread that needs the lock.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    here = where.current()
    config = arguments.get("config")
    params = canonical(config, runtime=True) if config is not None else {}
    metrics = out / "metrics" / "rank00000.jsonl"
    with tracking.run(here.tracking_uri, out.name, parent=here.tracking_parent, params=params) as run:
        if here.executor.kind == "inline":
            if parallel.world_size > 1:
                raise ValueError(
                    f"the inline executor runs one rank and the parallel sizes ask for {parallel.world_size}: "
                    "set executor.kind to local or slurm"
                )
            facts = function(out, **arguments)
        else:
            with _sigterm_as_exit(), _submitted(function, parallel, out, arguments, here) as job:
                facts = _watch(job, out, lambda: run.forward(metrics))
        run.forward(metrics)
        run.metrics({name: value for name, value in facts.items() if isinstance(value, int | float)})
    return facts


def owner() -> str:
    """The name under which jobs that are started here are recorded: the flow run's id, or this process."""
    return where.current().flow_run_id or f"process-{os.getpid()}"


def cancel(flow_run_id: str) -> list[str]:
    """End every job that `flow_run_id` started below the root, from any process; what was ended, in words.

    Local jobs can be ended from their own host only.
    """
    ended = []
    root = where.current().root
    for record in sorted((root / ".jobs").glob(f"ranks-{flow_run_id}-*.json")):
        if json.loads(record.read_text())["host"] == socket.gethostname():
            if _kill_tree(record):
                ended.append(f"local job of {record.name}")
            record.unlink(missing_ok=True)
    if where.current().executor.kind == "slurm":
        name = f"openseek-{flow_run_id}"
        subprocess.run(["scancel", "--name", name], check=True, timeout=60)
        ended.append(f"Slurm jobs named {name}")
    return ended


@contextmanager
def _submitted(
    function: Callable[..., Facts], parallel: ParallelDims, out: Path, arguments: dict[str, Any], here: Where
) -> Iterator[submitit.Job[Facts]]:
    """The job of all ranks, ended with the block unless it ended by itself."""
    folder = (out / ".job").resolve()
    _end_leftover(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key = owner()
    local = here.executor.kind == "local"
    call = RankCall(
        function,
        out.resolve(),
        arguments,
        folder,
        here.executor.master_addr or ("127.0.0.1" if local else None),
        _identity(os.getpid()) if local else None,
    )
    job = _executor(here.executor, parallel, folder, f"openseek-{key}").submit(call)
    record = here.root.resolve() / ".jobs" / f"ranks-{key}-{job.job_id}.json"
    if local:
        record.parent.mkdir(parents=True, exist_ok=True)
        _write_alive(record, int(job.job_id))
        _write_alive(folder / "controller.json", int(job.job_id))
    else:
        write_json(folder / "slurm.json", {"job": job.job_id})
    try:
        yield job
    finally:
        if local:
            _kill_tree(record)
            job.wait()  # collects the process
            record.unlink(missing_ok=True)
        elif not all(_result(job, rank) for rank in range(parallel.world_size)):
            job.cancel(check=False)


def _executor(config: Executor, parallel: ParallelDims, folder: Path, name: str) -> submitit.Executor:
    """The submitit executor that starts parallel.world_size ranks."""
    import submitit

    # Before the ranks' interpreters start: thread counts are read when libraries are loaded.
    exports = {"OMP_NUM_THREADS": str(config.cpus_per_task), "PYTHONPATH": f"{REPOSITORY}:$PYTHONPATH"}
    exports["SUBMITIT_LOG_LEVEL"] = "INFO"
    setup = [*(f'export {key}="{value}"' for key, value in exports.items()), *config.setup]
    ranks = parallel.world_size
    if config.kind == "local":
        # A local job that runs out of time must not start over beside its launcher.
        executor = submitit.LocalExecutor(folder, max_num_timeout=0)
        executor.update_parameters(
            tasks_per_node=ranks, gpus_per_node=config.gpus_per_node, timeout_min=config.timeout_min, setup=setup
        )
        return executor
    if ranks % config.nodes:
        raise ValueError(f"{ranks} ranks do not spread evenly over executor.nodes={config.nodes}")
    if shutil.which("sbatch") is None:
        raise ValueError("executor.kind is slurm and sbatch is not on PATH: run on a login node, or set it to local")
    submitit.SlurmJob.watcher._delay_s = SLURM_STATE_SECONDS  # it would ask every ten minutes
    executor = submitit.SlurmExecutor(folder, max_num_timeout=100)
    optional = {"partition": config.partition, "gpus_per_node": config.gpus_per_node or None}
    executor.update_parameters(
        job_name=name,
        nodes=config.nodes,
        ntasks_per_node=ranks // config.nodes,
        cpus_per_task=config.cpus_per_task,
        time=config.timeout_min,
        setup=setup,
        srun_args=["--kill-on-bad-exit=1"],
        additional_parameters=config.additional or None,
        mem=f"{config.memory_gb}GB" if config.memory_gb else None,
        **{key: value for key, value in optional.items() if value is not None},
    )
    return executor


def _watch(job: submitit.Job[Facts], out: Path, forward: Callable[[], Any]) -> Facts:
    """Wait for all ranks; rank 0's facts."""
    ranks = list(range(job.num_tasks))
    shown, forwarded = 0, 0.0
    while True:
        ended = _ended(job)
        shown = _echo(job.paths.stdout if len(ranks) == 1 else job.task(0).paths.stdout, shown)
        if ended or time.monotonic() - forwarded > FORWARD_SECONDS:
            forwarded = time.monotonic()
            forward()
        results = {rank: _result(job, rank) for rank in ranks}
        failed = [rank for rank in ranks if (found := results[rank]) and found[0] == "error"]
        lost = [rank for rank in ranks if results[rank] is None] if ended else _dead(out / ".job", results)
        if failed or lost:
            time.sleep(0 if ended else 2 * POLL_SECONDS)  # the rank that failed first writes its reason first
            raise RanksFailed(_explain(job, out, failed, lost))
        if all(results.values()):
            return results[0][1] if results[0] else {}
        time.sleep(POLL_SECONDS)


def _ended(job: submitit.Job[Facts]) -> bool:
    """Whether the job is over; for Slurm as its accounting says, asked every few seconds."""
    return job.done() and (job.state != "UNKNOWN")


def _result(job: submitit.Job[Facts], rank: int) -> tuple[str, Any] | None:
    """("success", facts) or ("error", traceback) that a rank left, if it has ended."""
    from submitit.core.utils import pickle_load

    path = job.task(rank).paths.result_pickle
    return pickle_load(path) if path.exists() else None


def _dead(folder: Path, results: dict[int, Any]) -> list[int]:
    """Ranks on this host that were killed: they once wrote their pid, left no result, and do not run any more."""
    dead = []
    for rank, result in results.items():
        path = folder / f"rank-{rank:05d}.json"
        if result is None and path.exists():
            record = json.loads(path.read_text())
            if record["host"] == socket.gethostname() and _process(record) is None:
                dead.append(rank)
    return [rank for rank in dead if not any(folder.glob(f"*_{rank}_result.pkl"))]


def _explain(job: submitit.Job[Facts], out: Path, failed: list[int], lost: list[int]) -> str:
    """One message: which rank, why, and where its log is."""
    rank = (failed or lost)[0]
    paths = job.task(rank).paths
    result = _result(job, rank)
    if result is not None:
        lines = str(result[1]).strip().splitlines()
        start = next((i for i in range(len(lines) - 1, -1, -1) if not lines[i].startswith(" ")), 0)
        return f"{out.name}: rank {rank} failed: {' '.join(lines[start:])}\n  log: {paths.stderr}"
    tail: list[str] = []
    if paths.stderr.exists():
        tail = paths.stderr.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return (
        f"{out.name}: rank {rank} ended without a result (job state {job.state}): killed, out of memory, cancelled or "
        f"out of time; run the same command again to continue\n  log: {paths.stderr}"
        + "".join(f"\n  | {line}" for line in tail)
    )


def _echo(path: Path, start: int) -> int:
    """Print the whole lines that rank 0's output gained since byte `start`, but submitit's own; the new position."""
    if not path.exists():
        return start
    with path.open("rb") as file:
        file.seek(start)
        block = file.read()
    whole = block[: block.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        if not line.startswith("submitit "):
            print(line, flush=True)
    return start + len(whole)


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the stack while a job runs, so that the job is ended; a handler of someone else stays."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _identity(pid: int) -> tuple[int, float]:
    """A process by pid and creation time, so that a reused pid is never taken for it."""
    import psutil

    return pid, psutil.Process(pid).create_time()


def _write_alive(path: Path, pid: int | None = None) -> None:
    """Record a process (this one by default)."""
    import psutil

    with suppress(psutil.NoSuchProcess):  # it ended already: nothing to record
        number, created = _identity(pid or os.getpid())
        write_json(path, {"host": socket.gethostname(), "pid": number, "created": created})


def _process(record: dict[str, Any]) -> Any:
    """The recorded process if it still runs, else None."""
    import psutil

    try:
        process = psutil.Process(record["pid"])
        same = abs(process.create_time() - record["created"]) < 0.5 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _kill_tree(record: Path) -> int:
    """Kill the recorded process of this host and all its descendants; how many there were."""
    import psutil

    if not record.exists() or (top := _process(json.loads(record.read_text()))) is None:
        return 0
    with suppress(psutil.NoSuchProcess):
        top.suspend()  # it can start nothing more while its descendants are named
    victims = [*top.children(recursive=True), top]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    psutil.wait_procs(victims, timeout=10)
    return len(victims)


def _end_leftover(folder: Path) -> None:
    """End the job that a killed launcher left in `folder`: two jobs must never write one artifact."""
    for record in [folder / "controller.json", *sorted(folder.glob("rank-*.json"))]:
        if record.exists() and json.loads(record.read_text())["host"] == socket.gethostname():
            _kill_tree(record)
    slurm = folder / "slurm.json"
    if slurm.exists() and shutil.which("scancel"):
        subprocess.run(["scancel", json.loads(slurm.read_text())["job"]], check=False, timeout=60)


def _end_without(pid: int, created: float) -> None:
    """End this process once the launcher is gone."""
    while _process({"pid": pid, "created": created}) is not None:
        time.sleep(1.0)
    os._exit(75)
