"""When to try again: two schedules, jitter, and the end of a message's time.

Standard Webhooks' example schedule where there are days; a faster one where a message about a
person near a door is worth nothing an hour later.
"""

from __future__ import annotations

import random
from typing import Final

from geoengine.core.units import HOUR_MS, MINUTE_MS, SECOND_MS

# Waits between attempts. Standard Webhooks: ten attempts over 75 h 35 min.
LONG_MS: Final = (
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
)
# Eight attempts, and a last one before the end, within the default 15 minutes of a trigger.
SHORT_MS: Final = tuple(seconds * SECOND_MS for seconds in (1, 5, 15, 60, 120, 300, 300))
SHORT_LIFE_MS: Final = HOUR_MS  # up to this long a life, the short schedule

# The last attempt starts this long before the end, however the jitter fell.
LAST_CHANCE_MS: Final = 5 * SECOND_MS


def schedule_ms(life_ms: int) -> tuple[int, ...]:
    """The waits between the attempts of a message that lives this long."""
    return SHORT_MS if life_ms <= SHORT_LIFE_MS else LONG_MS


def wait_ms(waits_ms: tuple[int, ...], attempts: int, rng: random.Random) -> int | None:
    """How long to wait after so many attempts; None when they are used up.

    The jitter is spread over everything between the wait before and this one: as wide as it can
    be without ever coming sooner than last time, so that ten attempts outlast a day's outage
    however the dice fall.
    """
    if attempts > len(waits_ms):
        return None
    before_ms = waits_ms[attempts - 2] if attempts > 1 else 0
    return round(rng.uniform(before_ms, waits_ms[attempts - 1]))


def next_attempt_ms(
    now_ms: int,
    life_ms: tuple[int, int],
    attempts: int,
    retry_after_ms: int,
    rng: random.Random,
) -> int | None:
    """When a message may be tried again after a failed attempt; None when it is over.

    Parameters
    ----------
    life_ms
        When the message was made and when it expires.
    attempts
        How many were made, this one included.
    retry_after_ms
        How long the provider wants to be left alone: never undercut, also for the last chance.
    """
    created_ms, expires_ms = life_ms
    drawn_ms = wait_ms(schedule_ms(expires_ms - created_ms), attempts, rng)
    if drawn_ms is None:
        return None
    earliest_ms = now_ms + retry_after_ms
    due_ms = max(now_ms + drawn_ms, earliest_ms)
    if due_ms < expires_ms:
        return due_ms
    last_ms = expires_ms - LAST_CHANCE_MS
    return last_ms if last_ms > now_ms and last_ms >= earliest_ms else None
