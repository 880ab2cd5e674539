"""A lease on a directory: two processes that start one task do its work once."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from openseek.artifact import write_json

LEASE = ".lease"
EXPIRY_SECONDS = 120.0
RENEW_SECONDS = 15.0
_between_threads = threading.Lock()  # file locks of one process do not exclude its own threads


def process_start(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); None when it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])


class Lease:
    """Holds `directory/.lease` while its block runs, renewed by a thread; use as a context manager after `acquire`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / LEASE
        self.owner = {"host": socket.gethostname(), "pid": os.getpid(), "start": process_start(os.getpid())}
        self.job = os.environ.get("SLURM_JOB_ID")
        self._stop = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _between_threads, open(self.path.with_name(".lease.lock"), "a") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            yield

    def holder(self) -> dict[str, Any] | None:
        """Who holds the lease now; None when nobody does, it ran out, or its process is gone."""
        try:
            held = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        if held["host"] == self.owner["host"]:
            return held if process_start(held["pid"]) == held["start"] else None
        return held if held["expires"] > time.time() else None

    def _write(self) -> None:
        write_json(self.path, {**self.owner, "job": self.job, "expires": time.time() + EXPIRY_SECONDS})

    def _mine(self, held: dict[str, Any] | None) -> bool:
        return held is not None and all(held[k] == v for k, v in self.owner.items())

    def acquire(self) -> bool:
        """Take the lease if it is free, ran out, or its owner died; False when another live process holds it."""
        with self._locked():
            if self.holder() is not None:
                return False
            self._write()
        return True

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            with self._locked():
                if not self._mine(self.holder()):
                    self._lost = True
                    return
                self._write()

    def check(self) -> None:
        """Raise RuntimeError if another process took the lease over (this one was stopped longer than its expiry)."""
        if self._lost:
            raise RuntimeError(
                f"{self.path} was taken over by another process; its result counts, run the command again"
            )

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        with self._locked():
            if self._mine(self.holder()):
                self.path.unlink(missing_ok=True)
