"""The embedded state: everything in memory, made durable by one SQLite file behind it.

All memory belongs to the event loop; the file belongs to the writer's thread. What is asked of
people is answered from memory, what was and what is known by name from the file. The way of a
commit is in `embedded/committing`.

Without a path there is no file and no thread, and nothing else differs: replay runs on that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Set
from functools import partial
from pathlib import Path

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, Longs
from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.record import Decision, Fact, Record
from geoengine.core.units import MINUTE_MS
from geoengine.state.base import (
    CARDS_MAX,
    Ages,
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
from geoengine.state.embedded.asking import Asking
from geoengine.state.embedded.commits import Memory
from geoengine.state.embedded.committing import Committer
from geoengine.state.embedded.held.last_fixes import LastFixTable
from geoengine.state.embedded.held.outbox import Lease, PendingSends
from geoengine.state.embedded.held.people import People
from geoengine.state.embedded.moving import Intake, Teller
from geoengine.state.embedded.shelf.base import Shelf
from geoengine.state.embedded.shelf.cards import CardCache, card_of, row_of
from geoengine.state.embedded.shelf.memory import MemoryShelf
from geoengine.state.embedded.shelf.sqlite import SqliteShelf, Tuning
from geoengine.state.embedded.writer import DirectWriter, ThreadWriter, Writer
from geoengine.state.embedded.writes import SendRow, Write, unpack_send

_TRIM_ROWS = 10_000
# A stay's last sign of life reaches the disk when it is so much ahead of what the disk has: after a
# crash a visit may fall silent that much too early, and no more. Silence is half an hour.
_STAYS_KEPT_MS = 5 * MINUTE_MS


class LocalState:
    """One process's state, in memory and in one file; in memory only where ``path`` is None."""

    look_again_s = 1.0  # nobody else writes here; only the clock may have been set

    def __init__(
        self,
        path: Path | None,
        *,
        last_fix_capacity: int = 1_000_000,
        pending_limit: int = 1_000_000,
        card_limit: int = CARDS_MAX,
        tuning: Tuning | None = None,
    ) -> None:
        self.concerns: list[str] = []
        # More sends than this may not wait, more cards than this not be kept: I6.
        self._pending_limit, self._card_limit = pending_limit, card_limit
        self._last_fix_capacity = last_fix_capacity
        self._is_open = False
        self._shelf: Shelf
        self._writer: Writer
        if path is None:
            self._shelf = MemoryShelf()
            self._writer = DirectWriter(self._shelf)
        else:
            self._shelf = SqliteShelf(path, tuning or Tuning())
            self._writer = ThreadWriter(self._shelf)
        self._start_blank()

    def _start_blank(self) -> None:
        self._people = People()
        self._last = LastFixTable(self._last_fix_capacity, self._bring_up)
        self._outbox = PendingSends()
        self._memory = Memory(self._people, self._last, self._outbox)
        self._cards = CardCache()
        self._asking = Asking(self._shelf, self._writer, self._cards)
        self._commits = Committer(
            self._memory, self._cards, self._writer, self._require_usable, self._pending_limit
        )

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
        self._commits.ops.load(self._shelf.read_ops())
        for chunk in self._shelf.take_last_fixes():
            self._last.restore(chunk, self._memory.flags_of_device)

    async def close(self) -> None:
        """Write what is not yet durable and let go. Does nothing the second time."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if self.failed is None:
                await self._commits.save_dirty(stays_after_ms=0)
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
        names = [
            name for person_id in busy | self._commits.held.keys() for name in names_of(person_id)
        ]
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
        await self._commits.commit(commit)

    async def checkpoint(self) -> None:
        """Write what has changed without having to be durable at once; call it now and then."""
        self._require_usable()
        await self._commits.save_dirty(_STAYS_KEPT_MS)
        await self._writer.call(self._shelf.tidy)

    def _bring_up(self, person_ids: list[str]) -> None:
        self._memory.bring_up(person_ids)

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
            await self._commits.put_away(write, partial(self._outbox.give_back, leases))
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

    async def sends_of(self, person_id: str, limit: int = 1_000) -> list[SentRow]:
        """A person's rows of the outbox, also how they ended; what was appended last first."""
        self._require_usable()
        rows = await self._writer.call(self._shelf.sends_of, person_id, limit)
        return [self._sent_row(row) for row in rows]

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
        return await self._asking.cards(names)

    async def put_card(self, card: Card, now_ms: int) -> Card:
        """Write it; as it is now. Raises `StateConflict`, or `StateUnavailable` beyond bounds."""
        self._require_usable()
        require_card(card)
        if not card.version and self._shelf.cards.count >= self._card_limit:
            raise StateUnavailable(f"the state holds {self._card_limit} cards already")
        news = await self._commits.put_away(Write(now_ms=now_ms, cards=[row_of(card)]))
        if not news.cards:
            raise StateConflict([card.name])
        return card_of(news.cards[0])

    async def cards_from(self, prefix: str, start: str = "", limit: int = 1_000) -> CardPage:
        """A page of cards in the order of their names, from the one after ``start``."""
        self._require_usable()
        return await self._asking.cards_from(prefix, start, limit)

    async def cards_of(self, owner: str) -> list[Card]:
        """All that somebody owns, by name."""
        self._require_usable()
        return await self._asking.cards_of(owner) if owner else []

    async def decisions(self, person_id: str, limit: int = 100) -> list[Decision]:
        """The decisions about a person, newest first."""
        self._require_usable()
        return await self._asking.decisions(person_id, limit)

    async def facts(self, person_id: str, limit: int = 1_000) -> list[Fact]:
        """What happened to a person, newest first; of one id what was written first."""
        self._require_usable()
        return await self._asking.facts(person_id, limit)

    async def history(
        self, since_ms: int, until_ms: int, start: str = "", limit: int = 10_000
    ) -> History:
        """A page of facts, then of decisions, in the order of their time."""
        self._require_usable()
        return await self._asking.history(since_ms, until_ms, start, limit)

    async def note(self, name: str, value: bytes, *, is_first: bool = False) -> bytes:
        """Keep something of the service's own under a name, for good; what is kept there."""
        self._require_usable()
        if is_first:  # looked up and left by the one thread that writes, in one go
            return await self._writer.call(self._first_note, name, value)
        await self._writer.call(self._shelf.leave_note, name, value)
        return value

    def _first_note(self, name: str, value: bytes) -> bytes:
        there = self._shelf.read_note(name)
        if there is None:
            self._shelf.leave_note(name, value)
        return value if there is None else there

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
        await self._commits.turn((person_id,))
        with self._commits.holding(person_id):
            record = self._people.get(person_id)
            rows = await self._writer.call(self._shelf.erase, person_id)
            self._cards.clear()
            devices = [] if record is None else list(record.devices)
            return self._memory.forget_person(person_id, devices) or rows > 0

    async def trim(
        self,
        now_ms: int,
        decisions_before_ms: int,
        facts_before_ms: int | None = None,
        settled_before_ms: int | None = None,
    ) -> int:
        """Drop what is older than it is kept; how many."""
        self._require_usable()
        self._commits.ops.trim(now_ms)
        self._outbox.sweep(now_ms)
        ages = Ages.of(now_ms, decisions_before_ms, facts_before_ms, settled_before_ms)
        total = 0
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
        await self._commits.put_away(intake.write)
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
