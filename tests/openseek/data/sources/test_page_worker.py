"""The helper that extracts pages: what a page may cost, what a crash costs, and that it dies with its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openseek.data.sources import page_worker
from openseek.data.sources.page_worker import Page, Setting, Workers, page_workers

SETTING = Setting("trafilatura", 10.0, 2 << 30)
SENTENCE = "This is a sentence of page {0}, and there are enough words in it for a paragraph. "


def page(number: int) -> Page:
    text = "".join(f"<p>{SENTENCE.format(number) * 3}</p>" for _ in range(3))
    return Page(f"<html><body><article><h1>{number}</h1>{text}</article></body></html>".encode(), "utf-8")


def slow() -> Page:
    """A page that takes seconds."""
    return Page(
        b"<html><body>" + b"<p>Some words of a paragraph that is long enough to be kept.</p>" * 100_000, "utf-8"
    )


def test_a_batch_comes_back_in_order_and_one_helper_serves_all() -> None:
    with page_workers(SETTING) as workers:
        outcomes = workers.extract([page(i) for i in range(50)])
        first = workers._helper
        assert [SENTENCE.format(i).strip() in outcome.text for i, outcome in enumerate(outcomes)] == [True] * 50
        workers.extract([page(1)])
        assert workers._helper is first
    with page_workers(SETTING) as workers:
        workers.extract([page(2)])
        assert workers._helper is first


def test_a_page_beyond_its_time_is_late_and_the_others_are_not() -> None:
    with page_workers(SETTING._replace(seconds=0.3)) as workers:
        outcomes = workers.extract([page(0), slow(), page(2), slow(), page(4)])
    assert [outcome.kind for outcome in outcomes] == ["text", "late", "text", "late", "text"]


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_helper_that_dies_costs_no_page_that_a_new_one_can_read(name: str) -> None:
    with page_workers(SETTING) as workers:
        workers.extract([page(0)])
        helper = workers._helper
        assert helper is not None
        os.kill(helper._process.pid, signal.Signals[name])
        helper._process.wait()
        outcomes = workers.extract([page(i) for i in range(5)])
    assert [outcome.kind for outcome in outcomes] == ["text"] * 5


def test_a_page_that_crashes_every_helper_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    crash = (
        "import os, signal, openseek.data.sources.page_text as t, openseek.data.sources.page_worker as w\n"
        "inner = t.main_text\n"
        "t.main_text = lambda page, e: os.kill(os.getpid(), signal.SIGSEGV) if 'CRASH' in page else inner(page, e)\n"
        "w.serve()"
    )
    monkeypatch.setattr(page_worker, "START", crash)
    workers = Workers(SETTING._replace(seconds=9.0))
    outcomes = workers.extract([page(0), Page(b"<p>CRASH</p>", None), page(2)])
    workers.close(reuse=False)
    assert [outcome.kind for outcome in outcomes] == ["text", "failed", "text"]
    assert outcomes[1].text == "the extractor crashed (SIGSEGV)"


def test_a_page_that_wants_too_much_memory_fails_alone() -> None:
    with page_workers(SETTING._replace(memory_bytes=300 << 20, seconds=60)) as workers:
        outcomes = workers.extract([page(0), Page(b"<p>x</p>" * 2_000_000, "utf-8"), page(2)])
    assert [outcome.kind for outcome in outcomes] == ["text", "failed", "text"]
    assert "memory" in outcomes[1].text or "crashed" in outcomes[1].text


def test_deeply_nested_pages_harm_nobody() -> None:
    deep = [Page(tag * 200_000 + b"text", "utf-8") for tag in (b"<div>", b"<b>", b"<table><tr><td>", b"<math><mrow>")]
    with page_workers(SETTING) as workers:
        outcomes = workers.extract([page(0), *deep, page(1)])
    assert (outcomes[0].kind, outcomes[-1].kind) == ("text", "text")
    assert SENTENCE.format(1).strip() in outcomes[-1].text


def test_a_helper_ends_with_its_parent_however_that_ends() -> None:
    script = (
        "import time; from openseek.data.sources.page_worker import *\n"
        "w = Workers(Setting('trafilatura', 10.0, 2 << 30)); w.extract([Page(b'<p>x</p>', None)])\n"
        "print(w._helper._process.pid, flush=True); time.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    helper = Path("/proc") / parent.stdout.readline().strip()
    assert helper.exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while helper.exists() and "Z" not in (helper / "stat").read_text().rpartition(")")[2].split()[0]:
        assert time.monotonic() < deadline, "the helper outlives its parent"
        time.sleep(0.1)


def test_a_limit_too_small_to_start_is_told() -> None:
    with pytest.raises(RuntimeError, match="page_memory_bytes"):
        Workers(SETTING._replace(memory_bytes=20 << 20)).extract([page(0)])
