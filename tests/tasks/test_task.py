"""A task runs once for one identity, whoever calls it, and never mixes two."""

import dataclasses
import json
import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from openseek.artifact import STARTED, StaleOutput, read_manifest
from tasks.lease import Lease, process_start
from tasks.task import inputs_of, task
from tasks.where import Where, using


@dataclasses.dataclass(frozen=True)
class Config:
    text: str = "hello"
    seconds: float = dataclasses.field(default=0.0, metadata={"runtime": True})


@task
def write(out: Path, config: Config = Config()) -> dict:
    """Write a text."""
    with open(out / "calls", "a") as calls:
        calls.write(f"{os.getpid()}\n")
    time.sleep(config.seconds)
    (out / "text").write_text(config.text)
    return {"rows_in": 3, "rows_out": 1, "dropped": {"short": 1}, "quarantined": 1}


@task
def double(out: Path, first: Path, second: Path | None = None, config: Config = Config()) -> dict:
    """Write the inputs' texts."""
    texts = [(p / "text").read_text() for p in (first, second) if p]
    (out / "text").write_text("".join(texts))
    return {"characters": sum(map(len, texts))}


@task
def loses(out: Path, config: Config = Config()) -> dict:
    """Lose a row."""
    return {"rows_in": 3, "rows_out": 1, "dropped": {}, "quarantined": 1}


def calls(directory: Path) -> int:
    return len((directory / "calls").read_text().splitlines())


def test_equal_work_runs_once_and_the_link_points_to_the_newest(root: Where) -> None:
    first = write()
    assert write() == first
    assert calls(first) == 1
    assert (root.root / "write").resolve() == first.resolve()
    other = write(config=Config("changed"))
    assert other != first
    assert (root.root / "write").resolve() == other.resolve()
    assert write() == first
    assert (root.root / "write").resolve() == first.resolve()


def test_a_runtime_field_is_no_identity(root: Where) -> None:
    assert write(config=Config(seconds=0.01)) == write()


def test_inputs_chain_and_are_recorded_relative_to_the_root(root: Where) -> None:
    a, b = write(), write(config=Config("bye"), label="two")
    assert b.name.startswith("write.two-")
    both = double(a, b)
    assert (both / "text").read_text() == "hellobye"
    manifest = read_manifest(both)
    assert inputs_of(manifest, root.root) == [a, b]
    assert double(a) != both
    # Through the link it is the same input.
    assert double(root.root / "write", root.root / "write.two") == both


def test_an_explicit_folder_with_other_work_is_refused(root: Where, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    write(out=out)
    with pytest.raises(StaleOutput, match="adopt"):
        write(config=Config("other"), out=out)
    half = tmp_path / "half"
    half.mkdir()
    (half / STARTED).write_text("0" * 64)
    with pytest.raises(StaleOutput, match="00000000"):
        write(out=half)


def test_a_lost_row_fails_the_task(root: Where) -> None:
    with pytest.raises(AssertionError, match="3 rows in, 2 accounted for"):
        loses()
    assert not list(root.root.glob("loses*/manifest.json"))


def test_wrong_inputs_are_named(root: Where, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'first' is missing"):
        double()
    with pytest.raises(ValueError, match="does not exist"):
        double(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="takes 2 input"):
        double(tmp_path, tmp_path, tmp_path)


def test_a_plan_runs_nothing_and_knows_what_is_done(root: Where) -> None:
    done = write()
    plan: list = []
    with using(dataclasses.replace(root, plan=plan)):
        double(write(), write(config=Config("new"), label="two"))
    assert [(s.name, s.done) for s in plan] == [("write", True), ("write.two", False), ("double", False)]
    assert plan[0].directory == done
    made = double(write(), write(config=Config("new"), label="two"))
    assert made == plan[2].directory


def _start(root: Path, seconds: float) -> None:
    with using(Where(root=root)):
        write(config=Config(seconds=seconds))


def _spawn(root: Path, seconds: float) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_start, args=(root, seconds))
    process.start()
    return process


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def test_two_processes_that_start_one_task_do_it_once(tmp_path: Path) -> None:
    users = [_spawn(tmp_path, 1.5) for _ in range(3)]
    for user in users:
        user.join(timeout=30)
    assert [u.exitcode for u in users] == [0, 0, 0]
    assert calls(tmp_path / "write") == 1


def test_a_killed_owner_is_replaced_at_once(tmp_path: Path) -> None:
    owner = _spawn(tmp_path, 60)
    directory = tmp_path / Path(_planned(tmp_path)).name
    _wait_for(directory / "calls")
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    owner.join(timeout=10)
    with using(Where(root=tmp_path)):
        assert write() == directory
    assert calls(directory) == 2
    assert not (directory / STARTED).exists()


def _planned(root: Path) -> Path:
    plan: list = []
    with using(Where(root=root, plan=plan)):
        return write()


def test_a_lease_of_another_host_lasts_until_it_runs_out(tmp_path: Path) -> None:
    other = {"host": "elsewhere", "pid": 1, "start": 1, "job": "7"}
    (tmp_path / ".lease").write_text(json.dumps({**other, "expires": time.time() + 60}))
    assert not Lease(tmp_path).acquire()
    (tmp_path / ".lease").write_text(json.dumps({**other, "expires": time.time() - 1}))
    assert Lease(tmp_path).acquire()


def test_a_reused_pid_does_not_hold_a_lease(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    own = process_start(os.getpid())
    assert own is not None
    record = {**lease.owner, "job": None, "expires": time.time() + 60}
    (tmp_path / ".lease").write_text(json.dumps({**record, "start": own - 1}))
    assert lease.acquire()
