"""The shared state: any number of processes over Redis or Valkey, one server or a Cluster.

A process keeps nothing that another could need. Everything of a person lives in one partition, and
server-side functions (`shared/functions`) load and commit a micro-batch's people of a partition in
one stroke: `base` says what they promise, `shared/rows` how rows look. Business rules stay in
Python; the functions compare, swap, append and lease.

Last fixes are shared and not logged: a fix that changes nothing costs the servers' disks nothing,
and is forgotten when they fail, as the embedded state's are with its process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence, Set
from uuid import uuid4

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, Longs
from geoengine.core.errors import ConfigurationError, StateConflict, StateUnavailable
from geoengine.core.record import Decision, Fact, Record
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
)
from geoengine.state.shared.cards import SharedCards
from geoengine.state.shared.forgetting import Forgetting
from geoengine.state.shared.library import FUNCTIONS, library
from geoengine.state.shared.line.durability import concerns_of
from geoengine.state.shared.line.link import Link
from geoengine.state.shared.moving import Intake, Teller
from geoengine.state.shared.names import Names
from geoengine.state.shared.overview import Overview, count_up, look_over
from geoengine.state.shared.paging import Paging
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.past import SharedPast
from geoengine.state.shared.rows import record_of
from geoengine.state.shared.seal import Seal
from geoengine.state.shared.served.horizon import LOOK_AGAIN_S, Horizon
from geoengine.state.shared.served.leases import Leases
from geoengine.state.shared.served.mail import Mail
from geoengine.state.shared.writing import Writing


class RedisState:
    """One process's hands on the shared state."""

    look_again_s = LOOK_AGAIN_S

    def __init__(
        self,
        url: str,
        *,
        last_fix_capacity: int = 1_000_000,
        pending_limit: int = 1_000_000,
        card_limit: int = CARDS_MAX,
        partition_count: int | None = None,
        is_onlooker: bool = False,
    ) -> None:
        """Raises `ConfigurationError` for a bad URL. ``partition_count``, in place of the URL's,
        counts at the very first start: from then on it is what it was. An onlooker serves no
        partition and counts as nobody.
        """
        self.process = f"{os.uname().nodename}:{os.getpid()}:{uuid4().hex[:8]}"
        self.concerns: list[str] = []
        self._link = Link(url, library(), names=FUNCTIONS)
        self._capacity, self._pending_limit = last_fix_capacity, pending_limit
        self._card_limit = card_limit
        self._wanted_count = partition_count or self._link.partitions
        self._is_onlooker = is_onlooker
        self._is_open = False
        self._partitions: Partitions
        self._names: Names
        self._writing: Writing
        self._leases: Leases
        self._horizon: Horizon
        self._mail: Mail
        self._forgetting: Forgetting
        self._people: Paging
        self._cards: SharedCards
        self._past: SharedPast

    @property
    def failed(self) -> Exception | None:
        """Servers come back: nothing is ever given up."""
        return None

    def serves(self, name: str) -> bool:
        """Whether the partition of this name is held."""
        return self._is_open and self._partitions.of(name) in self._leases.held

    async def open(self) -> None:
        """Connect and take a share of the work. Raises `StateUnavailable`, `ConfigurationError`."""
        await self._link.open()
        try:
            self.concerns = await self._concerns()
            count = await (self._told_count() if self._is_onlooker else self._agreed_count())
            self._partitions = Partitions(self._link, count)
            seal = await asyncio.to_thread(Seal, self._link.password, self._link.prefix)
            self._names = Names(self._partitions, seal)
            self._writing = Writing(
                self._partitions,
                self._names,
                capacity=self._capacity,
                pending_limit=self._pending_limit,
            )
            self._leases = Leases(self._link, self.process, count, self._look_through)
            self._horizon = Horizon(self._partitions, self._leases)
            self._mail = Mail(self._partitions, self._leases, self._horizon, self.process)
            self._people = Paging(self._partitions, "page")
            self._cards = SharedCards(self._partitions, self._card_limit)
            self._past = SharedPast(self._partitions)
            self._forgetting = Forgetting(
                self._link, self._partitions, self._names, self._cards, self._leases, self.process
            )
            if not self._is_onlooker:
                await self._leases.start()
        except BaseException:
            await self._link.close()
            raise
        self._is_open = True

    async def _concerns(self) -> list[str]:
        try:
            return await concerns_of(self._link)
        except ConfigurationError as error:
            if not self._is_onlooker:
                raise
            return [fault.what for fault in error.faults]

    async def _agreed_count(self) -> int:
        key = f"{self._link.prefix}:{{all}}:config"
        await self._link.command("HSETNX", key, "partitions", self._wanted_count, key=key)
        return await self._told_count()

    async def _told_count(self) -> int:
        """Of a state nobody has begun yet, what would be agreed: to look is not to make."""
        key = f"{self._link.prefix}:{{all}}:config"
        told = await self._link.command("HGET", key, "partitions", key=key)
        return self._wanted_count if told is None else int(told)

    async def _look_through(self, numbers: list[int]) -> None:
        await self._mail.look_through(numbers)

    async def close(self) -> None:
        """Leave what is held to others. Does nothing the second time."""
        if self._is_open:
            self._is_open = False
            await self._leases.stop()
            await self._link.close()

    async def checkpoint(self) -> None:
        """Nothing waits here to be written."""

    # --- people ---------------------------------------------------------------------------------

    async def note_quiet(
        self, fixes: Fixes, book: Book, busy: Set[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        """None are noted: what a device's last fix is has to be asked for."""
        return np.arange(len(fixes))

    async def known(self, fixes: Fixes) -> Known:
        """What is known of the sender of each fix: one row per row of ``fixes``."""
        self._require_open()
        return await self._names.known(fixes.device_ids)

    async def owners(self, names: list[str]) -> list[str]:
        """The person each name stands for, asked this moment; itself if nobody."""
        self._require_open()
        homes = await self._writing.home(dict.fromkeys(names))
        owners = [homes[name][0] or name for name in names]
        for name, owner in zip(names, owners, strict=True):
            self._names.learn(name, owner)
        return owners

    async def load(self, person_ids: list[str]) -> dict[str, Record]:
        """The records of those who have one."""
        self._require_open()
        shares = self._partitions.split(dict.fromkeys(person_ids), str)
        replies = await self._partitions.call("load", shares)
        return {
            person_id: record_of(*rows)
            for number, mine in shares.items()
            for person_id, rows in zip(mine, replies[number], strict=True)
            if rows
        }

    async def commit(self, commit: Commit) -> None:
        """Write it. Raises `StateConflict`, naming those whose part has not happened, or
        `StateUnavailable`.
        """
        self._require_open()
        try:
            self._horizon.expect(await self._writing.write(commit))
        except StateConflict:  # what there is of everybody else has happened
            of = self._partitions.of
            self._horizon.touch(of(change.record.person_id) for change in commit.changes)
            raise

    async def due(self, now_ms: int, limit: int = 1_000) -> list[str]:
        """People of partitions held whose next deadline has passed, the longest overdue first."""
        self._require_open()
        horizon = await self._horizon.look()
        late = [number for number, one in horizon.items() if one.due_ms <= now_ms]
        found = await self._horizon.late("overdue", late, now_ms, limit)
        return [name for _, name, _ in found]

    # --- the outbox -----------------------------------------------------------------------------

    async def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Take rows of the partitions held that are due and free until ``now_ms + lease_ms``."""
        self._require_open()
        return await self._mail.lease(now_ms, limit, owner, lease_ms)

    async def begin(self, rows: list[Leased]) -> dict[str, Record]:
        """Say that these rows are about to be sent; the records of their people."""
        self._require_open()
        return await self._mail.begin(rows)

    async def is_begun(self, person_id: str, owner: str, now_ms: int) -> bool:
        """Whether anybody else, alive, has begun to send to a person and not settled."""
        self._require_open()
        return await self._mail.is_begun(person_id, owner, now_ms)

    async def settle(self, settlements: list[Settlement], owner: str, now_ms: int) -> list[str]:
        """End or postpone rows this owner holds; the send_ids settled, in order."""
        self._require_open()
        return await self._mail.settle(settlements, owner, now_ms)

    async def next_due(self) -> int | None:
        """When the next row of the partitions held falls due or its lease runs out."""
        self._require_open()
        return await self._mail.next_due()

    async def sends(self, status: str = "", limit: int = 100) -> list[SentRow]:
        """Rows of the outbox and, while kept, how they ended; newest first."""
        self._require_open()
        return await self._mail.sends(status, limit)

    async def sends_of(self, person_id: str, limit: int = 1_000) -> list[SentRow]:
        """A person's rows of the outbox, also how they ended; what was appended last first."""
        self._require_open()
        return await self._mail.sends_of(person_id, limit)

    async def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[str]:
        """Make dead rows pending again, due now; the send_ids revived."""
        self._require_open()
        return await self._mail.revive(send_ids, now_ms, expires_ms)

    # --- the archive ----------------------------------------------------------------------------

    async def decisions(self, person_id: str, limit: int = 100) -> list[Decision]:
        """The decisions about a person, newest first."""
        self._require_open()
        return await self._past.decisions(person_id, limit)

    async def cards(self, names: Sequence[str]) -> dict[str, Card]:
        """Those of them that there are."""
        self._require_open()
        return await self._cards.find(names)

    async def put_card(self, card: Card, now_ms: int) -> Card:
        """Write it; as it is now. Raises `StateConflict`, or `StateUnavailable` beyond bounds."""
        self._require_open()
        return await self._cards.put(card)

    async def cards_from(self, prefix: str, start: str = "", limit: int = 1_000) -> CardPage:
        """A page of cards whose names begin so, partition by partition."""
        self._require_open()
        return await self._cards.page(prefix, start, limit)

    async def cards_of(self, owner: str) -> list[Card]:
        """All that somebody owns, by name, from every partition."""
        self._require_open()
        return await self._cards.owned(owner) if owner else []

    async def facts(self, person_id: str, limit: int = 1_000) -> list[Fact]:
        """What happened to a person, newest first; of one id what was written first."""
        self._require_open()
        return await self._past.facts(person_id, limit)

    async def history(
        self, since_ms: int, until_ms: int, start: str = "", limit: int = 10_000
    ) -> History:
        """A page of what there is of a time, person by person and partition by partition."""
        self._require_open()
        return await self._past.history(since_ms, until_ms, start, limit)

    async def note(self, name: str, value: bytes, *, is_first: bool = False) -> bytes:
        """Keep something of the service's own under a name; what is kept there."""
        self._require_open()
        verb = "HSETNX" if is_first else "HSET"
        await self._link.command(verb, self._notes, name, value, key=self._notes)
        if not is_first:
            return value
        kept: bytes = await self._link.command("HGET", self._notes, name, key=self._notes)
        return kept

    async def noted(self, name: str) -> bytes | None:
        """What is kept under a name; None for nothing."""
        self._require_open()
        kept: bytes | None = await self._link.command("HGET", self._notes, name, key=self._notes)
        return kept

    @property
    def _notes(self) -> str:
        return f"{self._link.prefix}:{{all}}:notes"

    async def people(self, start: str = "", limit: int = 1_000) -> Page:
        """A page of people with a record, partition by partition."""
        self._require_open()
        names, after = await self._people.page(start, limit)
        return Page([name.decode() for name in names], after)

    async def erase(self, person_id: str, now_ms: int) -> bool:
        """Forget a person, once no other process is sending to them."""
        self._require_open()
        record = (await self.load([person_id])).get(person_id)
        devices = [] if record is None else list(record.devices)
        return await self._forgetting.erase(person_id, devices, now_ms)

    async def trim(
        self,
        now_ms: int,
        decisions_before_ms: int,
        facts_before_ms: int | None = None,
        settled_before_ms: int | None = None,
    ) -> int:
        """Drop what is older than it is kept, and the erased from the servers' files; how many."""
        self._require_open()
        ages = Ages.of(now_ms, decisions_before_ms, facts_before_ms, settled_before_ms)
        return await self._forgetting.trim(ages)

    async def stats(self) -> Stats:
        """Sizes."""
        self._require_open()
        return await count_up(self._link, self._partitions)

    # --- the whole ------------------------------------------------------------------------------

    async def overview(self) -> Overview:
        """Who serves what, how much there is of it, and on which servers."""
        self._require_open()
        return await look_over(self._link, self._partitions, self._leases)

    async def served_by(self) -> list[str]:
        """The processes that serve this state beside this one."""
        self._require_open()
        return sorted(await self._leases.alive() - {self.process})

    def tell(self) -> AsyncIterator[Told]:
        """Everything kept, kind by kind."""
        self._require_open()
        return Teller(self._link, self._partitions, self._notes).tell()

    async def take_in(self, items: Sequence[Kept]) -> None:
        """Keep what another state told."""
        self._require_open()
        if await self._agreed_count() != self._partitions.count:
            raise StateUnavailable("somebody has begun this state meanwhile")
        intake = Intake(self._partitions, items)
        for note in intake.notes:
            await self.note(note.name, note.value)
        owners = await self.owners([time.device_id for time in intake.times])
        await self._partitions.call("take_in", intake.requests(owners), is_write=True)

    async def wipe(self) -> None:
        """Forget everything but how many partitions there are."""
        self._require_open()
        await self._partitions.of_all("wipe", (), is_write=True)
        await self._link.command("UNLINK", self._notes, key=self._notes)
        self._forgetting.has_erased = True

    def _require_open(self) -> None:
        if not self._is_open:
            raise StateUnavailable("the state is not open")
