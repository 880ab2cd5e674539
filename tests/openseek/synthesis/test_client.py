"""The client against a real endpoint that misbehaves: every call ends, is counted once, and leaks no key."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openseek.synthesis.client import Client, Endpoint, EndpointError, key_from
from openseek.synthesis.completion import Completion, Failure, Request
from openseek.synthesis.journal import Journal

SECRET = "sk-0123456789-never-to-be-seen"


def asking(chat: str, seed: int = 0) -> Request:
    return Request("m", "", (("user", chat),), 20, 0.0, 1.0, 0.0, seed)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "j.sqlite") as opened:
        yield opened


@pytest.fixture
def ask(chat_endpoint: Callable[..., Any], journal: Journal) -> Callable[..., Any]:
    """`ask(chats, seconds=0, **endpoint)`: what came of the chats, and the endpoint's log."""

    def run(
        *chats: str, seconds: float = 0.0, **patience: Any
    ) -> tuple[list[Completion | Failure | None], dict[str, Any]]:
        server = chat_endpoint(seconds)
        endpoint = Endpoint(
            server.base_url, **{"backoff_seconds": 0.02, "max_attempts": 3, "timeout_seconds": 5.0} | patience
        )
        requests = [asking(chat, seed) for seed, chat in enumerate(chats)]
        asyncio.run(Client(endpoint, journal).ask_all(requests))
        return [journal.outcome(r.key()) for r in requests], server.log()

    return run


@pytest.mark.parametrize(
    "told",
    ["status=429", "status=500", "status=529", "half", "html", "empty", "null", "surrogate", "drop"],
)
def test_a_passing_fault_is_tried_again(ask: Callable[..., Any], journal: Journal, told: str) -> None:
    (outcome,), log = ask(f"tell me about the sea <<{told} times=2>>")
    assert isinstance(outcome, Completion)
    assert len(log["calls"]) == 3
    assert journal.waste().calls == 2


@pytest.mark.parametrize(
    "told, error",
    [("status=500", "http_500"), ("half", "invalid_json"), ("empty", "empty_choices"), ("null", "null_content")],
)
def test_a_lasting_fault_of_one_call_fails_that_call_alone(
    ask: Callable[..., Any], journal: Journal, told: str, error: str
) -> None:
    (good, bad), log = ask("tell me about the sea", f"tell me about the wind <<{told}>>")
    assert isinstance(good, Completion)
    assert isinstance(bad, Failure)
    assert bad.error.startswith(error)
    assert len(log["calls"]) == 1 + 3
    assert journal.waste().calls == 3


def test_tokens_of_useless_answers_are_waste(ask: Callable[..., Any], journal: Journal) -> None:
    ask("tell me about the wind <<null times=2>>")
    assert (journal.waste().prompt_tokens, journal.waste().completion_tokens) == (22, 14)


def test_a_refused_request_is_not_repeated(ask: Callable[..., Any]) -> None:
    (good, bad), log = ask("tell me about the sea", "tell me about the wind <<status=400>>")
    assert isinstance(good, Completion)
    assert isinstance(bad, Failure)
    assert not bad.retry
    assert len(log["calls"]) == 2


@pytest.mark.parametrize("told, reason", [("length", "length"), ("filter", "content_filter")])
def test_a_cut_or_filtered_answer_is_an_answer(ask: Callable[..., Any], told: str, reason: str) -> None:
    (outcome,), log = ask(f"tell me about the sea <<{told}>>")
    assert outcome.finish_reason == reason
    assert len(log["calls"]) == 1


@pytest.mark.parametrize("header, least", [("retry_after=1.5", 1.5), ("retry_date=3", 1.5)])
def test_retry_after_is_honoured_by_every_call(ask: Callable[..., Any], header: str, least: float) -> None:
    """The control: without the header the same fault is over in a fraction of the time."""
    first, others = f"wait <<status=429 times=1 {header}>>", [f"tell me about number {i}" for i in range(6)]
    outcomes, log = ask(first, *others, concurrency=1)
    assert all(isinstance(o, Completion) for o in outcomes)
    times = [call["at"] for call in log["calls"]]
    assert times[1] - times[0] >= least
    _, log = ask("wait no longer <<status=429 times=1>>", concurrency=1)
    assert log["calls"][1]["at"] - log["calls"][0]["at"] < 1.2


def test_a_wait_of_an_hour_ends_the_run(ask: Callable[..., Any]) -> None:
    with pytest.raises(EndpointError, match="asks to wait 3600 s.*answers so far are kept"):
        ask("wait <<status=429 retry_after=3600>>")


def test_an_answer_that_never_comes_fails_in_time(ask: Callable[..., Any]) -> None:
    started = time.monotonic()
    (good, late), _ = ask("tell me about the sea", "tell me <<never>>", timeout_seconds=0.5, max_attempts=2)
    assert isinstance(good, Completion)
    assert late.error.startswith("timeout: no answer in 0.5 s")
    assert time.monotonic() - started < 6


