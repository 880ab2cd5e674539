"""How long to wait before another try."""

import random
import time
from email.utils import parsedate_to_datetime

LONGEST_WAIT_SECONDS = 60.0


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait (a number, or an HTTP date); None when absent or not readable."""
    if value is None:
        return None
    value = value.strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except ValueError:
            return None
    # "nan" and "inf" are floats too, and no wait.
    return max(0.0, seconds) if seconds < float("inf") else None


def backoff(attempt: int, first_seconds: float, jitter: random.Random) -> float:
    """Wait after failed try number `attempt` (from 1): doubled each time up to a minute, between half and all of it."""
    longest = min(first_seconds * 2 ** min(attempt - 1, 30), LONGEST_WAIT_SECONDS)
    return longest * jitter.uniform(0.5, 1.0)
