"""Who serves what: partitions that come and go with processes, and what was in dead hands."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch
from geoengine.state import amending, loop
from geoengine.state.base import Settlement
from geoengine.state.redis import RedisState
from geoengine.state.shared.served.leases import BEAT_S, SILENT_MS, Leases
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store
from tests.servers.server import Server, needed
from tests.servers.shared import server
from tests.state.samples import commit_of, send
from tests.state.sharing import (
    PARTITIONS,
    SERVERS,
    a_state_of,
    died,
    held_by,
    kinds,
    partition_of,
    processes,
    serving,
    shared_out,
    until,
)

BOOK = World(stores=[a_store("shop")], campaigns=[a_campaign()]).book()
WITHIN_S = 10.0  # a dead process's work is another's
LEASE_MS = 60_000
PEOPLE = [f"p{number}" for number in range(80)]


@pytest.fixture(params=[SERVERS["valkey"], SERVERS["cluster"]], ids=["valkey", "cluster"])
async def three(request: pytest.FixtureRequest) -> AsyncIterator[list[RedisState]]:
    """Three processes that have shared the partitions out."""
    async with processes(a_state_of(request.param()), 3) as all_three:
        await until(lambda: shared_out(all_three))
        yield all_three


async def test_partitions_are_shared_out_as_processes_come_and_go() -> None:
    where = a_state_of(server("valkey").url)
    async with processes(where, 1) as [a]:
        assert held_by(a) == set(range(PARTITIONS))  # at once: nobody else is there
        async with processes(where) as [b, c]:
            await until(lambda: shared_out([a, b, c]))
            await b.close()
            await until(lambda: shared_out([a, c]), 2 * BEAT_S + 1)
        await until(lambda: shared_out([a]), BEAT_S + 1)


async def leased(state: RedisState, now_ms: int, owner: str) -> set[str]:
    """The people whose rows a process gets."""
    rows = await state.lease(now_ms, 1_000, owner, LEASE_MS)
    return {row.send.person_id for row in rows}


async def test_the_work_of_a_process_that_died_is_others_once_it_has_been_silent(
    three: list[RedisState],
) -> None:
    a, b, dead = three
    for name in PEOPLE:
        await amending.grant(a, BOOK, name, "location", {}, NOON_MS)
    story = Walk(BOOK, state=a, is_open=True)
    await story.post(*((name, s, e) for name in PEOPLE for s, e in ((0, 500), (10, 0), (20, 0))))
    sends = tuple(send(f"s{name}", name, due_ms=NOON_MS) for name in PEOPLE)
    await a.commit(commit_of(sends=sends))
    share = {name for name in PEOPLE if partition_of(name) in held_by(dead)}
    assert await leased(dead, NOON_MS + 20_000, "dead") == share
    in_hand = {state: await leased(state, NOON_MS + 20_000, "living") for state in (a, b)}

    died(dead)
    began_s = time.monotonic()
    walks = [Walk(BOOK, state=state, is_open=True) for state in (a, b)]
    taken: dict[str, float] = {}
    while taken.keys() != share and time.monotonic() < began_s + WITHIN_S:
        for walk in walks:
            await walk.tick(4_000)
            for name in await leased(walk.state, NOON_MS + 20_001, "heir"):
                taken[name] = time.monotonic() - began_s
        await asyncio.sleep(0.05)
    assert taken.keys() == share
    # Its last beat may have been that long before; and no row in living hands was free.
    assert min(taken.values()) > SILENT_MS / 1_000 - BEAT_S
    exits = [e.person_id for walk in walks for e in walk.events if e.type == "zone.exited"]
    assert sorted(exits) == sorted(PEOPLE)
    for state, people in in_hand.items():
        ended = [Settlement(f"s{name}", "delivered") for name in people]
        assert len(await state.settle(ended, "living", NOON_MS + 30_000)) == len(people) > 0


async def test_rows_in_living_hands_stay_there_when_their_partition_goes_to_another() -> None:
    where = a_state_of(server("valkey").url)
    async with processes(where, 1) as [a]:
        sends = tuple(send(f"s{name}", name, due_ms=0) for name in PEOPLE)
        await a.commit(commit_of(sends=sends))
        assert await leased(a, 0, "a") == set(PEOPLE)
        async with processes(where, 1) as [b]:
            await until(lambda: shared_out([a, b]))
            await b._leases._beat()
            assert await leased(b, 1, "b") == set()
            ended = [Settlement(f"s{name}", "delivered") for name in PEOPLE]
            assert len(await a.settle(ended, "a", 2)) == len(PEOPLE)


async def test_nobody_is_taken_for_dead_because_the_server_was_away(tmp_path: Path) -> None:
    with Server(directory=tmp_path, binary=needed("valkey")) as own:
        async with processes(own.url) as [a, b]:
            await until(lambda: shared_out([a, b]))
            sends = tuple(send(f"s{name}", name, due_ms=0) for name in PEOPLE)
            await a.commit(commit_of(sends=sends))
            in_hand = {state: await leased(state, 0, "living") for state in (a, b)}
            assert set().union(*in_hand.values()) == set(PEOPLE)
            for state in (a, b):
                died(state)  # from here on they say that they live when this test has them say it
            own.pause()
            await asyncio.sleep(SILENT_MS / 1_000 + 1.0)
            own.resume()
            for state in (a, b):  # whoever comes first finds the other long silent
                await state._leases._beat()
                await state._leases._look()
                assert await leased(state, 1, "heir") == set()
            for state, people in in_hand.items():
                ended = [Settlement(f"s{name}", "delivered") for name in people]
                assert len(await state.settle(ended, "living", 2)) == len(people) > 0


async def test_a_process_that_was_asleep_holds_nothing_until_it_has_said_that_it_lives() -> None:
    where = a_state_of(server("valkey").url)
    command = (sys.executable, "-m", "tests.state.sleeper", where)
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None

    async def until_it_holds(wanted: bool) -> None:
        async with asyncio.timeout(20.0):
            while bool(int((await child.stdout.readline()).split()[1])) != wanted:
                pass

    try:
        async with processes(where, 1) as [a]:
            await until_it_holds(True)
            await until(lambda: _is(lambda: len(held_by(a)) == PARTITIONS // 2))
            child.send_signal(signal.SIGSTOP)
            began_s = time.monotonic()
            await until(lambda: _is(lambda: len(held_by(a)) == PARTITIONS))
            assert SILENT_MS / 1_000 - BEAT_S < time.monotonic() - began_s < WITHIN_S
            while not await _is_drained(child.stdout):
                pass
            child.send_signal(signal.SIGCONT)
            assert (await child.stdout.readline()).split()[1] == b"0"
            await until_it_holds(True)
    finally:
        child.kill()
        await child.wait()


async def _is(holds: object) -> bool:
    return bool(holds())  # type: ignore[operator]


async def _is_drained(said: asyncio.StreamReader) -> bool:
    """Whether nothing is left of what was said before; reads a line of it if there is."""
    try:
        async with asyncio.timeout(0.2):
            await said.readline()
    except TimeoutError:
        return True
    return False


async def test_a_deadline_is_told_once_however_many_serve_it(three: list[RedisState]) -> None:
    a = three[0]
    await amending.grant(a, BOOK, "ann", "location", {}, NOON_MS)
    await Walk(BOOK, state=a, is_open=True).post((0, 500), (10, 0), (20, 0))
    walks = [Walk(BOOK, state=state, is_open=True) for state in three]
    # As if it went from one to the other while they were at it.
    due = NOON_MS + 4_000_000
    batches = [_serve(walk, "ann", due) for walk in walks for _ in range(5)]
    await asyncio.gather(*batches)
    told = [kind for walk in walks for kind in kinds(walk.events)]
    assert sorted(told) == ["visit.closed", "zone.dwelled", "zone.exited"]
    assert serving(three, "ann") and not await serving(three, "ann").due(due)


async def _serve(walk: Walk, person: str, now_ms: int) -> None:
    """Look after somebody who is said to be due."""
    batch = Batch(Fixes.empty(), Sightings.empty(), (person,), now_ms, is_virtual=True)
    walk.events += (await loop.advance(walk.state, BOOK, batch)).events


async def test_who_looks_through_what_it_took_over_goes_on_saying_that_it_lives() -> None:
    async with processes(a_state_of(server("valkey").url), 1) as [state]:
        looking, seen = asyncio.Event(), asyncio.Event()

        async def look(numbers: list[int]) -> None:
            looking.set()
            await seen.wait()

        died(state)
        leases = Leases(state._link, "another", PARTITIONS, look)
        starting = asyncio.ensure_future(leases.start())
        try:
            await until(lambda: _is(looking.is_set))
            first_s = leases._until_s
            await until(lambda: _is(lambda: leases._until_s > first_s), 2 * BEAT_S)
        finally:
            seen.set()
            await starting
            await leases.stop()
