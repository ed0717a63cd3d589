"""What a message still needs before it leaves, and what may still stop it.

Asked between the moment a row is begun and the last question of the rules, each time it is tried:
whoever answers gives the same answer for the same row, whatever happened in between.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from geoengine.core.record import Record, Send


class Prepared(NamedTuple):
    """The message as it may leave, or why it may not: a reason ends it, as a rule's does."""

    send: Send
    why_not: str = ""


class Preparer(Protocol):
    """One thing that is done about a message before it leaves."""

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """Make it ready. Raises `StateUnavailable` where it cannot be told just now: it is then
        tried again later.
        """
        ...
