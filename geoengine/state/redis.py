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
from importlib import resources
from typing import Final
from uuid import uuid4

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, Longs
from geoengine.core.errors import ConfigurationError, StateConflict, StateUnavailable
from geoengine.core.record import Decision, Record
from geoengine.core.units import DAY_MS
from geoengine.state.base import Commit, Kept, Leased, Page, SentRow, Settlement, Stats, Told
from geoengine.state.shared.durability import concerns_of
from geoengine.state.shared.horizon import LOOK_AGAIN_S, NEVER_MS, Horizon
from geoengine.state.shared.leases import Leases
from geoengine.state.shared.link import Link
from geoengine.state.shared.moving import Intake, Teller
from geoengine.state.shared.names import Names
from geoengine.state.shared.overview import Overview, look_over
from geoengine.state.shared.partitions import COUNT, Partitions
from geoengine.state.shared.rows import decisions_of, record_of, send_of, sent_row
from geoengine.state.shared.seal import Seal
from geoengine.state.shared.writing import Writing

SETTLED_KEPT_MS: Final = 7 * DAY_MS
_ASK_AGAIN_S: Final = 0.02  # while another process sends to somebody to be erased
_ERASE_WITHIN_S: Final = 30.0  # any message under way has ended by then
_TRIM_ROWS: Final = 1_000
_PAGE_WIDTH: Final = 32  # partitions looked through at once while they are small
_FUNCTIONS: Final = (
    "look", "note", "load", "home", "settle_in", "move_out", "leave_home", "page", "commit",
    "sweep", "overdue", "peek", "take", "begin", "begun", "settle", "held", "free", "list",
    "revive", "decisions", "erase", "trim", "sizes", "hold", "leave", "members",
    "tell", "take_in", "wipe",
)  # fmt: skip


def library() -> str:
    """The server-side functions, as they are loaded."""
    files = (resources.files("geoengine.state.shared") / "functions").iterdir()
    parts = sorted((file.name, file.read_text("utf-8")) for file in files if _is_lua(file.name))
    return "\n".join(text for _, text in parts)


def _is_lua(name: str) -> bool:
    return name.endswith(".lua")


