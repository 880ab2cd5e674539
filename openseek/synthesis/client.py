"""A client for OpenAI-compatible chat endpoints: bounded, patient, and never asking twice what its journal answers.

A call waits for its turn in a bounded window, holds a slot only while it is in flight (never while it backs off),
and ends as an answer or a failure in the journal.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from openseek.synthesis.completion import Completion, Failure, Request, read_completion
from openseek.synthesis.journal import Journal
from openseek.synthesis.retry import backoff, retry_after

MAX_BODY_BYTES = 16 << 20
MAX_RETRY_AFTER_SECONDS = 900.0
MAX_FAILURES_IN_A_ROW = 8
_WINDOW = 4
"""Calls known to the client, in flight or backing off, for each slot."""
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_HOPELESS = {
    401: "the endpoint wants another key: set the environment variable that api_key_env names",
    403: "the key may not use this model: set the environment variable that api_key_env names, or another model",
    404: "check base_url (it ends with /v1) and model",
    405: "check base_url: nothing there takes chat completions",
}


class EndpointError(ValueError):
    """No call can succeed: the endpoint does not answer, refuses the key, or knows no such model."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and how patiently."""

    base_url: str
    """Up to and with /v1."""
    key: str = field(default="", repr=False)
    """Sent as the bearer token, kept nowhere."""
    concurrency: int = 16
    """Calls in flight at a time."""
    max_attempts: int = 6
    """Tries of one call."""
    timeout_seconds: float = 180.0
    """Longest wait for one answer."""
    backoff_seconds: float = 1.0
    """Wait after a first failed try."""

    def url(self, path: str) -> str:
        """Address of `path` below the base."""
        return f"{self.base_url.rstrip('/')}/{path}"


