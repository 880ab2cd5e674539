"""The journal of calls: an append-only sqlite file that lets a killed run go on without asking anything twice.

Each line is an event of one call, named by the call's key: `answer` (valid, final), `wasted` (a try that gave none),
`failed` (given up, final) or `reopened` (a failed call that may be tried again). What was in flight at
the kill is all that is lost.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openseek.synthesis.completion import Completion, Failure

FORMAT = 1
LOCK_SECONDS = 5.0
"""Longest wait for another process to give the file back."""
_TABLES = """
CREATE TABLE IF NOT EXISTS event
    (number INTEGER PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_of_key ON event (key, number);
CREATE UNIQUE INDEX IF NOT EXISTS one_answer ON event (key) WHERE kind = 'answer';
"""


@dataclass(frozen=True)
class Waste:
    """What tries that gave no answer cost."""

    calls: int
    prompt_tokens: int
    completion_tokens: int


class Journal:
    """The calls of one run. One process writes at a time; others may read a closed journal."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path, self._readonly = path, readonly
        if not readonly:
            path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as on_error:
            with self._explained():
                address = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
                self._db = sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, isolation_level=None)
                on_error.callback(self._db.close)
                if not readonly:
                    self._prepare()
                found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found != FORMAT:
                raise ValueError(
                    f"{path} has format {found}, this version reads {FORMAT}: delete it to ask everything again"
                )
            on_error.pop_all()

    def _prepare(self) -> None:
        # Exclusive locking before the first access keeps WAL's index in memory: no shared-memory file, so NFS will do.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; a power cut may lose the last answers, never the file.
        self._db.execute("PRAGMA synchronous = NORMAL")
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            self._db.executescript(f"BEGIN EXCLUSIVE; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            full = "full" in str(error)
            remedy = (
                "free some space and run again"
                if full
                else "see that no other run uses it and that you may write there"
            )
            raise ValueError(f"cannot use the journal {self.path} ({error}): {remedy}") from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise ValueError(
                f"the journal {self.path} is damaged ({error}): delete it to ask everything again"
            ) from error

    def _append(self, key: str, kind: str, body: dict[str, Any]) -> None:
        with self._explained():
            self._db.execute("INSERT INTO event (key, kind, body) VALUES (?, ?, ?)", (key, kind, json.dumps(body)))

    def answer(self, key: str, completion: Completion) -> None:
        """Record a valid answer; sqlite3.IntegrityError if the call has one already."""
        self._append(key, "answer", asdict(completion))

    def wasted(self, key: str, failure: Failure) -> None:
        """Record a try that gave no answer."""
        self._append(key, "wasted", asdict(failure))

    def failed(self, key: str, failure: Failure) -> None:
        """Record that a call was given up."""
        self._append(key, "failed", asdict(failure))

    def reopen_failed(self) -> None:
        """Let a later run try the failed calls again."""
        for key in self._finals("failed"):
            self._append(key, "reopened", {})

    def _finals(self, kind: str) -> list[str]:
        last = "SELECT key, kind, max(number) FROM event WHERE kind != 'wasted' GROUP BY key"
        with self._explained():
            return [key for key, found, _ in self._db.execute(last) if found == kind]

    def outcome(self, key: str) -> Completion | Failure | None:
        """The call's answer or final failure; None when it is still to be made."""
        with self._explained():
            row = self._db.execute(
                "SELECT kind, body FROM event WHERE key = ? AND kind != 'wasted' ORDER BY number DESC LIMIT 1", (key,)
            ).fetchone()
        if row is None or row[0] == "reopened":
            return None
        return Completion(**json.loads(row[1])) if row[0] == "answer" else Failure(**json.loads(row[1]))

    def failures(self) -> list[Failure]:
        """Why each call that was given up got no answer."""
        found = [self.outcome(key) for key in self._finals("failed")]
        return [outcome for outcome in found if isinstance(outcome, Failure)]

    def waste(self) -> Waste:
        """Tries without an answer over all runs, and the tokens that the server counted for them."""
        with self._explained():
            bodies = [json.loads(b) for (b,) in self._db.execute("SELECT body FROM event WHERE kind = 'wasted'")]
        return Waste(len(bodies), sum(b["prompt_tokens"] for b in bodies), sum(b["completion_tokens"] for b in bodies))

    def close(self) -> None:
        """Give the file back, as one plain file that readers on any file system can open."""
        if not self._readonly:
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
