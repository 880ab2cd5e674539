"""Retry-After in both of its forms, and back-off within its bounds."""

import random

import pytest

from openseek.synthesis.retry import LONGEST_WAIT_SECONDS, backoff, retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    "header, seconds",
    [
        (None, None),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("Tue, 14 Nov 2023 22:14:00 GMT", 40.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_backoff_doubles_up_to_a_minute_with_jitter() -> None:
    jitter = random.Random(3)
    for attempt, longest in ((1, 2.0), (2, 4.0), (4, 16.0), (9, LONGEST_WAIT_SECONDS), (5000, LONGEST_WAIT_SECONDS)):
        waits = [backoff(attempt, 2.0, jitter) for _ in range(200)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(set(waits)) > 100
