"""Who puts writes on the shelf: a thread of its own for a disk, the caller itself for memory.

Group commit: while one group is being synced, commits queue up and make the next one. No timer
adds latency, and the sync is shared by as many as came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from geoengine.core.errors import StateUnavailable
from geoengine.state.embedded.shelf.base import Shelf
from geoengine.state.embedded.writes import Broken, DiskFull, News, Write

_GROUP_LIMIT = 500  # commits that share one sync; more would make the first wait for the last

T = TypeVar("T")


@dataclass(slots=True)
class Ticket:
    """A write on its way, and what to do on the event loop when its fate is known."""

    write: Write
    landed: Callable[[News], None]
    failed: Callable[[Exception], None]


@dataclass(slots=True)
class _Errand:
    """Anything else the shelf is to do, in its turn."""

    run: Callable[[], None]
    is_last: bool = False


class Writer(Protocol):
    """The only one who touches the shelf."""

    broken: Exception | None

    def start(self) -> None:
        """Begin; called on the event loop."""
        ...

    def submit(self, ticket: Ticket) -> None:
        """Put a write away; the ticket hears of it, in the order of submission."""
        ...

    async def call(self, function: Callable[..., T], *values: Any) -> T:
        """Have the shelf do something else, after all writes submitted before."""
        ...

    async def stop(self, last: Callable[[], None]) -> None:
        """Do ``last`` after everything submitted, and end."""
        ...


class DirectWriter:
    """For a shelf that cannot block."""

    def __init__(self, shelf: Shelf) -> None:
        self.broken: Exception | None = None
        self._shelf = shelf

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, ticket: Ticket) -> None:
        """At once."""
        ticket.landed(self._shelf.write([ticket.write])[0])

    async def call(self, function: Callable[..., T], *values: Any) -> T:
        """At once."""
        return function(*values)

    async def stop(self, last: Callable[[], None]) -> None:
        """At once."""
        last()


class ThreadWriter:
    """For a shelf that waits for a disk."""

    def __init__(self, shelf: Shelf) -> None:
        self.broken: Exception | None = None
        self._shelf = shelf
        self._queue: SimpleQueue[Ticket | _Errand] = SimpleQueue()

    def start(self) -> None:
        """Start the thread. It does not keep the process alive: whoever crashes crashes."""
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._work, name="geoengine-state", daemon=True)
        self._thread.start()

    def submit(self, ticket: Ticket) -> None:
        """Queue a write."""
        self._queue.put(ticket)

    async def call(self, function: Callable[..., T], *values: Any) -> T:
        """Queue an errand and wait for its result."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Errand(lambda: self._run_errand(future, function, values)))
        return await asyncio.shield(future)

    async def stop(self, last: Callable[[], None]) -> None:
        """Queue the last errand and wait for it."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Errand(lambda: self._run_errand(future, last, ()), is_last=True))
        try:
            await asyncio.shield(future)
        finally:
            self._thread.join()

    def _work(self) -> None:
        errand: _Errand | None = None
        while errand is None or not errand.is_last:
            tickets, errand = self._gather()
            if tickets:
                self._commit(tickets)
            if errand is not None:
                errand.run()

    def _gather(self) -> tuple[list[Ticket], _Errand | None]:
        """Whatever waits, up to the limit or to the first errand; at least one thing."""
        tickets: list[Ticket] = []
        item = self._queue.get()
        while isinstance(item, Ticket):
            tickets.append(item)
            if len(tickets) == _GROUP_LIMIT:
                return tickets, None
            try:
                item = self._queue.get_nowait()
            except Empty:
                return tickets, None
        return tickets, item

    def _commit(self, tickets: list[Ticket]) -> None:
        try:
            self._refuse_if_broken()
            news = self._shelf.write([ticket.write for ticket in tickets])
        except DiskFull as error:
            self._relieve(tickets, error)
        except Exception as error:
            self._note(error)
            self._answer(_fail, tickets, error)
        else:
            self._answer(_land, tickets, news)
            self._copy_log()

    def _relieve(self, tickets: list[Ticket], error: DiskFull) -> None:
        """The disk is full: what frees or withdraws still goes through, once there is a reserve."""
        urgent = [ticket for ticket in tickets if ticket.write.is_relief]
        others = [ticket for ticket in tickets if not ticket.write.is_relief]
        if others:
            self._answer(_fail, others, error)
        if not urgent:
            return
        if others or self._shelf.relieve():
            self._commit(urgent)
        else:
            self._answer(_fail, urgent, error)

    def _copy_log(self) -> None:
        try:
            self._shelf.copy_log()
        except Exception as error:
            self._note(error)

    def _run_errand(
        self, future: asyncio.Future[T], function: Callable[..., T], values: Any
    ) -> None:
        try:
            result = self._with_reserve(function, values)
        except Exception as error:
            self._note(error)
            self._answer(_set_exception, future, error)
        else:
            self._answer(_set_result, future, result)

    def _with_reserve(self, function: Callable[..., T], values: Any) -> T:
        try:
            return function(*values)
        except DiskFull:
            if not self._shelf.relieve():
                raise
            return function(*values)

    def _refuse_if_broken(self) -> None:
        if self.broken is not None:
            raise StateUnavailable(str(self.broken)) from self.broken

    def _note(self, error: Exception) -> None:
        """After a failed sync nobody knows what is on the disk: never sync again and say yes."""
        if isinstance(error, Broken):
            self.broken = self.broken or error

    def _answer(self, function: Callable[..., None], *values: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *values)
        except RuntimeError:
            # The loop was closed without closing the state: nobody is left to be answered.
            return


def _land(tickets: list[Ticket], news: list[News]) -> None:
    for ticket, one in zip(tickets, news, strict=True):
        ticket.landed(one)


def _fail(tickets: list[Ticket], error: Exception) -> None:
    for ticket in tickets:
        ticket.failed(error)


def _set_result(future: asyncio.Future[T], result: T) -> None:
    future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    future.set_exception(error)
