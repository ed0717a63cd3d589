"""What anybody and anything costs the servers of a shared state: bytes in memory, bytes logged.

    python benchmarks/bench_sizes.py [--count 100000] [--out benchmarks/results/sizes.md]

One person is taken through the engine, from consent to a message on its way; then the state is
given a great many like them, kind by kind, and the server is asked what it has grown by. Rows are
of the sizes that a real campaign makes. On Valkey, and on Redis where the distribution has it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from bench_state import last_fixes
from keeping import Server, binaries
from msgspec.structs import replace as changed
from revision import commit

from geoengine.catalog import read
from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch
from geoengine.core.record import Change, Consent, Decision, Record, Send
from geoengine.state.base import Commit, Settlement
from geoengine.state.local import LocalState
from geoengine.state.loop import advance
from geoengine.state.redis import RedisState
from geoengine.state.shared.rows import pack

RESULTS = Path(__file__).parent / "results" / "sizes.md"
AT_ONCE = 500
ENTRY_MS = 1_795_604_400_000  # Tuesday 24 November 2026, 12:00 in Paris
LEASE_MS = 1 << 42  # later than any row falls due
OPERATIONS = 4_000  # what a partition remembers, about
FOLLOWING = 4  # decisions about somebody after the first
CATALOGUE = """\
stores:
  - {id: rivoli, name: Maison Rivoli, location: {lat: 48.8583, lon: 2.3470}, setting: city,
     reach: {radius_m: 300}, hours: "24/7", time_zone: Europe/Paris, country: FR, tags: [fashion]}
campaigns:
  - id: afterwork
    on: enter
    levers: [push, sms]
    caps: [{max: 1, per: day}, {max: 3, per: week}]
    title: {fr: "Un thé chez {store} ?", en: "Tea at {store}?"}
    message:
      fr: "Un thé offert avec le code {code}, à {minutes} min : {directions}"
      en: "Tea is on us with code {code}, {minutes} min away: {directions}"
    call_to_action: directions
    coupon: {kind: unique, valid: 2h}
"""
EVIDENCE = {"source": "app", "text_version": "2026-03", "screen": "onboarding-2", "locale": "fr"}


@dataclass(frozen=True)
class Model:
    """What there is of somebody once a campaign has fired for them."""

    before: Record  # somebody who has agreed, and is nowhere
    inside: Change  # the same in a store's zone, with a deadline
    send: Send
    decision: Decision


async def model() -> Model:
    """Take somebody into a zone."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "geoengine.yaml").write_text(CATALOGUE, "utf-8")
        book = read(Path(name)).book
    state = LocalState(None)
    await state.open()
    person_id, device_id = person(0), device(0)
    record = Record(
        person_id,
        consents={
            purpose: Consent(True, 1, ENTRY_MS - 10**9, EVIDENCE)
            for purpose in ("location", "push", "sms", "email")
        },
        addresses={"sms": "+33612345678", "email": "camille.martin@example.org"},
        push_tokens={device_id: ["android", f"{7:0142x}"]},
        attributes={"status": "premium", "points": 340, "city": "Paris"},
        locale="fr",
        devices={device_id: ENTRY_MS - 120_000},
    )
    await state.commit(Commit("", (Change(record, None),), aliases={device_id: person_id}))
    before = (await state.load([person_id]))[person_id]
    for at_ms, lat in ((ENTRY_MS - 60_000, 48.8700), (ENTRY_MS, 48.8583)):
        column = np.full(1, at_ms)
        place = np.array([2.3470]), np.array([lat])
        fixes = Fixes.of([device_id], *place, column, accuracy_m=np.array([8.0]))
        fixes = replace(fixes, recv_ms=column)
        found = await advance(state, book, Batch(fixes, Sightings.empty(), (), at_ms))
    await state.close()
    (send,), (decision,), (inside,) = found.sends, found.decisions, found.changes
    return Model(before, inside, send, decision)


def person(number: int) -> str:
    """An id as a CRM gives it."""
    return f"customer-{number:09d}"


def device(number: int) -> str:
    """An id as an app gives it."""
    return f"8c1f3d52-0b7e-4a57-9c1e-{number:012x}"


def crowd(record: Record, numbers: range, version: int) -> Iterator[Record]:
    """Others like somebody; their devices are theirs."""
    for number in numbers:
        own = device(number)
        presences = {
            zone: changed(presence, device_id=own) for zone, presence in record.presences.items()
        }
        yield changed(
            deepcopy(record),
            person_id=person(number),
            version=version,
            push_tokens={own: record.push_tokens[device(0)]},
            devices=dict.fromkeys([own], record.devices[device(0)]),
            presences=presences,
        )


def send_of(send: Send, number: int) -> Send:
    """The same to somebody else."""
    send_id = f"{number:032x}"
    return changed(send, send_id=send_id, trigger_id=send_id, person_id=person(number))


