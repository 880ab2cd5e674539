"""A guarded command ends with its owner."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.guard import guarded
from infra.processes import descendants

OWNER = """
import sys, time
from pathlib import Path
from infra.guard import guarded
with guarded([sys.executable, "-c", "import time; time.sleep(60)"], {}, Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_command_ends_with_its_owner(number: int, tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    owner.stdout.close()
    deadline = time.monotonic() + 20
    while len(below := descendants(owner.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(below) == 2  # the guard and the command
    owner.send_signal(number)
    assert owner.wait(timeout=20) != 0
    while any(each.alive() for each in below) and time.monotonic() < deadline + 20:
        time.sleep(0.05)
    assert not any(each.alive() for each in below)


def test_a_command_that_ends_by_itself_ends_its_guard(tmp_path: Path) -> None:
    with guarded([sys.executable, "-c", "print('said', flush=True)"], {}, tmp_path / "log") as guard:
        deadline = time.monotonic() + 20
        while guard.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not guard.alive()
    assert (tmp_path / "log").read_text() == "said\n"
