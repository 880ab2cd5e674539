"""Equality of LaTeX expressions by math-verify, in a process of its own that a wall limit can end.

math-verify's own timeouts need the main thread and do not interrupt big-integer arithmetic (`10^10^10` holds for
seconds), so each pair goes to a worker over a pipe and a worker that is late is killed and replaced. The worker reads
LaTeX only: math-verify's plain-expression parser evaluates Python.
"""

import atexit
import json
import os
import re
import selectors
import subprocess
import sys
import threading

WALL_SECONDS = 5.0
"""How long one comparison may take."""
START_SECONDS = 120.0
"""How long the worker may take to import math-verify (2 s on an idle machine)."""
MAX_EXPRESSION = 300
"""Longer expressions are unequal: no reference answer has that length."""
_MEMORY_BYTES = 4 << 30
# A backslash command or an operator between operands; prose and plain numbers have neither.
_SYMBOLIC = re.compile(r"\\[A-Za-z]+|[\^_={}]|\d[a-z]\b|[\w)]\s*[+*/]\s*[\w(]|[(\[{].*,.*[)\]}]")
# Towers of powers and factorials of large numbers: no answer needs one, and each is a way to burn a core.
_EXPLOSIVE = re.compile(r"\^[^+]*\^|\^\s*\{?\s*-?\d{4,}|\d{4,}\s*!|!\s*!")


def looks_symbolic(text: str) -> bool:
    """Whether `text` needs algebra to be compared, so that prose never starts a worker."""
    return len(text) <= MAX_EXPRESSION and _SYMBOLIC.search(text) is not None


class Worker:
    """A math-verify process; started on first use, replaced when it is late or gone."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.timeouts = 0
        """Comparisons ended by the wall limit since the start."""
        atexit.register(self.close)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(seconds) else b""

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
            command = [sys.executable, "-m", "openseek.rl.rewards.symbolic"]
            # stderr is dropped: the parser prints a warning for every malformed answer a model writes.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
            if self._line(self._process, START_SECONDS) != b"ready\n":
                self.close()
                raise RuntimeError(f"the math-verify worker did not start; run `{' '.join(command)}` to see why")
        return self._process

    def equal(self, stated: str, reference: str, seconds: float = WALL_SECONDS) -> bool:
        """Whether the two are mathematically equal; False when the comparison takes longer than `seconds`."""
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps([stated, reference]).encode() + b"\n")
            process.stdin.flush()
            line = self._line(process, seconds)
            if not line:
                self.timeouts += 1
                self.close()
            return line == b"true\n"


_WORKER = Worker()


def equal(stated: str, reference: str) -> bool:
    """Whether two LaTeX expressions are equal; False for what is too long, explosive, unreadable or late."""
    if max(len(stated), len(reference)) > MAX_EXPRESSION or _EXPLOSIVE.search(stated):
        return False
    return _WORKER.equal(stated, reference)


def _serve() -> None:
    """Answer pairs on standard input, one JSON line each, until it closes."""
    import logging
    import resource

    from math_verify import LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))

    def expression(text: str) -> list[object]:
        inner = text.strip().strip("$")
        return parse(f"${inner}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)  # pyright: ignore[reportArgumentType]

    # A copy of the pipe: whatever a library prints goes to stderr and cannot forge a verdict.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    output.write(b"ready\n")
    for line in sys.stdin:
        stated, reference = json.loads(line)
        gold, target = expression(reference), expression(stated)
        verdict = bool(gold) and bool(target) and verify(gold, target, timeout_seconds=None)  # pyright: ignore[reportArgumentType]
        output.write(b"true\n" if verdict else b"false\n")


if __name__ == "__main__":
    _serve()
