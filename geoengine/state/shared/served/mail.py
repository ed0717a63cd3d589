"""The outbox of the partitions that this process serves.

A row in somebody's hands is told apart by owner and by process: rows of a process that is no more
are freed by whoever serves their partition, long before their lease runs out.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Record
from geoengine.state.base import Leased, SentRow, Settlement
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.rows import record_of, send_of, sent_row
from geoengine.state.shared.served.gathering import Gathering
from geoengine.state.shared.served.horizon import NEVER_MS, Horizon
from geoengine.state.shared.served.leases import Leases


class Mail:
    """One process's hands on the outbox; `Outbox` in `base` says what each does."""

    def __init__(
        self, partitions: Partitions, leases: Leases, horizon: Horizon, process: str
    ) -> None:
        self._partitions = partitions
        self._leases = leases
        self._horizon = horizon
        self._process = process
        self._partition_of: dict[str, int] = {}  # of rows in hand
        self._leasing = asyncio.Lock()
        self._beginning = Gathering(self._begin)
        self._settling = Gathering(self._settle)

    async def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Take rows of the partitions held that are due and free until ``now_ms + lease_ms``."""
        async with self._leasing:  # or two would choose the same rows, and one get none
            return await self._lease(now_ms, limit, owner, lease_ms)

    async def _lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        horizon = await self._horizon.look()
        late = [number for number, one in horizon.items() if one.wait_ms <= now_ms]
        chosen = await self._horizon.late("peek", late, now_ms, limit)
        if not chosen:
            return []
        until_ms, shares = now_ms + lease_ms, dict[int, list[str]]()
        for _, send_id, number in chosen:
            shares.setdefault(number, []).append(send_id)
        requests = {
            number: (mine, now_ms, until_ms, owner, self._process)
            for number, mine in shares.items()
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
        found = await self._beginning.of(rows)
        if not self._leases.is_alive:
            # Cut off for a while, it is no more for whoever withdraws: nobody would wait for this.
            raise StateUnavailable("this process may be taken for dead")
        return {
            row.send.person_id: found[row.send.send_id] for row in rows if row.send.send_id in found
        }

    async def _begin(self, rows: list[Leased]) -> dict[str, Record]:
        """The records of their people, by send."""
        shares = self._partitions.split(rows, lambda row: row.send.person_id)
        requests = {
            number: [[row.send.send_id, row.owner, row.send.person_id] for row in mine]
            for number, mine in shares.items()
        }
        # What is about to be sent is held by the replicas, and so is the commit it comes from: or a
        # master that fails would forget a place under a cap that was taken.
        replies = await self._partitions.call("begin", requests, is_write=True)
        return {
            row.send.send_id: record_of(*found)
            for number, mine in shares.items()
            for row, found in zip(mine, replies[number], strict=True)
            if found
        }

    async def is_begun(self, person_id: str, owner: str, now_ms: int) -> bool:
        """Whether anybody else, alive, has begun to send to a person and not settled."""
        number = self._partitions.of(person_id)
        replies = await self._partitions.call("begun", {number: (person_id, owner, now_ms)})
        processes = {process.decode() for process in replies[number]}
        # Asked in this order, whoever has begun has been alive before.
        return bool(processes) and not processes.isdisjoint(await self._leases.alive())

    async def settle(self, settlements: list[Settlement], owner: str, now_ms: int) -> list[str]:
        """End or postpone rows this owner holds; the send_ids settled, in order."""
        settled = await self._settling.of([(one, owner, now_ms) for one in settlements])
        return [one.send_id for one in settlements if one.send_id in settled]

    async def _settle(self, ends: list[tuple[Settlement, str, int]]) -> set[str]:
        """The send_ids settled."""
        settled: set[str] = set()
        for owner in dict.fromkeys(owner for _, owner, _ in ends):
            mine = [one for one, by, _ in ends if by == owner]
            now_ms = max(at_ms for _, by, at_ms in ends if by == owner)
            settled |= await self._settle_of(mine, owner, now_ms)
        return settled

    async def _settle_of(self, settlements: list[Settlement], owner: str, now_ms: int) -> set[str]:
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
        for one in settlements:
            self._partition_of.pop(one.send_id, None)
        return {send_id.decode() for told in replies.values() for send_id in told}

    async def next_due(self) -> int | None:
        """When the next row of the partitions held falls due or its lease runs out."""
        horizon = await self._horizon.look()
        first_ms = min((one.wait_ms for one in horizon.values()), default=NEVER_MS)
        return None if first_ms == NEVER_MS else first_ms

    async def sends(self, status: str = "", limit: int = 100) -> list[SentRow]:
        """Rows of the outbox and, while kept, how they ended; newest first."""
        replies = await self._partitions.of_all("list", (status, limit))
        found = [
            sent_row(row, is_held=bool(is_held))
            for told in replies.values()
            for row, is_held in zip(told[1::3], told[2::3], strict=True)
        ]
        found.sort(key=lambda row: (row.send.created_ms, row.send.send_id), reverse=True)
        return found[:limit]

    async def sends_of(self, person_id: str, limit: int) -> list[SentRow]:
        """A person's rows, also how they ended; what was appended last first."""
        number = self._partitions.of(person_id)
        told = (await self._partitions.call("sends_of", {number: (person_id, limit)}))[number]
        rows = zip(told[::2], told[1::2], strict=True)
        return [sent_row(row, is_held=bool(is_held)) for row, is_held in rows]

    async def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[str]:
        """Make dead rows pending again, due now; the send_ids revived."""
        request = (list(dict.fromkeys(send_ids)), now_ms, expires_ms, uuid4().hex)
        replies = await self._partitions.of_all("revive", request, is_write=True)
        revived = {send_id.decode() for told in replies.values() for send_id in told}
        self._horizon.touch(number for number, told in replies.items() if told)
        return [send_id for send_id in dict.fromkeys(send_ids) if send_id in revived]

    async def look_through(self, numbers: list[int]) -> None:
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