class RedisState:
    """One process's hands on the shared state."""

    look_again_s = LOOK_AGAIN_S

    def __init__(
        self,
        url: str,
        *,
        last_fix_capacity: int = 1_000_000,
        pending_limit: int = 1_000_000,
        partition_count: int = COUNT,
        is_onlooker: bool = False,
    ) -> None:
        """Raises `ConfigurationError` for a bad URL. ``partition_count`` counts at the very first
        start: from then on it is what it was. An onlooker serves no partition and counts as nobody.
        """
        self.process = f"{os.uname().nodename}:{os.getpid()}:{uuid4().hex[:8]}"
        self.concerns: list[str] = []
        self._link = Link(url, library(), names=_FUNCTIONS)
        self._capacity, self._pending_limit = last_fix_capacity, pending_limit
        self._wanted_count = partition_count
        self._is_onlooker = is_onlooker
        self._partition_of: dict[str, int] = {}  # of sends in hand
        self._leasing = asyncio.Lock()
        self._has_erased = False
        self._page_width = _PAGE_WIDTH
        self._is_open = False
        self._partitions: Partitions
        self._names: Names
        self._writing: Writing
        self._leases: Leases
        self._horizon: Horizon

    @property
    def failed(self) -> Exception | None:
        """Servers come back: nothing is ever given up."""
        return None

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
        found = await self._late("overdue", late, now_ms, limit)
        return [name for _, name, _ in found]

    async def _late(
        self, function: str, numbers: list[int], now_ms: int, limit: int
    ) -> list[tuple[float, str, int]]:
        """Moment, name and partition of what fell due, in order; at most so many."""
        if not numbers:
            return []
        # Of many partitions a share each: which are the very oldest matters among few.
        share = limit if len(numbers) <= 8 else max(4 * limit // len(numbers), 16)
        replies = await self._partitions.call(function, dict.fromkeys(numbers, (now_ms, share)))
        found = [
            (float(at_ms), name.decode(), number)
            for number, told in replies.items()
            for name, at_ms in zip(told[::2], told[1::2], strict=True)
        ]
        self._horizon.touch(number for number, told in replies.items() if not told)
        return sorted(found)[:limit]

    # --- the outbox -----------------------------------------------------------------------------

    async def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Take rows of the partitions held that are due and free until ``now_ms + lease_ms``."""
        self._require_open()
        async with self._leasing:  # or two would choose the same rows, and one get none
            return await self._lease(now_ms, limit, owner, lease_ms)

    async def _lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        horizon = await self._horizon.look()
        late = [number for number, one in horizon.items() if one.wait_ms <= now_ms]
        chosen = await self._late("peek", late, now_ms, limit)
        if not chosen:
            return []
        until_ms, shares = now_ms + lease_ms, dict[int, list[str]]()
        for _, send_id, number in chosen:
            shares.setdefault(number, []).append(send_id)
        requests = {
            number: (mine, now_ms, until_ms, owner, self.process) for number, mine in shares.items()
        }
        self._horizon.touch(shares)
        replies = await self._partitions.call("take", requests)
        rows: dict[str, Leased] = {}
        for number, told in replies.items():
            for send_id, row in zip(told[::2], told[1::2], strict=True):
                rows[send_id.decode()] = Leased(send_of(row), owner, until_ms)
                self._partition_of[send_id.decode()] = number
        return [rows[send_id] for _, send_id, _ in chosen if send_id in rows]

    async def begin(self, rows: list[Leased]) -> dict[str, Record]:
        """Say that these rows are about to be sent; the records of their people."""
        self._require_open()
        shares = self._partitions.split(rows, lambda row: row.send.person_id)
        requests = {
            number: [[row.send.send_id, row.owner, row.send.person_id] for row in mine]
            for number, mine in shares.items()
        }
        # What is about to be sent is held by the replicas, and so is the commit it comes from: or a
        # master that fails would forget a place under a cap that was taken.
        replies = await self._partitions.call("begin", requests, is_write=True)
        return {
            row.send.person_id: record_of(*found)
            for number, mine in shares.items()
            for row, found in zip(mine, replies[number], strict=True)
            if found
        }

    async def is_begun(self, person_id: str, owner: str, now_ms: int) -> bool:
        """Whether anybody else, alive, has begun to send to a person and not settled."""
        self._require_open()
        number = self._partitions.of(person_id)
        replies = await self._partitions.call("begun", {number: (person_id, owner, now_ms)})
        processes = {process.decode() for process in replies[number]}
        # Asked in this order, whoever has begun has been alive before.
        return bool(processes) and not processes.isdisjoint(await self._leases.alive())

    async def settle(self, settlements: list[Settlement], owner: str, now_ms: int) -> list[str]:
        """End or postpone rows this owner holds; the send_ids settled, in order."""
        self._require_open()
        shares: dict[int, list[object]] = {}
        for one in settlements:
            number = self._partition_of.get(one.send_id)
            row = [one.send_id, one.status, one.reason, one.due_ms, one.attempts]
            for where in range(self._partitions.count) if number is None else (number,):
                shares.setdefault(where, []).append(row)
        op = uuid4().hex
        requests = {number: (mine, owner, now_ms, op) for number, mine in shares.items()}
        replies = await self._partitions.call("settle", requests, is_write=True)
        self._horizon.touch(shares)
        settled = {send_id.decode() for told in replies.values() for send_id in told}
        for one in settlements:
            self._partition_of.pop(one.send_id, None)
        return [one.send_id for one in settlements if one.send_id in settled]

    async def next_due(self) -> int | None:
        """When the next row of the partitions held falls due or its lease runs out."""
        self._require_open()
        horizon = await self._horizon.look()
        first_ms = min((one.wait_ms for one in horizon.values()), default=NEVER_MS)
        return None if first_ms == NEVER_MS else first_ms

    async def sends(self, status: str = "", limit: int = 100) -> list[SentRow]:
        """Rows of the outbox and, while kept, how they ended; newest first."""
        self._require_open()
        replies = await self._partitions.of_all("list", (status, limit))
        found = [
            sent_row(row, is_held=bool(is_held))
            for told in replies.values()
            for row, is_held in zip(told[1::3], told[2::3], strict=True)
        ]
        found.sort(key=lambda row: (row.send.created_ms, row.send.send_id), reverse=True)
        return found[:limit]

    async def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[str]:
        """Make dead rows pending again, due now; the send_ids revived."""
        self._require_open()
        request = (list(dict.fromkeys(send_ids)), now_ms, expires_ms, uuid4().hex)
        replies = await self._partitions.of_all("revive", request, is_write=True)
        revived = {send_id.decode() for told in replies.values() for send_id in told}
        self._horizon.touch(number for number, told in replies.items() if told)
        return [send_id for send_id in dict.fromkeys(send_ids) if send_id in revived]

    async def _look_through(self, numbers: list[int]) -> None:
        """Free the rows that processes which are no more had in hand in these partitions."""
        held = await self._partitions.call("held", dict.fromkeys(numbers, ()))
        hands = {
            number: [(a.decode(), b.decode()) for a, b in zip(told[::2], told[1::2], strict=True)]
            for number, told in held.items()
        }
        if any(hands.values()):
            alive = await self._leases.alive()
            orphans = {
                number: [pair for pair in pairs if pair[1] not in alive]
                for number, pairs in hands.items()
            }
            await self._partitions.call("free", {n: pairs for n, pairs in orphans.items() if pairs})
        self._horizon.touch(numbers)

    # --- the archive ----------------------------------------------------------------------------

    async def decisions(self, person_id: str, limit: int = 100) -> list[Decision]:
        """The decisions about a person, newest first."""
        self._require_open()
        number = self._partitions.of(person_id)
        replies = await self._partitions.call("decisions", {number: (person_id,)})
        found = decisions_of(replies[number])[::-1]
        return sorted(found, key=lambda one: -one.at_ms)[:limit]

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
        first, _, cursor = start.partition(":")
        number, cursor = int(first or 0), cursor or "0"
        names: list[str] = []
        while number < self._partitions.count and len(names) < limit:
            numbers = range(number, min(number + self._page_width, self._partitions.count))
            asked = {p: (cursor if p == number else "0", limit) for p in numbers}
            replies = await self._partitions.call("page", asked)
            for number, (after, found) in replies.items():
                names += [name.decode() for name in found]
                if after != b"0":
                    self._page_width = 1  # they are not small
                    return Page(names, f"{number}:{after.decode()}")
                if len(names) >= limit:
                    break
            number, cursor = number + 1, "0"
        return Page(names, f"{number}:0" if number < self._partitions.count else "")

    async def erase(self, person_id: str, now_ms: int) -> bool:
        """Forget a person, once no other process is sending to them."""
        self._require_open()
        record = (await self.load([person_id])).get(person_id)
        devices = [] if record is None else list(record.devices)
        try:
            async with asyncio.timeout(_ERASE_WITHIN_S):
                _, names = await self._erase(person_id, devices, now_ms, is_final=False)
                await self._leave_homes(person_id, [*devices, *names])
                was_there, names = await self._erase(person_id, devices, now_ms, is_final=True)
        except TimeoutError:
            raise StateUnavailable("another process is still sending to this person") from None
        await self._leave_homes(person_id, names)
        self._has_erased = True
        return was_there

    async def _erase(
        self, person_id: str, devices: list[str], now_ms: int, *, is_final: bool
    ) -> tuple[bool, list[str]]:
        """Wait until nobody is sending to a person, and forget what their partition has of them.

        Returns whether there was anything, and the names bound there; before the final call
        nothing is forgotten.
        """
        number, op, gone = self._partitions.of(person_id), uuid4().hex, {self.process}
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

    async def trim(self, now_ms: int, decisions_before_ms: int) -> int:
        """Drop settled rows and decisions older than they are kept; how many. Operation ids and
        last fixes bound themselves. What was erased since goes from the servers' files too.
        """
        self._require_open()
        total, numbers = 0, list(range(self._partitions.count))
        while numbers:
            request = (now_ms - SETTLED_KEPT_MS, decisions_before_ms, _TRIM_ROWS)
            replies = await self._partitions.call("trim", dict.fromkeys(numbers, request))
            total += sum(count for count, _ in replies.values())
            numbers = [number for number, (_, has_more) in replies.items() if has_more]
        if self._has_erased:
            self._has_erased = False
            await self._link.everywhere("BGREWRITEAOF")
        return total

    async def stats(self) -> Stats:
        """Sizes."""
        self._require_open()
        sizes = list((await self._partitions.of_all("sizes", ())).values())
        people, devices, pending, dead, said = (sum(row[ix] for row in sizes) for ix in range(5))
        oldest = [int(float(row[5])) for row in sizes if row[5]]
        return Stats(
            record_count=people,
            device_count=devices,
            pending_count=pending,
            oldest_pending_ms=min(oldest, default=None),
            dead_count=dead,
            decision_count=said,
            disk_bytes=await self._log_bytes(),
        )

    async def _log_bytes(self) -> int:
        told = (await self._link.everywhere("INFO", "persistence")).values()
        lines = (line for text in told for line in text.decode().splitlines())
        return sum(int(line.partition(":")[2]) for line in lines if line.startswith("aof_current"))

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
        self._has_erased = True

    def _require_open(self) -> None:
        if not self._is_open:
            raise StateUnavailable("the state is not open")
