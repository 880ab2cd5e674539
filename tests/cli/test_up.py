"""`openseek up` and `openseek down` where nothing needs to be started; tests/flows/test_server.py starts everything."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.down import down
from cli.up import environment, up
from infra.services import Services, free_port


def commands() -> list[list[str]]:
    """The command lines of all processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(entry.read_text(errors="replace").split("\0"))
    return found


@pytest.mark.parametrize("option", ["port", "mlflow_port"])
def test_a_port_in_use_is_named_with_the_remedy(option: str, tmp_path: Path) -> None:
    ports = {"port": free_port(), "mlflow_port": free_port()}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ports[option] = listener.getsockname()[1]
        flag = option.replace("_", "-")
        with pytest.raises(ValueError, match=rf"port {ports[option]} .*is in use.*another --{flag}"):
            up(tmp_path, **ports)  # pyright: ignore[reportArgumentType]
    assert Services(tmp_path / ".services").started() == []


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_a_port_out_of_range_is_named(port: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--port is {port}: use a port from 1 to 65535"):
        up(tmp_path, port)


def test_a_part_that_still_runs_is_ended_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    services = Services(tmp_path / ".services")
    services.start("prefect", [sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path)
    dead = services.start("worker", [sys.executable, "-c", ""], {}, tmp_path)
    while dead.process.alive():
        time.sleep(0.05)
    with pytest.raises(ValueError, match="only a part of the services.*openseek down --root"):
        up(tmp_path, free_port(), free_port())
    assert down(tmp_path) == 0
    assert "ended prefect" in capsys.readouterr().out
    assert down(tmp_path) == 0
    assert "nothing was running" in capsys.readouterr().out


def test_a_failed_start_ends_what_it_had_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.up.START_SECONDS", 0)
    ports = free_port(), free_port()
    with pytest.raises(ValueError, match=r"prefect was not ready in 0 s.*prefect\.log"):
        up(tmp_path, ports[0], ports[1])
    assert Services(tmp_path / ".services").started() == []
    assert (tmp_path / ".services" / "mlflow.log").exists()
    assert not any(str(port) in " ".join(each) for port in ports for each in commands())


def test_a_password_of_the_database_reaches_the_server_and_no_command_line(tmp_path: Path) -> None:
    url = "postgresql+asyncpg://me:confided@127.0.0.1/prefect"
    given = environment(tmp_path, 4200, 5000, url)
    assert given.pop("PREFECT_API_DATABASE_CONNECTION_URL") == url
    assert "confided" not in str(given)


@pytest.mark.parametrize("name", ["up", "down"])
def test_help_imports_nothing_heavy(name: str) -> None:
    program = f"import sys, cli.{name}; assert not {{'prefect', 'mlflow', 'distributed', 'numpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
