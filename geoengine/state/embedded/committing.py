"""The way of a commit to the shelf: compared and packed on the event loop, put away by the writer,
applied to memory when it is on the disk.

Meanwhile the people it is about are *held*: another commit on them waits its turn, and then
compares versions. Nobody ever reads what may still be rolled back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.state.base import Commit
from geoengine.state.embedded.commits import Memory, people_of
from geoengine.state.embedded.held.ops import OpLog, digest
from geoengine.state.embedded.shelf.cards import CardCache, card_of
from geoengine.state.embedded.writer import Ticket, Writer
from geoengine.state.embedded.writes import News, Write

# Changes that need not be durable ride along with those that do, so many at a time: more would make
# the commit they ride with wait.
_PASSENGERS = 32
_CHECKPOINT_ROWS = 1_000


class Committer:
    """Brings what is to be kept to the shelf, and tells memory."""

    def __init__(
        self,
        memory: Memory,
        cards: CardCache,
        writer: Writer,
        require_usable: Callable[[], None],
        pending_limit: int,
    ) -> None:
        self.ops = OpLog()
        self.held: dict[str, asyncio.Future[None]] = {}
        self._memory = memory
        self._cards = cards
        self._writer = writer
        self._require_usable = require_usable
        self._pending_limit = pending_limit

    async def commit(self, commit: Commit) -> None:
        """Write it, less the part of those whom `StateConflict` names. Or `StateUnavailable`."""
        op = digest(commit.op_id)
        if self.ops.is_done(op):
            return
        first = self.ops.in_flight(op)
        if first is not None:
            await asyncio.shield(first)
            return
        done = self.ops.begin(op)
        try:
            commit, lost = await self._agreed(commit)
            # What had its effect only in part is not done: it is refused again.
            write = self._memory.prepare(commit, b"" if lost else op)
        except BaseException as error:
            self.ops.fail(op, done, _as_answer(error))
            raise
        conflict = StateConflict(lost) if lost else None
        if not commit.is_durable:
            self._land(commit, write, op, done, set(), conflict)
        else:
            self._submit(commit, write, op, done, conflict)
        # A caller who gives up waiting does not undo what is on its way to the disk.
        await asyncio.shield(done)

    async def _agreed(self, commit: Commit) -> tuple[Commit, list[str]]:
        """Wait for whoever is committing on the same people, then compare: what may be written, and
        who is left out.
        """
        await self.turn(people_of(commit))
        self._require_usable()
        lost = self._memory.conflicts(commit)
        if lost:
            commit = commit.without(set(lost))
        waiting = len(self._memory.outbox)
        if commit.sends and waiting + len(commit.sends) > self._pending_limit:
            raise StateUnavailable(f"the outbox holds {waiting} sends already")
        return commit, lost

    async def turn(self, person_ids: Iterable[str]) -> None:
        """Wait until none of these people is held."""
        while self.held:
            busy = next((self.held[p] for p in person_ids if p in self.held), None)
            if busy is None:
                return
            await asyncio.wait([busy])

    @contextmanager
    def holding(self, person_id: str) -> Iterator[None]:
        """Let nobody commit on a person meanwhile."""
        done = asyncio.get_running_loop().create_future()
        self.held[person_id] = done
        try:
            yield
        finally:
            self._release((person_id,))
            done.set_result(None)

    def _submit(
        self,
        commit: Commit,
        write: Write,
        op: bytes,
        done: asyncio.Future[None],
        conflict: StateConflict | None,
    ) -> None:
        people, names = self._memory.people, people_of(commit)
        self.held.update(dict.fromkeys(names, done))
        passengers = people.take_dirty(_PASSENGERS, self.held)
        own = write.people, write.dropped
        # Passengers go to the shelf only: memory has them already.
        rows, gone = people.as_rows(passengers)
        write.people, write.dropped = own[0] + rows, own[1] + gone

        def landed(news: News) -> None:
            write.people, write.dropped = own
            self._release(names)
            self._land(commit, write, op, done, news.send_ids, conflict)

        def failed(error: Exception) -> None:
            self._release(names)
            people.mark_dirty(passengers)
            self.ops.fail(op, done, error)

        self._writer.submit(Ticket(write, landed, failed))

    def _release(self, person_ids: Iterable[str]) -> None:
        for person_id in person_ids:
            del self.held[person_id]

    def _land(
        self,
        commit: Commit,
        write: Write,
        op: bytes,
        done: asyncio.Future[None],
        new_sends: set[str],
        conflict: StateConflict | None,
    ) -> None:
        self._memory.apply(commit, write, new_sends)
        if conflict is None:
            self.ops.succeed(op, done, commit.now_ms)
        else:
            self.ops.fail(op, done, conflict)

    async def save_dirty(self, stays_after_ms: int) -> None:
        """Write what has changed without having to be durable at once."""
        while behind := self._memory.last.behind(stays_after_ms, _CHECKPOINT_ROWS):
            self._memory.bring_up(behind)
            await self._save_rows()
        await self._save_rows()

    async def _save_rows(self) -> None:
        people = self._memory.people
        while ids := people.take_dirty(_CHECKPOINT_ROWS, self.held):
            rows, gone = people.as_rows(ids)
            write = Write(people=rows, dropped=gone)
            await self.put_away(write, partial(people.mark_dirty, ids))

    async def put_away(self, write: Write, undo: Callable[[], None] = lambda: None) -> News:
        """A write that is no commit: no version of anybody hangs on it."""
        done: asyncio.Future[News] = asyncio.get_running_loop().create_future()

        def landed(news: News) -> None:
            self._memory.outbox.land(write)
            for row in news.cards:
                self._cards.land(card_of(row))
            done.set_result(news)

        def failed(error: Exception) -> None:
            undo()
            done.set_exception(error)
            done.exception()  # whoever waits still gets it; nobody need wait

        self._writer.submit(Ticket(write, landed, failed))
        return await asyncio.shield(done)


def _as_answer(error: BaseException) -> Exception:
    """What those hear who wait for the same operation: a caller who was cancelled did nothing."""
    return error if isinstance(error, Exception) else StateUnavailable("the operation was given up")
