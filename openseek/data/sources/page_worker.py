"""HTML pages to text in a helper process, which one bad page may hang or crash without harm to any other.

Signals cannot stop a thread of a Dask worker, no `except` catches a crash in a C library; a process can be replaced.
The time is CPU time and the kernel's timer ends the helper, so that a busy machine changes no result. A helper lives
as long as its standard input: it ends with its parent, however that ends.
"""

import atexit
import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

RETIRE_PAGES = 5000
"""Pages after which a helper is replaced, so that nothing piles up in it."""
SIZE = struct.Struct("<I")
START = "from openseek.data.sources.page_worker import serve; serve()"


class Page(NamedTuple):
    """The body of a page, and the character set that its HTTP header names."""

    body: bytes
    charset: str | None


class Outcome(NamedTuple):
    """What became of a page. kind: text (perhaps ""), late (out of time) or failed (`text` says why)."""

    kind: str
    text: str
    charset: str = ""


class _Gone(Exception):
    """The helper ended before it answered."""


class Setting(NamedTuple):
    """How a helper extracts, and what a page may cost."""

    extractor: str
    seconds: float
    memory_bytes: int


class _Helper:
    """One helper process and the pipes to it."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.pages, self.starved = setting, 0, False
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, json.dumps(setting)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self._read, self._poll = b"", select.poll()
        self._poll.register(self._from, select.POLLIN)
        if os.read(self._from.fileno(), 1) != b"R":
            self.end()
            raise RuntimeError(
                f"the helper that extracts pages does not start with {setting.memory_bytes} bytes of memory "
                f"(its message stands above): raise Ingest.page_memory_bytes, or install requirements.txt"
            )

    def send(self, pages: Sequence[Page]) -> None:
        """Give it pages; it reads all of them before it answers."""
        parts = [SIZE.pack(len(pages))]
        for page in pages:
            charset = (page.charset or "").encode("utf-8", "replace")
            parts += [SIZE.pack(len(charset)), charset, SIZE.pack(len(page.body)), page.body]
        try:
            self._to.write(b"".join(parts))
            self._to.flush()
        except OSError as error:
            raise _Gone from error

    def answer(self) -> Outcome:
        """The next page's outcome; _Gone when the helper ended over it."""
        body = self._bytes(SIZE.unpack(self._bytes(SIZE.size))[0])
        kind, charset, text = body.split(b"\0", 2)
        self.pages += 1
        return Outcome(kind.decode(), text.decode("utf-8"), charset.decode())

    def _bytes(self, count: int) -> bytes:
        """The next bytes of its answers; _Gone when there are no more."""
        parts, have = [self._read], len(self._read)
        while have < count:
            # The kernel's timer ends a late helper; this wait is for one that is stopped and burns no time.
            ready = self._poll.poll(1000 * (60 + 30 * self.setting.seconds))
            part = os.read(self._from.fileno(), 1 << 16) if ready else b""
            if not part:
                self.starved = not ready
                raise _Gone
            parts.append(part)
            have += len(part)
        whole = b"".join(parts)
        self._read = whole[count:]
        return whole[:count]

    def end(self) -> int:
        """Its return code, once it is gone; minus a signal when one ended it."""
        if self.starved:
            self._process.kill()
        for pipe in (self._to, self._from):
            try:
                pipe.close()
            except OSError:
                continue
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


_idle: list[_Helper] = []
_lock = threading.Lock()
_owner = os.getpid()


def _take(setting: Setting) -> _Helper:
    """An idle helper of this setting, or a new one."""
    global _owner
    with _lock:
        if _owner != os.getpid():
            # After a fork the helpers are the parent's.
            _idle.clear()
            _owner = os.getpid()
        for i, helper in enumerate(_idle):
            if helper.setting == setting:
                return _idle.pop(i)
    return _Helper(setting)


@atexit.register
def end_idle() -> None:
    """End the helpers that wait for work."""
    if _owner == os.getpid():
        while _idle:
            _idle.pop().end()


