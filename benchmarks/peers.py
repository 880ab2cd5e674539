"""Peers run in an environment of their own, so that nothing they want can disturb the product's."""

import json
import subprocess
from typing import Any

from benchmarks.rows import REPOSITORY

PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"
# Put before every script: `spent()` is the CPU seconds of the process and of its ended children.
PREAMBLE = """
import json, resource, sys
def spent():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
arguments = json.loads(sys.argv[1])
"""


def peer(script: str, arguments: Any, timeout_seconds: float = 900.0) -> dict[str, Any] | None:
    """The JSON object that `script` prints as its last line, run by the peers' Python; None where it is not installed.

    The script finds its `arguments`, and `spent()`, the CPU seconds used so far.
    """
    if not PYTHON.exists():
        return None
    command = [str(PYTHON), "-c", PREAMBLE + script, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    if done.returncode:
        raise RuntimeError(f"a peer failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
