"""Background services are recorded, waited for and ended in the opposite order."""

import socket
import sys
from pathlib import Path

import pytest

from infra.processes import process
from infra.services import Services, fetch, free_port, in_use

HANGS = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_service_is_started_found_and_ended_by_another_reader(tmp_path: Path) -> None:
    services, port = Services(tmp_path), free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    web = services.start("web", command, {}, tmp_path, f"http://127.0.0.1:{port}")
    services.wait(web, lambda: fetch(web.url) is not None, 30)
    assert in_use(port)
    later = services.start("later", HANGS, {}, tmp_path)
    another = Services(tmp_path)
    assert another.living() == [web, later]
    assert [each.name for each in another.end()] == ["later", "web"]
    assert process(web.process.pid) is None
    assert not in_use(port)
    assert another.started() == []
    assert another.end() == []


def test_a_service_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    services = Services(tmp_path)
    broken = services.start("broken", [sys.executable, "-c", "raise SystemExit('no such database')"], {}, tmp_path)
    with pytest.raises(ValueError, match=r"broken ended while it came up: no such database \(log: .*broken\.log\)"):
        services.wait(broken, lambda: False, 30)
    services.end()


def test_a_service_that_hangs_is_reported(tmp_path: Path) -> None:
    services = Services(tmp_path)
    hanging = services.start("hanging", HANGS, {}, tmp_path)
    with pytest.raises(ValueError, match="hanging was not ready in 0 s: no output"):
        services.wait(hanging, lambda: False, 0.3)
    services.end()
    assert process(hanging.process.pid) is None


def test_a_port_that_is_listened_on_is_in_use() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert in_use(listener.getsockname()[1])
    assert not in_use(free_port())
