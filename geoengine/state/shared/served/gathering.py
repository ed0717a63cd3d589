"""What many ask for in the same turn of the event loop is asked of the servers together.

A burst of messages begins and settles row by row, each in a task of its own; a call for each would
cost more than the rows do, and where the log is synced a sync as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gathering(Generic[Item, Answer]):
    """One question for all; each who asks gets the answer to all that were asked with theirs."""

    def __init__(self, ask: Callable[[list[Item]], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._items: list[Item] = []
        self._asking: asyncio.Task[Answer] | None = None

    async def of(self, items: list[Item]) -> Answer:
        """Ask, with whoever else does so now. Raises what asking raises, to all of them."""
        self._items += items
        if self._asking is None:
            self._asking = asyncio.create_task(self._go(), name="gathering")
            self._asking.add_done_callback(_hear)
        # Who is cut off does not take the others along.
        return await asyncio.shield(self._asking)

    async def _go(self) -> Answer:
        items, self._items, self._asking = self._items, [], None
        return await self._ask(items)


def _hear(task: asyncio.Task[Answer]) -> None:
    """Even where nobody waits any more."""
    if not task.cancelled():
        task.exception()
