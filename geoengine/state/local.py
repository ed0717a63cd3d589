"""The embedded state: everything in memory, made durable by one SQLite file behind it.

All memory belongs to the event loop; the file belongs to the writer's thread. A durable commit is
compared and packed on the loop, put away by the thread, and applied to memory only when it is on
the disk: nobody ever reads what may still be rolled back. Meanwhile the people it is about are
*held*: another commit on them waits its turn, and then compares versions.

Without a path there is no file and no thread, and nothing else differs: replay runs on that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, Longs
from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.record import Decision, Fact, Record
from geoengine.core.units import MINUTE_MS
from geoengine.state.base import (
    CARDS_MAX,
    Card,
    CardPage,
    Commit,
    History,
    Kept,
    Leased,
    Page,
    SentRow,
    Settlement,
    Stats,
    Told,
    require_card,
)
from geoengine.state.embedded.cards import CardCache, card_of, row_of
from geoengine.state.embedded.commits import Memory, people_of
from geoengine.state.embedded.last_fixes import LastFixTable
from geoengine.state.embedded.memory import MemoryShelf
from geoengine.state.embedded.moving import Intake, Teller
from geoengine.state.embedded.ops import OpLog, digest
from geoengine.state.embedded.outbox import Lease, PendingSends
from geoengine.state.embedded.people import People
from geoengine.state.embedded.shelf import Ages, Moment, Shelf
from geoengine.state.embedded.sqlite import SqliteShelf, Tuning
from geoengine.state.embedded.writer import DirectWriter, ThreadWriter, Ticket, Writer
from geoengine.state.embedded.writes import News, SendRow, Write, unpack_send

# Changes that need not be durable ride along with those that do, so many at a time: more would make
# the commit they ride with wait.
_PASSENGERS = 32
_CHECKPOINT_ROWS = 1_000
_TRIM_ROWS = 10_000
# A stay's last sign of life reaches the disk when it is so much ahead of what the disk has: after a
# crash a visit may fall silent that much too early, and no more. Silence is half an hour.
_STAYS_KEPT_MS = 5 * MINUTE_MS

_ALL = 1 << 31
_unpack_fact = msgspec.msgpack.Decoder(Fact).decode
_unpack_decision = msgspec.msgpack.Decoder(Decision).decode


class LocalState:
    """One process's state, in memory and in one file; in memory only where ``path`` is None."""

    look_again_s = 1.0  # nobody else writes here; only the clock may have been set

    def __init__(
        self,
        path: Path | None,
        *,
        last_fix_capacity: int = 1_000_000,
        pending_limit: int = 1_000_000,
        tuning: Tuning | None = None,
    ) -> None:
        self.concerns: list[str] = []
        self.pending_limit = pending_limit  # more sends than this may not wait: I6
        self._last_fix_capacity = last_fix_capacity
        self._start_blank()
        self._held: dict[str, asyncio.Future[None]] = {}
        self._is_open = False
        self._shelf: Shelf
        self._writer: Writer
        if path is None:
            self._shelf = MemoryShelf()
            self._writer = DirectWriter(self._shelf)
        else:
            self._shelf = SqliteShelf(path, tuning or Tuning())
            self._writer = ThreadWriter(self._shelf)

    def _start_blank(self) -> None:
        self._people = People()
        self._last = LastFixTable(self._last_fix_capacity, self._bring_up)
        self._outbox = PendingSends()
        self._memory = Memory(self._people, self._last, self._outbox)
        self._ops = OpLog()
        self._cards = CardCache()

    def serves(self, name: str) -> bool:
        """There is nobody else."""
        return True

    @property
    def failed(self) -> Exception | None:
        """Why nothing will ever be committed again by this process; None while all is well."""
        return self._writer.broken

    async def open(self) -> None:
        """Take hold of the file and read it. Raises `StateLocked`, `StateUnavailable`."""
        self._shelf.open()
        try:
            self._read()
        except BaseException:
            self._shelf.close()
            raise
        self._writer.start()
        self._is_open = True

    def _read(self) -> None:
        for name, person_id in self._shelf.read_aliases():
            self._people.alias(name, person_id)
        for person in self._shelf.read_people():
            self._people.put(person, is_dirty=False)
        for send in self._shelf.read_pending():
            self._outbox.add(send)
        self._ops.load(self._shelf.read_ops())
        for chunk in self._shelf.take_last_fixes():
            self._last.restore(chunk, self._memory.flags_of_device)

    async def close(self) -> None:
        """Write what is not yet durable and let go. Does nothing the second time."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if self.failed is None:
                await self._save_dirty(stays_after_ms=0)
                await self._writer.call(self._shelf.leave_last_fixes, self._last.times())
        finally:
            await self._writer.stop(self._shelf.close)

    async def known(self, fixes: Fixes) -> Known:
        """What is known of the sender of each fix: one row per row of ``fixes``."""
        return self._last.known(fixes.device_ids, self._people)

    async def note_quiet(
        self, fixes: Fixes, book: Book, busy: Set[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        """Note the fixes that change nothing else; the rows of the others."""
        self._require_usable()
        ground = book.ground
        if ground is None:
            return np.arange(len(fixes))
        names_of = self._people.names_of
        names = [name for person_id in busy | self._held.keys() for name in names_of(person_id)]
        return self._last.note_quiet(fixes, ground, names, is_assumed=is_assumed, now_ms=now_ms)

    async def owners(self, names: list[str]) -> list[str]:
        """The person each name stands for; itself if nobody."""
        return [self._people.owner(name) for name in names]

    async def load(self, person_ids: list[str]) -> dict[str, Record]:
        """Copies of the records of those who have one."""
        found = ((person_id, self._people.get(person_id)) for person_id in person_ids)
        records = {person_id: record for person_id, record in found if record is not None}
        self._last.catch_up(records.values())
        return records

    async def commit(self, commit: Commit) -> None:
        """Write it, less the part of those whom `StateConflict` names. Or `StateUnavailable`."""
        self._require_usable()
        op = digest(commit.op_id)
        if self._ops.is_done(op):
            return
        first = self._ops.in_flight(op)
        if first is not None:
            await asyncio.shield(first)
            return
        done = self._ops.begin(op)
        try:
            commit, lost = await self._agreed(commit)
            # What had its effect only in part is not done: it is refused again.
            write = self._memory.prepare(commit, b"" if lost else op)
        except BaseException as error:
            self._ops.fail(op, done, _as_answer(error))
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
        await self._turn(people_of(commit))
        self._require_usable()
        lost = self._memory.conflicts(commit)
        if lost:
            commit = commit.without(set(lost))
        if commit.sends and len(self._outbox) + len(commit.sends) > self.pending_limit:
            raise StateUnavailable(f"the outbox holds {len(self._outbox)} sends already")
        return commit, lost

    async def _turn(self, person_ids: Iterable[str]) -> None:
        while self._held:
            busy = next((self._held[p] for p in person_ids if p in self._held), None)
            if busy is None:
                return
            await asyncio.wait([busy])

    def _submit(
        self,
        commit: Commit,
        write: Write,
        op: bytes,
        done: asyncio.Future[None],
        conflict: StateConflict | None,
    ) -> None:
        names = people_of(commit)
        self._held.update(dict.fromkeys(names, done))
        passengers = self._people.take_dirty(_PASSENGERS, self._held)
        own = write.people, write.dropped
        # Passengers go to the shelf only: memory has them already.
        rows, gone = self._people.as_rows(passengers)
        write.people, write.dropped = own[0] + rows, own[1] + gone

        def landed(news: News) -> None:
            write.people, write.dropped = own
            self._release(names)
            self._land(commit, write, op, done, news.send_ids, conflict)

        def failed(error: Exception) -> None:
            self._release(names)
            self._people.mark_dirty(passengers)
            self._ops.fail(op, done, error)

        self._writer.submit(Ticket(write, landed, failed))

    def _release(self, person_ids: Iterable[str]) -> None:
        for person_id in person_ids:
            del self._held[person_id]

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
            self._ops.succeed(op, done, commit.now_ms)
        else:
            self._ops.fail(op, done, conflict)

    async def checkpoint(self) -> None:
        """Write what has changed without having to be durable at once; call it now and then."""
        self._require_usable()
        await self._save_dirty(_STAYS_KEPT_MS)
        await self._writer.call(self._shelf.tidy)

    def _bring_up(self, person_ids: list[str]) -> None:
        self._memory.bring_up(person_ids)

    async def _save_dirty(self, stays_after_ms: int) -> None:
        while behind := self._last.behind(stays_after_ms, _CHECKPOINT_ROWS):
            self._bring_up(behind)
            await self._save_rows()
        await self._save_rows()

    async def _save_rows(self) -> None:
        while ids := self._people.take_dirty(_CHECKPOINT_ROWS, self._held):
            rows, gone = self._people.as_rows(ids)
            write = Write(people=rows, dropped=gone)
            await self._put_away(write, partial(self._people.mark_dirty, ids))

    async def _put_away(self, write: Write, undo: partial[None] | None = None) -> News:
        """A write that is no commit: no version of anybody hangs on it."""
        done: asyncio.Future[News] = asyncio.get_running_loop().create_future()

        def landed(news: News) -> None:
            self._outbox.land(write)
            for row in news.cards:
                self._cards.land(card_of(row))
            done.set_result(news)

        def failed(error: Exception) -> None:
            if undo is not None:
                undo()
            done.set_exception(error)
            done.exception()  # whoever waits still gets it; nobody need wait

        self._writer.submit(Ticket(write, landed, failed))
        return await asyncio.shield(done)

    async def due(self, now_ms: int, limit: int = 1_000) -> list[str]:
        """People whose next deadline has passed, the longest overdue first."""
        return self._people.agenda.due(now_ms, limit)

    async def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Take rows that are due and free until ``now_ms + lease_ms``."""
        self._require_usable()
        return self._outbox.lease(now_ms, limit, owner, lease_ms)

    async def begin(self, rows: list[Leased]) -> dict[str, Record]:
        """Say that these rows are about to be sent; the records of their people."""
        self._require_usable()
        mine = [row for row in rows if self._outbox.begin(row.send.send_id, row.owner)]
        return await self.load([row.send.person_id for row in mine])

    async def is_begun(self, person_id: str, owner: str, now_ms: int) -> bool:
        """Whether anybody else has begun to send to a person and not settled."""
        return self._outbox.is_begun(person_id, owner, now_ms)

    async def settle(self, settlements: list[Settlement], owner: str, now_ms: int) -> list[str]:
        """End or postpone rows this owner holds; the send_ids settled, in order."""
        self._require_usable()
        write = Write(now_ms=now_ms, is_relief=True)
        leases: dict[str, Lease] = {}
        for settlement in settlements:
            lease = self._outbox.take_for_settling(settlement.send_id, owner)
            if lease is not None:
                leases[settlement.send_id] = lease
                self._outbox.settle(settlement, now_ms, write)
        if leases:
            await self._put_away(write, partial(self._outbox.give_back, leases))
        return list(leases)

    async def next_due(self) -> int | None:
        """When the next pending row falls due or the next lease runs out; None when empty."""
        return self._outbox.agenda.next_ms()

    async def sends(self, status: str = "", limit: int = 100) -> list[SentRow]:
        """Rows of the outbox and, while kept, how they ended; newest first."""
        self._require_usable()
        if status == "leased":
            rows = [row for row in self._outbox if self._outbox.is_leased(row.send_id)][::-1]
        else:
            # Leased rows are pending ones on the shelf, so as many more may have to be read.
            room = limit + self._outbox.leased_count * (status == "pending")
            rows = await self._writer.call(self._shelf.sends, status, room)
        sent = (self._sent_row(row) for row in rows)
        return [row for row in sent if status in ("", row.status)][:limit]

    def _sent_row(self, row: SendRow) -> SentRow:
        is_leased = row.status == "pending" and self._outbox.is_leased(row.send_id)
        status = "leased" if is_leased else row.status
        return SentRow(unpack_send(row.packed), status, row.reason, row.settled_ms)

    async def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[str]:
        """Make dead rows pending again, due now; the send_ids revived."""
        self._require_usable()
        rows = await self._writer.call(self._shelf.revive, send_ids, now_ms, expires_ms)
        for row in rows:
            self._outbox.add(row)
        return [row.send_id for row in rows]

    async def cards(self, names: Sequence[str]) -> dict[str, Card]:
        """Those of them that there are."""
        self._require_usable()
        found = {name: card for name in names if (card := self._cards.get(name)) is not None}
        if others := [name for name in dict.fromkeys(names) if name not in found]:
            rows = await self._writer.call(self._shelf.cards.find, others)
            found.update((row.name, card_of(row)) for row in rows)
        return found

    async def put_card(self, card: Card, now_ms: int) -> Card:
        """Write it; as it is now. Raises `StateConflict`, or `StateUnavailable` beyond bounds."""
        self._require_usable()
        require_card(card)
        if not card.version and self._shelf.cards.count >= CARDS_MAX:
            raise StateUnavailable(f"the state holds {CARDS_MAX} cards already")
        news = await self._put_away(Write(now_ms=now_ms, cards=[row_of(card)]))
        if not news.cards:
            raise StateConflict([card.name])
        return card_of(news.cards[0])

    async def cards_from(self, prefix: str, start: str = "", limit: int = 1_000) -> CardPage:
        """A page of cards in the order of their names, from the one after ``start``."""
        self._require_usable()
        rows, last = await self._writer.call(self._shelf.cards.page, prefix, start, limit)
        return CardPage([card_of(row) for row in rows], last)

    async def decisions(self, person_id: str, limit: int = 100) -> list[Decision]:
        """The decisions about a person, newest first."""
        self._require_usable()
        packed = await self._writer.call(self._shelf.decisions.of_person, person_id, limit)
        return [_unpack_decision(row) for row in packed]

    async def facts(self, person_id: str, limit: int = 1_000) -> list[Fact]:
        """What happened to a person, newest first; of one id what was written first."""
        self._require_usable()
        packed = await self._writer.call(self._shelf.facts.of_person, person_id, _ALL)
        # The newest come first, so of one id the last one found was the first one written.
        by_id = {fact.id: fact for fact in map(_unpack_fact, packed)}
        return sorted(by_id.values(), key=lambda fact: -fact.at_ms)[:limit]

    async def history(
        self, since_ms: int, until_ms: int, start: str = "", limit: int = 10_000
    ) -> History:
        """A page of facts, then of decisions, in the order of their time."""
        self._require_usable()
        kind, _, rest = start.partition(":")
        after = Moment(*map(int, rest.split(":"))) if rest else Moment(since_ms, -1)
        is_decided = kind == "decisions"
        log = self._shelf.decisions if is_decided else self._shelf.facts
        unpack: Callable[[bytes], Decision | Fact] = (
            _unpack_decision if is_decided else _unpack_fact
        )
        found = await self._writer.call(log.between, until_ms, after, limit)
        items = [unpack(packed) for _, packed in found]
        if len(found) >= limit:
            return History(items, f"{kind or 'facts'}:{found[-1][0].at_ms}:{found[-1][0].seq}")
        return History(items, "" if is_decided else "decisions:")

    async def note(self, name: str, value: bytes, *, is_first: bool = False) -> bytes:
        """Keep something of the service's own under a name, for good; what is kept there."""
        self._require_usable()
        if is_first and (there := await self.noted(name)) is not None:
            return there
        await self._writer.call(self._shelf.leave_note, name, value)
        return value

    async def noted(self, name: str) -> bytes | None:
        """What is kept under a name; None for nothing."""
        self._require_usable()
        return await self._writer.call(self._shelf.read_note, name)

    async def people(self, start: str = "", limit: int = 1_000) -> Page:
        """A page of people with a record, in order, from the one after ``start``."""
        names = self._people.page(start, limit)
        return Page(names, names[-1] if len(names) == limit else "")

    async def erase(self, person_id: str, now_ms: int) -> bool:
        """Forget a person, and all that is theirs, to the last byte."""
        self._require_usable()
        await self._turn((person_id,))
        done = asyncio.get_running_loop().create_future()
        self._held[person_id] = done
        try:
            record = self._people.get(person_id)
            rows = await self._writer.call(self._shelf.erase, person_id)
            self._cards.clear()
            devices = [] if record is None else list(record.devices)
            return self._memory.forget_person(person_id, devices) or rows > 0
        finally:
            self._release((person_id,))
            done.set_result(None)

    async def trim(
        self, now_ms: int, decisions_before_ms: int, facts_before_ms: int | None = None
    ) -> int:
        """Drop what is older than it is kept; how many."""
        self._require_usable()
        self._ops.trim(now_ms)
        self._outbox.sweep(now_ms)
        facts_before_ms = decisions_before_ms if facts_before_ms is None else facts_before_ms
        ages, total = Ages(now_ms, decisions_before_ms, facts_before_ms), 0
        # In slices, so that commits get their turn in between.
        while dropped := await self._writer.call(self._shelf.trim, ages, _TRIM_ROWS):
            total += dropped
        self._cards.clear()
        return total

    async def stats(self) -> Stats:
        """Sizes."""
        self._require_usable()
        counts = await self._writer.call(self._shelf.counts)
        oldest = next(iter(self._outbox), None)
        return Stats(
            record_count=len(self._people),
            device_count=len(self._last),
            pending_count=len(self._outbox),
            oldest_pending_ms=None if oldest is None else unpack_send(oldest.packed).created_ms,
            dead_count=counts.dead,
            decision_count=self._shelf.decisions.count,
            disk_bytes=counts.disk_bytes,
            fact_count=self._shelf.facts.count,
            card_count=self._shelf.cards.count,
        )

    async def served_by(self) -> list[str]:
        """Nobody else: this process holds the file."""
        return []

    def tell(self) -> AsyncIterator[Told]:
        """Everything kept, kind by kind."""
        self._require_usable()
        return Teller(self._memory, self._shelf, self._writer).tell()

    async def take_in(self, items: Sequence[Kept]) -> None:
        """Keep what another state told."""
        self._require_usable()
        intake = Intake(items)
        for note in intake.notes:
            await self.note(note.name, note.value)
        await self._put_away(intake.write)
        intake.apply(self._memory)

    async def wipe(self) -> None:
        """Forget everything, also on disk."""
        self._require_usable()
        await self._writer.call(self._shelf.wipe)
        self._start_blank()

    def _require_usable(self) -> None:
        if self._writer.broken is not None:
            raise StateUnavailable(f"the state has failed: {self._writer.broken}")
        if not self._is_open:
            raise StateUnavailable("the state is not open")


def _as_answer(error: BaseException) -> Exception:
    """What those hear who wait for the same operation: a caller who was cancelled did nothing."""
    return error if isinstance(error, Exception) else StateUnavailable("the operation was given up")
