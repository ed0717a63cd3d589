"""Messages on their way into the intake: of one sender one after the other, until they are durable.

A lane is what one device or gateway has sent, in the order in which it came. Its first messages are
on their way; the next go when those are committed, all that wait by then together. So a message
that was refused, because the intake is full or the state away, is never overtaken by the one after
it: it stays where it is, and is tried again after a pause.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from geoengine.ingest.reports import Decoded
from geoengine.service.brokers.line import Letter
from geoengine.service.brokers.topics import Whose

FIRST_PAUSE_S: Final = 0.1  # after a refusal; doubles with each ...
LONGEST_PAUSE_S: Final = 10.0  # ... up to this
TOGETHER: Final = 100  # messages of one sender in one post


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a message reports, before it is committed."""

    whose: Whose
    letter: Letter
    decoded: Decoded
    recv_ms: int


Enter = Callable[[Sequence[Parcel]], Awaitable[None]]  # returns once what they report is durable


class Lanes:
    """All that a connection has brought and that is not durable yet."""

    def __init__(
        self,
        enter: Enter,
        is_passing: Callable[[Exception], bool],
        on_done: Callable[[Parcel, Exception | None], None],
    ) -> None:
        self._enter = enter
        self._is_passing = is_passing  # whether what was refused will be taken after a while
        self._on_done = on_done
        self._lanes: dict[str, deque[Parcel]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()
        self.held_count = 0
        self.held_bytes = 0

    def put(self, parcel: Parcel) -> None:
        """Take a message in; `on_done` says when it is durable, or why it never will be."""
        self.held_count += 1
        self.held_bytes += len(parcel.letter.body)
        lane = self._lanes.get(parcel.whose.speaker)
        if lane is not None:
            lane.append(parcel)
            return
        lane = self._lanes[parcel.whose.speaker] = deque([parcel])
        task = asyncio.create_task(self._serve(parcel.whose.speaker, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Begin nothing any more; what is in hand ends as it may."""
        self._closed.set()

    async def ended(self, timeout_s: float) -> None:
        """Wait until nothing is in hand, for so long at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def _serve(self, key: str, lane: deque[Parcel]) -> None:
        """The life of a lane: until it is empty, or all lanes are closed."""
        most, pause_s = TOGETHER, 0.0
        while lane and not self._closed.is_set():
            first = list(islice(lane, most))
            error = await self._refusal(first)
            if error is not None and self._is_passing(error):
                pause_s = min(max(2 * pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
                await self._pause(random.uniform(pause_s / 2, pause_s))
            elif error is not None and len(first) > 1:
                most = 1  # one of them stops all: the others shall not suffer for it
            else:
                self._settle(lane, len(first), error)
                pause_s = 0.0
        del self._lanes[key]

    async def _pause(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._closed.wait()

    async def _refusal(self, parcels: Sequence[Parcel]) -> Exception | None:
        try:
            await self._enter(parcels)
        except Exception as error:
            return error
        return None

    def _settle(self, lane: deque[Parcel], count: int, error: Exception | None) -> None:
        for _ in range(count):
            parcel = lane.popleft()
            self.held_count -= 1
            self.held_bytes -= len(parcel.letter.body)
            self._on_done(parcel, error)
