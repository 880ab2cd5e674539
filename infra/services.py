"""Long-lived services in the background on this host, recorded in a file so that a later command can end them."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from infra.processes import Process, descendants, end, process


@dataclass(frozen=True)
class Service:
    """One started service."""

    name: str
    process: Process
    log: str
    url: str = ""


class Services:
    """The services whose record is FOLDER/services.json, in the order in which they were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "services.json"

    def started(self) -> list[Service]:
        """What the record names, running or not."""
        if not self._record.exists():
            return []
        entries = json.loads(self._record.read_text())
        return [Service(**{**entry, "process": Process(**entry["process"])}) for entry in entries]

    def living(self) -> list[Service]:
        """The services that still run."""
        return [each for each in self.started() if each.process.alive()]

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, url: str = "") -> Service:
        """Start `command` in a session of its own and record it; its output goes to FOLDER/NAME.log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                env={**os.environ, **env},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        me = process(child.pid)
        if me is None:
            raise ValueError(f"{name} ended at once with status {child.wait()}: {last_lines(log)}")
        child.returncode = 0  # it outlives this process, which is no reason for Popen to warn
        service = Service(name, me, str(log), url)
        self._write([*self.started(), service])
        return service

    def wait(self, service: Service, ready: Callable[[], bool], seconds: float) -> None:
        """Return when `ready()`; ValueError with the end of the log when the service ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            alive = service.process.alive()
            if not alive or time.monotonic() > deadline:
                what = f"was not ready in {seconds:.0f} s" if alive else "ended while it came up"
                raise ValueError(f"{service.name} {what}: {last_lines(Path(service.log))}")
            time.sleep(0.2)

    def end(self, grace_seconds: float = 30.0) -> list[Service]:
        """End what still runs, the last started first, each with all its children; returns what was ended."""
        ended = []
        for service in reversed(self.started()):
            below = descendants(service.process.pid) if service.process.alive() else []
            if end([service.process], grace_seconds):
                ended.append(service)
            end(below, grace_seconds=5)
        self._record.unlink(missing_ok=True)
        return ended

    def _write(self, services: Sequence[Service]) -> None:
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps([dataclasses.asdict(each) for each in services], indent=1))
        temporary.replace(self._record)


def last_lines(log: Path, number: int = 3) -> str:
    """The end of a log on one line, with where to read the rest."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{' | '.join(line.strip() for line in lines[-number:]) or 'no output'} (log: {log})"


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def in_use(port: int) -> bool:
    """Whether a server could not listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def fetch(url: str, body: object = None, seconds: float = 5.0) -> bytes | None:
    """GET (or POST, with a JSON `body`) on this host, past any proxy; None while nothing answers with success."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=seconds) as answer:
            return answer.read()
    except (URLError, OSError):
        return None
