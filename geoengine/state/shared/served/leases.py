"""Who serves which partition: processes that say every few seconds that they live.

Each holds its share of the partitions; what a process held is to be had once it has been silent for
`SILENT_MS`, which nobody is blamed for while the server itself was away. A process believes that it
holds something only for as long as nobody else can: one that was asleep knows when it wakes. Rows
in the hands of a process that is no more are freed by whoever serves their partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from geoengine.core.errors import StateUnavailable
from geoengine.state.shared.line.link import Call, Link

BEAT_S: Final = 2.0
SILENT_MS: Final = 7_000  # and so a dead one's work is another's within 10 s
_MARGIN_S: Final = 0.5

OnChange = Callable[[list[int]], Awaitable[None]]


class Leases:
    """This process's share of the partitions."""

    def __init__(self, link: Link, process: str, count: int, on_change: OnChange) -> None:
        """``on_change`` hears of partitions to look through: new ones, all when somebody died."""
        self._link = link
        self._process = process
        self._count = count
        self._on_change = on_change
        self._keys = tuple(f"{link.prefix}:{{all}}:{key}" for key in ("members", "leases", "grace"))
        self._held: tuple[int, ...] = ()
        self._alive: frozenset[str] = frozenset()
        self._until_s = 0.0
        self._unseen: set[int] = set()  # to be looked through
        self._beating: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether nobody can take this process for dead, at this moment."""
        return asyncio.get_running_loop().time() < self._until_s

    @property
    def held(self) -> tuple[int, ...]:
        """The partitions that are this process's to serve, at this moment."""
        return self._held if self.is_alive else ()

    async def start(self) -> None:
        """Take a share, and keep it until `stop`."""
        await self._beat()
        self._beating = asyncio.create_task(self._run(), name="leases")
        await self._look()

    async def stop(self) -> None:
        """Leave what is held to others, at once."""
        tasks = [task for task in (self._beating, self._looking) if task is not None]
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._beating, self._looking, self._held = None, None, ()
        with suppress(StateUnavailable):
            await self._link.call([Call("leave", self._keys, (self._process,))], is_write=False)

    async def alive(self) -> frozenset[str]:
        """The processes that live, asked this moment."""
        call = Call("members", self._keys, (SILENT_MS,))
        (names,) = await self._link.call([call], is_write=False)
        return frozenset(name.decode() for name in names)

    async def holders(self) -> dict[int, str]:
        """Who holds each partition, dead or alive."""
        pairs = await self._link.command("HGETALL", self._keys[1], key=self._keys[1])
        return {int(number): name.decode() for number, name in _pairs(pairs)}

    async def beat_ages_ms(self) -> dict[str, int]:
        """How long ago each process last said that it lives, by the servers' clock; of those that
        are no more too, for some minutes.
        """
        key = self._keys[0]
        said = await self._link.command("HGETALL", key, key=key)
        seconds, micros = await self._link.command("TIME", key=key)
        now_ms = int(seconds) * 1_000 + int(micros) // 1_000
        return {name.decode(): now_ms - int(at_ms) for name, at_ms in _pairs(said)}

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(StateUnavailable):  # then what is held runs out by itself
                await self._beat()
            if self._looking is not None and self._looking.done():
                self._looking.result()
                self._looking = None
            if self._unseen and self._looking is None:
                # Beside the beat: who is held up there must not seem dead.
                self._looking = asyncio.create_task(self._look(), name="looking through")

    async def _look(self) -> None:
        """Look through what changed hands; what cannot be now is looked through later."""
        numbers, self._unseen = self._unseen, set()
        try:
            await self._on_change([number for number in self._held if number in numbers])
        except StateUnavailable:
            self._unseen |= numbers

    async def _beat(self) -> None:
        began_s = asyncio.get_running_loop().time()
        call = Call("hold", self._keys, (self._process, SILENT_MS, self._count))
        # A beat that only a master knew that has failed since was none: replicas hold it.
        ((names, numbers),) = await self._link.call([call], is_write=True)
        before, alive = set(self._held), frozenset(name.decode() for name in names)
        has_lost = bool(self._alive - alive)
        self._held, self._alive = tuple(numbers), alive
        self._until_s = began_s + SILENT_MS / 1_000 - _MARGIN_S
        self._unseen.update(p for p in numbers if has_lost or p not in before)


def _pairs(reply: list[bytes] | dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Fields and values of a hash, whichever protocol told them."""
    if isinstance(reply, dict):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True))
