"""A command that ends with its owner, however that ends: `python -m infra.guard COMMAND...` watches its input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.processes import Process, descendants, end, process

GRACE_SECONDS = 10


@contextmanager
def guarded(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Run `command` beside the block, in a session of its own (Ctrl-C passes it by); yields the guard's process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        guard = subprocess.Popen(
            [sys.executable, "-m", "infra.guard", *command],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **env},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    me = process(guard.pid)
    try:
        yield me or Process(guard.pid, -1)
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        try:
            guard.wait(timeout=GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()


def main() -> int:
    """Run the command of the command line until it ends or the owner does; returns its status."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    threading.Thread(target=lambda: (child.wait(), over.set()), daemon=True).start()
    over.wait()
    below = descendants(os.getpid())
    end(below, GRACE_SECONDS)
    return child.wait()


if __name__ == "__main__":
    # The thread that reads standard input must not be waited for at exit.
    os._exit(main() & 0xFF)
