"""Forgetting: the erased, whatever they have left where, and what is older than it is kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from uuid import uuid4

from geoengine.core.errors import StateUnavailable
from geoengine.state.shapes import Ages
from geoengine.state.shared.cards import SharedCards
from geoengine.state.shared.line.link import LibraryFault, Link
from geoengine.state.shared.names import Names
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.served.leases import Leases

_ASK_AGAIN_S: Final = 0.02  # while another process sends to somebody to be erased
_ERASE_WITHIN_S: Final = 30.0  # any message under way has ended by then
_TRIM_ROWS: Final = 1_000


class Forgetting:
    """Drops what must not be kept."""

    def __init__(
        self,
        link: Link,
        partitions: Partitions,
        names: Names,
        cards: SharedCards,
        leases: Leases,
        process: str,
    ) -> None:
        self.has_erased = False  # and the servers' files still know
        self._link = link
        self._partitions = partitions
        self._names = names
        self._cards = cards
        self._leases = leases
        self._process = process

    async def erase(self, person_id: str, devices: list[str], now_ms: int) -> bool:
        """Forget a person and their devices, once no other process is sending to them.

        Returns whether there was anything.
        """
        try:
            async with asyncio.timeout(_ERASE_WITHIN_S):
                _, names = await self._erase(person_id, devices, now_ms, is_final=False)
                await self._leave_homes(person_id, [*devices, *names])
                was_there, names = await self._erase(person_id, devices, now_ms, is_final=True)
        except TimeoutError:
            raise StateUnavailable("another process is still sending to this person") from None
        await self._leave_homes(person_id, names)
        has_owned = await self._cards.erase(person_id) > 0
        self.has_erased = True
        return was_there or has_owned

    async def _erase(
        self, person_id: str, devices: list[str], now_ms: int, *, is_final: bool
    ) -> tuple[bool, list[str]]:
        """Wait until nobody is sending to a person, and forget what their partition has of them.

        Returns whether there was anything, and the names bound there; before the final call
        nothing is forgotten.
        """
        number, op, gone = self._partitions.of(person_id), uuid4().hex, {self._process}
        while True:
            request = {number: (person_id, devices, sorted(gone), now_ms, op, is_final)}
            replies = await self._partitions.call("erase", request, is_write=is_final)
            sending, was_there, names = replies[number]
            if not sending:
                return bool(was_there), [name.decode() for name in names]
            alive = await self._leases.alive()
            gone |= {name.decode() for name in sending if name.decode() not in alive}
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _leave_homes(self, person_id: str, names: list[str]) -> None:
        """Let the homes of names know that they stand for this person no more."""
        homes = self._partitions.split(dict.fromkeys(names), str)
        requests = {p: [[name, person_id] for name in mine] for p, mine in homes.items()}
        await self._partitions.call("leave_home", requests, is_write=True)
        for name in names:
            self._names.learn(name, name)

    async def trim(self, ages: Ages) -> int:
        """Drop settled rows, decisions and facts older than they are kept, and cards that have had
        their day; how many. Operation ids and last fixes bound themselves. What was erased since
        goes from the servers' files too.
        """
        total, numbers = await self._cards.trim(ages.now_ms), list(range(self._partitions.count))
        before_ms = (ages.settled_before_ms, ages.decisions_before_ms, ages.facts_before_ms)
        while numbers:
            request = (*before_ms, _TRIM_ROWS)
            replies = await self._partitions.call("trim", dict.fromkeys(numbers, request))
            total += sum(count for count, _ in replies.values())
            numbers = [number for number, (_, has_more) in replies.items() if has_more]
        if self.has_erased:
            # Refused where one is under way, or where we may not: then it goes with a later one.
            with suppress(StateUnavailable, LibraryFault):
                await self._link.everywhere("BGREWRITEAOF")
                self.has_erased = False
        return total
