"""Once more on what is there by now, as long as somebody else was faster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from geoengine.core.errors import StateConflict
from geoengine.state.base import Card, Cards

TRIES: Final = 60  # what changes under us this often belongs to somebody stuck in a loop
# Who lost tries again at once; who keeps losing waits, at random, for longer and longer.
_AT_ONCE_TRIES: Final = 3
_PAUSE_MIN_S: Final = 0.001
_PAUSE_MAX_S: Final = 0.05

T = TypeVar("T")

# Those who would change one card take turns in a process: of fifty who try at once forty-nine would
# lose, and all of them try again.
_turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()


async def pause(tries: int) -> None:
    """Let others go first, after so many tries."""
    most_s = min(_PAUSE_MIN_S * 2 ** max(tries - _AT_ONCE_TRIES, 0), _PAUSE_MAX_S)
    await asyncio.sleep(random.uniform(0, most_s) if tries >= _AT_ONCE_TRIES else 0)


async def until_agreed(once: Callable[[], Awaitable[T]]) -> T:
    """Do it again on what is there by now, as long as somebody else was faster."""
    for tries in range(1, TRIES):
        with suppress(StateConflict):
            return await once()
        await pause(tries)
    return await once()


async def amend_card(
    state: Cards, name: str, change: Callable[[Card], Card | None], now_ms: int
) -> Card:
    """Load one card, change it, put it; again on a conflict. The card as it is then.

    ``change`` is given a card without a body where there is none, gives nothing back to leave it as
    it is, and must be repeatable: only what it made of the card the last time has happened.
    """

    async def once() -> Card:
        card = (await state.cards([name])).get(name) or Card(name, b"")
        changed = change(card)
        return card if changed is None else await state.put_card(changed, now_ms)

    async with _turns.setdefault((id(state), name), asyncio.Lock()):
        return await until_agreed(once)