def key_from(variable: str) -> str:
    """The key in the environment variable `variable`; "" without a name. ValueError when it is not set."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ValueError(
            f"the environment variable {variable} (synthesize.api_key_env) is not set: "
            f"export it with the endpoint's key"
        )
    if not key.isascii() or not key.isprintable():
        raise ValueError(
            f"the environment variable {variable} (synthesize.api_key_env) holds characters that no HTTP header takes"
        )
    return key


class Client:
    """Asks one endpoint; every outcome goes into the journal."""

    def __init__(self, endpoint: Endpoint, journal: Journal) -> None:
        self.endpoint, self.journal = endpoint, journal
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._jitter = random.Random()
        self._resume_at = 0.0
        self._failures_in_a_row = 0
        self._answered = False

    async def ask_all(self, requests: Iterable[Request], done: Callable[[int], None] = lambda count: None) -> None:
        """Bring every request to an outcome in the journal; `done(1)` is called for each, also for those already there.

        Raises EndpointError as soon as no call can succeed; the answers so far are kept.
        """
        window = asyncio.Semaphore(_WINDOW * self.endpoint.concurrency)

        async def one(key: str, request: Request) -> None:
            try:
                await self._ask(key, request)
                done(1)
            finally:
                window.release()

        try:
            async with self._session() as session, asyncio.TaskGroup() as group:
                self._http = session
                reached = False
                begun: set[str] = set()
                for request in requests:
                    key = request.key()
                    if key in begun or self.journal.outcome(key) is not None:
                        done(1)
                        continue
                    if not reached:
                        await self._check_reachable()
                        reached = True
                    begun.add(key)
                    await window.acquire()
                    group.create_task(one(key, request))
        except BaseExceptionGroup as errors:
            # All of them tell of the same endpoint; one message is clearer than a tree of them.
            error = _first(errors)
            raise error from error.__cause__

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}
        seconds = self.endpoint.timeout_seconds
        return aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, 10.0)),
            connector=aiohttp.TCPConnector(limit=self.endpoint.concurrency),
            # A proxy set for the outside world must not be asked for this host's own servers.
            trust_env=urlsplit(self.endpoint.base_url).hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    async def _check_reachable(self) -> None:
        """One look before the first call: a wrong address fails in seconds, not after all retries."""
        url = self.endpoint.url("models")
        timeout = aiohttp.ClientTimeout(total=min(self.endpoint.timeout_seconds, 20.0))
        try:
            async with self._http.get(url, timeout=timeout, allow_redirects=False):
                return
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException | str) -> EndpointError:
        what = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return EndpointError(
            f"the endpoint {self.endpoint.base_url} does not answer ({what}): start its server or correct "
            f"synthesize.base_url, then run again; answers so far are kept"
        )

    async def _ask(self, key: str, request: Request) -> None:
        for attempt in range(1, self.endpoint.max_attempts + 1):
            outcome = await self._try(request)
            if isinstance(outcome, Completion):
                self._failures_in_a_row, self._answered = 0, True
                self.journal.answer(key, outcome)
                return
            self.journal.wasted(key, outcome)
            if outcome.fatal:
                raise EndpointError(f"the endpoint {self.endpoint.base_url} refuses: {outcome.error}")
            wait = self._wait(attempt, outcome)
            if not outcome.retry or attempt == self.endpoint.max_attempts:
                self._give_up(key, outcome)
                return
            await asyncio.sleep(wait)

    async def _try(self, request: Request) -> Completion | Failure:
        """One call over the wire, as soon as a slot is free and no pause is asked for."""
        while True:
            async with self._slots:
                if (pause := self._resume_at - time.monotonic()) <= 0:
                    return await self._send(request)
            await asyncio.sleep(pause)

    async def _send(self, request: Request) -> Completion | Failure:
        try:
            async with self._http.post(
                self.endpoint.url("chat/completions"), json=request.payload(), allow_redirects=False
            ) as response:
                body = await _read(response.content)
                # Some servers quote the key in their errors; it must reach neither journal nor message.
                body = body.replace(self.endpoint.key.encode(), b"[key]") if self.endpoint.key else body
                return (
                    read_completion(body)
                    if response.status == 200
                    else _refusal(response.status, response.headers, body)
                )
        except aiohttp.ClientConnectorError as error:
            return Failure(f"unreachable: {error}", retry=True, reached=False)
        except TimeoutError:
            return Failure(f"timeout: no answer in {self.endpoint.timeout_seconds:g} s", retry=True)
        except aiohttp.ClientError as error:
            return Failure(f"connection_lost: {type(error).__name__}: {error}", retry=True)

    def _wait(self, attempt: int, failure: Failure) -> float:
        """Seconds until the next try; a Retry-After pauses all calls, since the limit is the endpoint's."""
        wait = backoff(attempt, self.endpoint.backoff_seconds, self._jitter)
        if failure.retry_after is None:
            return wait
        if failure.retry_after > MAX_RETRY_AFTER_SECONDS:
            raise EndpointError(
                f"the endpoint {self.endpoint.base_url} asks to wait {failure.retry_after:.0f} s ({failure.error}): "
                f"run again then; answers so far are kept"
            )
        self._resume_at = max(self._resume_at, time.monotonic() + failure.retry_after)
        return failure.retry_after + wait * 0.1

    def _give_up(self, key: str, failure: Failure) -> None:
        if not failure.reached:
            raise self._unreachable(failure.error)
        self.journal.failed(key, failure)
        # Once there are answers, a refusal of one request (too long, say) tells nothing about the others.
        self._failures_in_a_row += failure.retry or not self._answered
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise EndpointError(
                f"the endpoint {self.endpoint.base_url} failed {self._failures_in_a_row} calls in a row, with up to "
                f"{self.endpoint.max_attempts} tries each (last: {failure.error}): look at its log, then run again; "
                f"answers so far are kept"
            )


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    text = body[:4096].decode("utf-8", errors="replace")
    error = f"http_{status}: {' '.join(text.split())[:300]}"
    if 300 <= status < 400:
        return Failure(
            f"{error} redirects to {headers.get('Location', '?')}: set base_url to that", retry=False, fatal=True
        )
    if status in _HOPELESS:
        return Failure(f"{error} ({_HOPELESS[status]})", retry=False, fatal=True, body=text)
    return Failure(error, status in _RETRIED, retry_after(headers.get("Retry-After")), body=text)


async def _read(stream: aiohttp.StreamReader) -> bytes:
    """A response's body; what goes beyond any sensible answer is cut off, and then fails as invalid JSON."""
    parts, size = [], 0
    async for part in stream.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            break
    return b"".join(parts)


def _first(errors: BaseExceptionGroup) -> BaseException:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
