"""Processes known by pid and start time, so that a reused pid is never mistaken for the one that was recorded."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of this host: its pid, and its start in clock ticks since boot (field 22 of /proc/PID/stat)."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie has ended and only waits for its parent."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.started and found[0] not in "ZX"

    def signal(self, number: int) -> bool:
        """Send signal `number`; False when the process is already gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:  # it ended between the look and the signal
            return False
        return True


def process(pid: int) -> Process | None:
    """The process that has `pid` now, or None."""
    found = _stat(pid)
    return None if found is None or found[0] in "ZX" else Process(pid, found[1])


def children(pid: int) -> list[Process]:
    """The living processes that `pid` has started itself."""
    return [each for each in descendants(pid) if (found := _stat(each.pid)) is not None and found[2] == pid]


def descendants(pid: int) -> list[Process]:
    """Every living process below `pid`, children before their own children."""
    children: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))) is not None and found[0] not in "ZX":
            children.setdefault(found[2], []).append(Process(int(entry.name), found[1]))
    below: list[Process] = []
    level = children.get(pid, [])
    while level:
        below += level
        level = [child for each in level for child in children.get(each.pid, [])]
    return below


def end(processes: Iterable[Process], grace_seconds: float = 10.0) -> list[Process]:
    """SIGTERM, then SIGKILL what is left after `grace_seconds`; returns the processes that were alive at the call."""
    living = [each for each in processes if each.signal(signal.SIGTERM)]
    deadline = time.monotonic() + grace_seconds
    while any(each.alive() for each in living) and time.monotonic() < deadline:
        time.sleep(0.05)
    for each in living:
        each.signal(signal.SIGKILL)
    while any(each.alive() for each in living) and time.monotonic() < deadline + 5:
        time.sleep(0.05)
    return living


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State letter, start in ticks, and parent of `pid`; None when there is no such process."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = line[line.rindex(")") + 2 :].split()  # the command before it may hold spaces and brackets
    return fields[0], int(fields[19]), int(fields[1])
