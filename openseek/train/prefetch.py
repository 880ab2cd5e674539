"""Batches made ahead of their step by a background thread, while the model computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self


class Prefetch:
    """`batches(step)`, with up to `ahead` steps after the last one asked for being made already.

    batches: a pure function of the step; one thread calls it, in the order of the steps, so what comes out is the same.
    What it raises is raised at its own step. Use it in a `with` block, which ends the thread.
    """

    def __init__(self, batches: Callable[[int], Any], num_steps: int, ahead: int = 2) -> None:
        self._batches, self._num_steps, self._ahead = batches, num_steps, ahead
        self._waiting: dict[int, Future[Any]] = {}
        self._thread = ThreadPoolExecutor(1, "prefetch")

    def __call__(self, step: int) -> Any:
        """What `batches(step)` gives."""
        wanted = range(step, max(step + 1, min(step + 1 + self._ahead, self._num_steps)))
        for passed in [known for known in self._waiting if known not in wanted]:
            self._waiting.pop(passed).cancel()
        for number in wanted:
            if number not in self._waiting:
                self._waiting[number] = self._thread.submit(self._batches, number)
        return self._waiting.pop(step).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)
