"""The journal: what was written stays, one answer a call, one writer at a time, clear words about a bad file."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from openseek.synthesis.completion import Completion, Failure
from openseek.synthesis.journal import Journal

ANSWER = Completion("text \u4e2d \x00", "stop", 3, 2)
FAILURE = Failure("timeout: late", retry=True, retry_after=1.5, body="b", prompt_tokens=4, completion_tokens=1)


def test_outcomes_survive_a_reopening(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "j.sqlite"
    with Journal(path) as journal:
        journal.wasted("a", FAILURE)
        assert journal.outcome("a") is None
        journal.answer("a", ANSWER)
        journal.failed("b", FAILURE)
    assert [p.name for p in path.parent.iterdir()] == ["j.sqlite"]
    with Journal(path, readonly=True) as journal:
        assert journal.outcome("a") == ANSWER
        assert journal.outcome("b") == FAILURE
        assert journal.outcome("c") is None
        assert journal.failures() == [FAILURE]
        assert vars(journal.waste()) == {"calls": 1, "prompt_tokens": 4, "completion_tokens": 1}


def test_failed_calls_can_be_tried_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.answer("a", ANSWER)
        journal.failed("b", FAILURE)
        journal.reopen_failed()
        assert journal.outcome("b") is None
        assert journal.outcome("a") == ANSWER
        assert journal.failures() == []
        journal.answer("b", ANSWER)
        assert journal.outcome("b") == ANSWER


def test_a_call_has_one_answer(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.answer("a", ANSWER)
        with pytest.raises(sqlite3.IntegrityError):
            journal.answer("a", ANSWER)


def test_a_killed_writer_loses_nothing_that_it_wrote(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from openseek.synthesis.journal import Journal; from openseek.synthesis.completion import Completion\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for i in range(500): journal.answer(str(i), Completion('x' * 500, 'stop', 1, 1))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "j.sqlite"
    ended = subprocess.run([sys.executable, "-c", script, str(path)], env=os.environ | {"PYTHONPATH": os.getcwd()})
    assert ended.returncode == -signal.SIGKILL
    with Journal(path) as journal:
        assert all(journal.outcome(str(i)) is not None for i in range(500))


def test_a_second_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openseek.synthesis.journal.LOCK_SECONDS", 0.1)
    with Journal(tmp_path / "j.sqlite"), pytest.raises(ValueError, match=r"j\.sqlite.*locked.*no other run"):
        Journal(tmp_path / "j.sqlite")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"this is no database, and long enough to be seen as none" * 40)
    with pytest.raises(ValueError, match=r"j\.sqlite is damaged .* delete it"):
        Journal(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(ValueError, match="has format 7"):
        Journal(path)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(ValueError, match=r"j\.sqlite \(database or disk is full\): free some space"):
            journal.answer("a", Completion("x" * 100_000, "stop", 1, 1))