class Filling:
    """One state that is filled kind by kind; yields what is filled, and how many."""

    def __init__(self, state: RedisState, shape: Model, count: int) -> None:
        self._state, self._shape, self._count = state, shape, count

    def kinds(self) -> Iterator[tuple[str, int, Callable[[range], Awaitable[None]]]]:
        """What is filled, how many of it, and how some are."""
        count = self._count
        yield "a device that is nobody's: its last fix", count, self._strangers
        yield (
            "a person: four consents, addresses, a push token, three attributes",
            count,
            self._people,
        )
        yield "a device that belongs to a person", count, self._bound
        yield "the last fix of such a device", count, self._owned
        yield (
            "being inside a zone, with a deadline, having been sent something",
            count,
            self._inside,
        )
        yield "the first decision about a person", count, self._decided
        yield "each further one", FOLLOWING * count, self._decided_again
        yield "a message that waits to be sent", count, self._queued
        yield "once it is settled, for the week that it is kept", count, self._settled

    async def _strangers(self, numbers: range) -> None:
        last = last_fixes([device(self._count + number) for number in numbers])
        await self._write(last=last)

    async def _owned(self, numbers: range) -> None:
        last = last_fixes([device(number) for number in numbers])
        await self._write(last=replace(last, person_ids=[person(number) for number in numbers]))

    async def _people(self, numbers: range) -> None:
        records = crowd(self._shape.before, numbers, 0)
        await self._write(changes=tuple(Change(record, None) for record in records))

    async def _bound(self, numbers: range) -> None:
        names = {device(number): person(number) for number in numbers}
        await self._write(aliases=names)

    async def _inside(self, numbers: range) -> None:
        inside = self._shape.inside
        records = crowd(inside.record, numbers, 1)
        await self._write(changes=tuple(Change(record, inside.due_ms) for record in records))

    async def _decided(self, numbers: range) -> None:
        one = self._shape.decision
        made = (changed(one, person_id=person(number)) for number in numbers)
        await self._write(decisions=tuple(made))

    async def _decided_again(self, numbers: range) -> None:
        one = self._shape.decision
        people = (person(number % self._count) for number in numbers)
        await self._write(decisions=tuple(changed(one, person_id=each) for each in people))

    async def _queued(self, numbers: range) -> None:
        send = self._shape.send
        await self._write(sends=tuple(send_of(send, number) for number in numbers))

    async def _settled(self, numbers: range) -> None:
        rows = await self._state.lease(LEASE_MS, len(numbers), "bench", LEASE_MS)
        ends = [Settlement(row.send.send_id, "delivered") for row in rows]
        await self._state.settle(ends, "bench", ENTRY_MS)

    async def _write(self, **what: object) -> None:
        await self._state.commit(Commit("", now_ms=ENTRY_MS, **what))  # type: ignore[arg-type]


def measured(server: Server) -> tuple[int, int]:
    """Bytes in memory, and bytes in the log."""
    memory, log = server.info("memory"), server.info("persistence")
    return int(memory["used_memory"]), int(log["aof_current_size"])


async def rows(server: Server, shape: Model, count: int) -> AsyncIterator[str]:
    """A line of the table for each kind, and what is there before anything is."""
    empty = measured(server)[0]
    state = RedisState(server.url, last_fix_capacity=8 * count)
    await state.open()
    filling, before = Filling(state, shape, count), measured(server)
    yield f"| an empty server, in all; with the functions | {empty:,}; {before[0]:,} | |\n"
    for name, how_many, fill in filling.kinds():
        before = measured(server)
        for start in range(0, how_many, AT_ONCE):
            await fill(range(start, min(start + AT_ONCE, how_many)))
        after = measured(server)
        memory, logged = ((now - then) / how_many for now, then in zip(after, before, strict=True))
        yield f"| {name} | {memory:,.0f} | {logged:,.0f} |\n"
    yield f"| an operation that is remembered | {await operation_bytes(server, state):,.0f} | |\n"
    resident = server.info("memory")["mem_fragmentation_ratio"]
    yield f"| resident memory beside that used, at the end | {float(resident):.2f} | |\n"
    await state.close()


async def operation_bytes(server: Server, state: RedisState) -> float:
    """What an operation takes that a partition remembers, so as not to do it twice."""
    before = measured(server)[0]
    for number in range(OPERATIONS):
        nothing = Commit(f"{number:032x}", cancel_sends_of=(("nobody", ""),), now_ms=ENTRY_MS)
        await state.commit(nothing)
    return (measured(server)[0] - before) / OPERATIONS


async def lines(count: int) -> AsyncIterator[str]:
    """The report, part by part, as it is measured."""
    shape = await model()
    yield f"# The sizes of a shared state\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, "
    yield f"{platform.machine()}, {os.cpu_count()} cores, commit {commit()}; `python "
    yield f"benchmarks/bench_sizes.py --count {count}`. Bytes of `used_memory` and of the log for "
    yield f"each, by {count:,} of them and more; ids have {len(person(0))} signs (people) and "
    yield f"{len(device(0))} (devices). Packed, a record has "
    yield f"{len(pack(shape.before))} bytes, inside {len(pack(shape.inside.record))}, a send "
    yield f"{len(pack(shape.send))}, a decision {len(pack(shape.decision))}.\n"
    for name, binary in sorted(binaries().items(), reverse=True):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(
                directory=Path(folder),
                binary=binary,
                appendonly="everysec",
                options={"auto-aof-rewrite-percentage": "0"},
            )
            with server:
                said = server.info("server")
                version = said.get("valkey_version") or said["redis_version"]
                yield f"\n## {name.title()} {version}\n\n| what | bytes in memory "
                yield "| bytes logged |\n|---|--:|--:|\n"
                async for part in rows(server, shape, count):
                    yield part


async def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    text = ""
    async for part in lines(arguments.count):
        sys.stdout.write(part)
        sys.stdout.flush()
        text += part
    arguments.out.write_text(text, "utf-8")


if __name__ == "__main__":
    asyncio.run(main())
