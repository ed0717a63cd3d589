"""A lane's gate: how many messages may be on it at once and how many a second, and when it is to
be left alone.

A receiver that is down would otherwise hold every pair of hands for a timeout each. After a few
failures in a row the gate closes for a while, then lets one message through to see; the messages
it turned away were not attempted, and count no attempt. They come back one behind the other, as
fast as the lane would take them, and not all at once.
"""

from __future__ import annotations

from collections import deque

from geoengine.core.units import MINUTE_MS, SECOND_MS
from geoengine.levers.base import Lane, Lever, Limits
from geoengine.state.base import Leased

FAILURES_TO_CLOSE = 5  # fewer, and one bad message closes the road for the good ones
PAUSE_MIN_MS, PAUSE_MAX_MS = SECOND_MS, MINUTE_MS
WAITING_MAX = 1_024  # leased rows that wait in memory for their turn, a second's work or so
WAITING_S = 2.0  # as many wait as a limited lane takes in this time: far less than a lease
BUSY_MS = 1_000  # how long a row is left alone that found no place before its lane
# How fast those come back that were turned away from a lane without a limit: faster, and a hundred
# thousand rows for a dead endpoint would be leased and put back every second.
BACK_PER_S = 1_000.0


class Gate:
    """What is known of one lane; the dispatcher asks `room` before each start."""

    __slots__ = (
        "_back_ms",
        "_burst",
        "_filled_ms",
        "_per_s",
        "_tokens",
        "_width",
        "failures",
        "in_hand",
        "lever",
        "name",
        "open_ms",
        "waiting",
    )  # fmt: skip

    def __init__(self, lever: Lever, lane: Lane, width_max: int) -> None:
        limits: Limits = lane.limits
        self.lever, self.name = lever, lane.name
        self.in_hand = 0
        self.failures = 0  # in a row
        self.open_ms = 0  # closed until then
        self.waiting: deque[Leased] = deque()  # the oldest first
        self._width = min(limits.width, width_max)
        self._per_s = limits.per_s
        self._burst = limits.burst or max(int(limits.per_s / 10), 1)
        self._tokens, self._filled_ms = float(self._burst), 0
        self._back_ms = 0.0  # when the row that was turned away last comes back

    def takes(self, now_ms: int) -> bool:
        """Whether another row may wait here for its turn."""
        most = WAITING_MAX
        if self._per_s:
            most = min(most, self._burst + int(self._per_s * WAITING_S))
        return now_ms >= self.open_ms and len(self.waiting) < most

    def room(self, now_ms: int) -> int:
        """How many more messages may start now: one while the lane is being tried again."""
        if now_ms < self.open_ms:
            return 0
        width = 1 if self.failures >= FAILURES_TO_CLOSE else self._width
        room = max(width - self.in_hand, 0)
        return min(room, self._allowance(now_ms)) if self._per_s else room

    def start(self) -> Leased:
        """The row whose turn it is, in hand from now on."""
        self.in_hand += 1
        self._tokens -= 1.0
        return self.waiting.popleft()

    def spared(self) -> None:
        """What started was stopped before it was sent: the provider's rate has room for another."""
        self._tokens = min(self._tokens + 1.0, float(self._burst))

    def wait_ms(self) -> int | None:
        """How long until the next one may start, if it is only the rate that holds it up."""
        if not self._per_s or not self.waiting or self._tokens >= 1.0:
            return None
        return int((1.0 - self._tokens) / self._per_s * SECOND_MS) + 1

    def back_ms(self, now_ms: int) -> int:
        """When a row that is turned away now is to come back."""
        pace_ms = SECOND_MS / (self._per_s or BACK_PER_S)
        earliest_ms = max(now_ms + BUSY_MS // 2, self.open_ms)
        self._back_ms = max(self._back_ms, earliest_ms) + pace_ms
        return int(self._back_ms)

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

    def _allowance(self, now_ms: int) -> int:
        """How many the rate allows now."""
        passed_ms = max(now_ms - self._filled_ms, 0)
        self._filled_ms = now_ms
        self._tokens = min(self._tokens + passed_ms * self._per_s / SECOND_MS, float(self._burst))
        return int(self._tokens)
