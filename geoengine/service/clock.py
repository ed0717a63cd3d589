"""The one place that reads the clock; everybody else is handed the time."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since the Unix epoch, by this machine's clock."""
    return time.time_ns() // 1_000_000


def elapsed_s() -> float:
    """Seconds since some fixed moment; never steps back, for measuring and for intervals."""
    return time.monotonic()
