"""A lever's gate: how many messages may be on it at once, and when it is to be left alone.

A receiver that is down would otherwise hold every pair of hands for a timeout each. After a few
failures in a row the gate closes for a while, then lets one message through to see; the messages
it turned away were not attempted, and count no attempt.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from geoengine.core.units import MINUTE_MS, SECOND_MS
from geoengine.state.base import Leased

FAILURES_TO_CLOSE = 5  # fewer, and one bad message closes the road for the good ones
PAUSE_MIN_MS, PAUSE_MAX_MS = SECOND_MS, MINUTE_MS
WAITING_MAX = 1_024  # leased rows that wait in memory for their turn, a second's work or so


@dataclass(slots=True)
class Gate:
    """What is known of one lever; the dispatcher asks `room` before each start."""

    width: int  # messages on the lever at once
    in_hand: int = 0
    failures: int = 0  # in a row
    open_ms: int = 0  # closed until then
    waiting: deque[Leased] = field(default_factory=deque)  # the oldest first

    def takes(self, now_ms: int) -> bool:
        """Whether another row may wait here for its turn."""
        return now_ms >= self.open_ms and len(self.waiting) < WAITING_MAX

    def room(self, now_ms: int) -> int:
        """How many more messages may start now: one while the lever is being tried again."""
        if now_ms < self.open_ms:
            return 0
        width = 1 if self.failures >= FAILURES_TO_CLOSE else self.width
        return max(width - self.in_hand, 0)

    def succeeded(self) -> None:
        """The other side answers again."""
        self.failures = 0

    def failed(self, now_ms: int, retry_after_ms: int) -> None:
        """It did not, or asked to be left alone."""
        self.failures += 1
        pause_ms = 0
        if self.failures >= FAILURES_TO_CLOSE:
            doublings = min(self.failures - FAILURES_TO_CLOSE, 16)
            pause_ms = min(PAUSE_MIN_MS << doublings, PAUSE_MAX_MS)
        self.open_ms = max(self.open_ms, now_ms + pause_ms, now_ms + retry_after_ms)