def test_a_call_that_backs_off_holds_no_slot(ask: Callable[..., Any]) -> None:
    """One slot: the ten good calls are through while the first one waits for its second try."""
    chats = ["busy <<status=500 times=1>>", *(f"tell me about number {i}" for i in range(3))]
    _, log = ask(*chats, concurrency=1, backoff_seconds=1.0)
    order = [call["body"]["messages"][0]["content"] for call in log["calls"]]
    assert order[0] == order[-1] == chats[0]


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_calls_in_flight_than_allowed(ask: Callable[..., Any], limit: int) -> None:
    outcomes, log = ask(*(f"tell me about number {i}" for i in range(12)), seconds=0.05, concurrency=limit)
    assert all(isinstance(o, Completion) for o in outcomes)
    assert log["most_in_flight"] == limit


def test_requests_are_drawn_as_they_are_needed(chat_endpoint: Callable[..., Any], journal: Journal) -> None:
    """A million requests are never all in memory."""
    drawn, done = [0], [0]
    most_open = [0]

    def requests() -> Iterator[Request]:
        for number in range(100):
            drawn[0] += 1
            most_open[0] = max(most_open[0], drawn[0] - done[0])
            yield asking(f"tell me about number {number}")

    def count(number: int) -> None:
        done[0] += number

    asyncio.run(Client(Endpoint(chat_endpoint().base_url, concurrency=2), journal).ask_all(requests(), count))
    assert done[0] == drawn[0] == 100
    assert most_open[0] <= 2 * 4 + 1


def test_what_the_journal_holds_is_not_asked(chat_endpoint: Callable[..., Any], journal: Journal) -> None:
    server = chat_endpoint()
    requests = [asking(f"tell me about number {i}") for i in range(5)]
    client = Client(Endpoint(server.base_url), journal)
    asyncio.run(client.ask_all(requests[:3]))
    asyncio.run(client.ask_all([*requests, *requests]))
    assert len(server.log()["calls"]) == 5


def test_an_endpoint_that_does_not_answer_is_named_at_once(journal: Journal) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"  # bound, but nobody listens
        started = time.monotonic()
        with pytest.raises(EndpointError, match=f"{url} does not answer .*start its server or correct .*base_url"):
            asyncio.run(Client(Endpoint(url), journal).ask_all([asking("hello")]))
    assert time.monotonic() - started < 3


def test_an_endpoint_that_keeps_failing_ends_the_run(ask: Callable[..., Any]) -> None:
    with pytest.raises(EndpointError, match="failed 8 calls in a row.*http_500"):
        ask(*(f"number {i} <<status=500>>" for i in range(30)), concurrency=2, max_attempts=1)


@pytest.mark.parametrize(
    "status, remedy", [(401, "api_key_env"), (403, "api_key_env"), (404, "base_url"), (307, "redirects to")]
)
def test_a_hopeless_refusal_ends_the_run(ask: Callable[..., Any], status: int, remedy: str) -> None:
    with pytest.raises(EndpointError, match=f"http_{status}.*{remedy}"):
        ask(f"hello <<status={status}>>", *("tell me more" for _ in range(5)))


@pytest.mark.parametrize("told", ["status=401", "status=400", "status=500"])
def test_the_key_is_sent_and_kept_nowhere(
    ask: Callable[..., Any], journal: Journal, capfd: pytest.CaptureFixture[str], told: str
) -> None:
    """The endpoint quotes the key in its refusal, as some do."""
    endpoint = Endpoint("http://x/v1", key=SECRET)
    assert SECRET not in repr(endpoint)
    told_error = ""
    try:
        _, log = ask("tell me about the sea", f"tell me <<{told}>>", key=SECRET, concurrency=1)
        assert log["calls"][0]["authorization"] == f"Bearer {SECRET}"
    except EndpointError as error:
        told_error = str(error)
        assert "refused Bearer [key]" in told_error
    written = b"".join(file.read_bytes() for file in journal.path.parent.glob("j.sqlite*"))
    assert b"refused Bearer [key]" in written
    assert SECRET.encode() not in written
    assert SECRET not in told_error + "".join(capfd.readouterr())


def test_key_comes_from_the_named_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", f" {SECRET}\n")
    monkeypatch.delenv("NO_KEY", raising=False)
    assert key_from("") == ""
    assert key_from("A_KEY") == SECRET
    with pytest.raises(ValueError, match="NO_KEY .* is not set: export it"):
        key_from("NO_KEY")
    monkeypatch.setenv("A_KEY", "schl\u00fcssel")
    with pytest.raises(ValueError, match="A_KEY") as told:
        key_from("A_KEY")
    assert "schl" not in str(told.value)