class Workers:
    """Extracts pages, replacing the helper whenever a page ends it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._helper: _Helper | None = None

    def extract(self, pages: Sequence[Page]) -> list[Outcome]:
        """The outcome of each page, in order. It depends on the page alone, never on those before it."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(pages):
            helper = self._helper or _take(self.setting)
            self._helper = helper
            try:
                helper.send(pages[len(outcomes) :])
                while len(outcomes) < len(pages):
                    used, outcome = helper.pages > 0, helper.answer()
                    if outcome.kind == "failed" and used:
                        # It may have failed for what earlier pages left behind.
                        outcome = self._alone(pages[len(outcomes)])
                    outcomes.append(outcome)
            except _Gone:
                used = helper.pages > 0
                outcome = self._ended(helper)
                self._helper = None
                if outcome.kind == "failed" and used:
                    outcome = self._alone(pages[len(outcomes)])
                outcomes.append(outcome)
        if self._helper is not None and self._helper.pages >= RETIRE_PAGES:
            self._helper.end()
            self._helper = None
        return outcomes

    def _alone(self, page: Page) -> Outcome:
        """The outcome of a page in a helper that has seen no other."""
        helper = _Helper(self.setting)
        try:
            helper.send([page])
            return helper.answer()
        except _Gone:
            return self._ended(helper)
        finally:
            helper.end()

    def _ended(self, helper: _Helper) -> Outcome:
        """What a helper that is gone says of the page that it worked on."""
        code = helper.end()
        if code == -signal.SIGPROF or helper.starved:
            return Outcome("late", "")
        return Outcome("failed", f"the extractor crashed ({signal.Signals(-code).name if code < 0 else code})")

    def close(self, reuse: bool) -> None:
        """Keep the helper for the next file, or end it when it may still be at work."""
        helper, self._helper = self._helper, None
        if helper is None:
            return
        if not reuse:
            helper.end()
            return
        with _lock:
            _idle.append(helper)


@contextmanager
def page_workers(setting: Setting) -> Iterator[Workers]:
    """Workers of a setting for one file; their helper serves the next file too."""
    workers, done = Workers(setting), False
    try:
        yield workers
        done = True
    except GeneratorExit:
        # The reader was left between two batches: the helper is idle.
        done = True
        raise
    finally:
        workers.close(reuse=done)


def serve() -> None:
    """The helper: reads pages from standard input and writes their texts until the input ends."""
    import resource

    from openseek.data.sources.page_text import prepare

    setting = Setting(*json.loads(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (setting.memory_bytes, setting.memory_bytes))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not get between the answers.
    os.dup2(2, 1)
    prepare(setting.extractor)
    # What is there now stays, and a page leaves little behind that only a collection would find.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sink.write(b"R")
    sink.flush()
    while head := source.read(SIZE.size):
        pages = [_read_page(source) for _ in range(SIZE.unpack(head)[0])]
        for page in pages:
            signal.setitimer(signal.ITIMER_PROF, setting.seconds)
            kind, charset, text = _outcome(page, setting.extractor)
            signal.setitimer(signal.ITIMER_PROF, 0)
            answer = b"\0".join((kind, charset.encode(), text.encode("utf-8", "replace")))
            try:
                sink.write(SIZE.pack(len(answer)) + answer)
                sink.flush()
            except BrokenPipeError:
                os._exit(0)


def _read_page(source: IO[bytes]) -> Page:
    charset = source.read(SIZE.unpack(source.read(SIZE.size))[0]).decode()
    return Page(source.read(SIZE.unpack(source.read(SIZE.size))[0]), charset or None)


def _outcome(page: Page, extractor: str) -> tuple[bytes, str, str]:
    """(kind, character set, text or reason) of one page."""
    from openseek.data.sources.charset import decode
    from openseek.data.sources.page_text import main_text

    try:
        decoded = decode(page.body, page.charset)
        if decoded is None:
            return b"failed", "", "no character set fits the page"
        text = main_text(decoded.text, extractor).replace("\0", "")
        if not text and _memory_is_full():
            # Extractors swallow the errors of their parser and return nothing.
            raise MemoryError
        return b"text", decoded.charset, text
    except MemoryError:
        return b"failed", "", "the extractor ran out of memory (page_memory_bytes)"
    except Exception as error:  # noqa: BLE001  the page goes to quarantine with the reason, the next one is read
        return b"failed", "", f"the extractor failed ({type(error).__name__}: {error})"[:500].replace("\0", "")


def _memory_is_full() -> bool:
    """Whether the most memory that this process had at once is about its limit."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmPeak:"))
    return peak > 0.8 * limit
