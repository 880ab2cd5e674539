"""Processes are known by pid and start time."""

import subprocess
import sys
import time

from infra.processes import Process, descendants, end, process

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_end_ends_the_recorded_process() -> None:
    child = subprocess.Popen(SLEEP)
    me = process(child.pid)
    assert me is not None
    assert end([me]) == [me]
    assert child.wait() != 0
    assert end([me]) == []


def test_a_reused_pid_is_left_alone() -> None:
    child = subprocess.Popen(SLEEP)
    me = process(child.pid)
    assert me is not None
    stranger = Process(me.pid, me.started - 1)
    assert not stranger.alive()
    assert end([stranger]) == []
    assert child.poll() is None
    child.kill()
    child.wait()


def test_what_ignores_sigterm_is_killed() -> None:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    me = process(child.pid)
    assert me is not None
    end([me], grace_seconds=0.3)
    assert child.wait() == -9
    child.stdout.close()


def test_a_zombie_counts_as_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 20
    while process(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process(child.pid) is None
    child.wait()


def test_descendants_reach_grandchildren() -> None:
    nested = f"import subprocess; subprocess.run({['sleep', '60']!r})"
    child = subprocess.Popen([sys.executable, "-c", nested])
    deadline = time.monotonic() + 20
    while not (below := descendants(child.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(below) == 1
    child.kill()
    child.wait()
    end(below)
