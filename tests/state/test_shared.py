"""Two processes with fixes of the same people at once: as if one had come after the other."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Set
from dataclasses import replace

import numpy as np
import pytest

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch, Outcome
from geoengine.core.errors import StateConflict
from geoengine.core.model import Cap
from geoengine.core.record import Record
from geoengine.state import amending, loop
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store, spot
from tests.state.samples import change, one, op, write
from tests.state.sharing import SERVERS, a_state_of, kinds, named, processes, serving

STORES = [a_store("one"), a_store("two", 1_000), a_store("three", 2_000)]
CAMPAIGNS = [a_campaign("hello", caps=[Cap(max=2, per="day")]), a_campaign("bye", on="exit")]
BOOK = World(stores=STORES, campaigns=CAMPAIGNS).book()
EAST_M = (-400, 0, 20, 500, 1_000, 1_400, 2_000, 2_600)
SEEDS = range(12)


@pytest.fixture(params=[SERVERS["valkey"], SERVERS["cluster"]], ids=["valkey", "cluster"])
async def two(request: pytest.FixtureRequest) -> AsyncIterator[list[RedisState]]:
    """Two processes on one state."""
    async with processes(a_state_of(request.param())) as both:
        yield both


def walk_of(state: RedisState | LocalState) -> Walk:
    return Walk(BOOK, state=state, is_open=True)


def batch_of(*rows: tuple[str, float, float], post_ix: int = 0, due: tuple[str, ...] = ()) -> Batch:
    """Rows of (device, seconds, metres east)."""
    fix_ms = np.array([NOON_MS + round(s * 1_000) for _, s, _ in rows], np.int64)
    places = [spot(east) for *_, east in rows]
    fixes = Fixes.of(
        [device for device, *_ in rows],
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        fix_ms,
        accuracy_m=np.full(len(rows), 10.0),
        post_ix=post_ix,
    )
    now_ms = int(fix_ms.max(initial=NOON_MS))
    return Batch(fixes, Sightings.empty(), due, now_ms, is_virtual=True)


async def agreed(state: RedisState | LocalState, *people: str) -> None:
    for person in people:
        await amending.grant(state, BOOK, person, "location", {}, NOON_MS)


async def left_of(state: RedisState | LocalState, person: str) -> Record:
    """What is remembered, less how often it was written."""
    record = await one(state, person)
    record.version = 0
    return record


# --- some serial order --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
async def test_fixes_of_one_person_through_both_end_as_some_order_of_them_does(
    two: list[RedisState], seed: int
) -> None:
    rng = random.Random(seed)
    at_s = sorted(rng.sample(range(1, 600), 6))
    fixes = [("ann", s, rng.choice(EAST_M)) for s in at_s]
    await agreed(two[0], "ann")
    mine, theirs = fixes[::2], fixes[1::2]
    outcomes = await asyncio.gather(
        loop.advance(two[0], BOOK, batch_of(*mine)), loop.advance(two[1], BOOK, batch_of(*theirs))
    )
    told = Counter(event.id for outcome in outcomes for event in outcome.events)
    left = await left_of(two[1], "ann")
    serial = []
    for first, second in ((mine, theirs), (theirs, mine)):
        alone = LocalState(None)
        await alone.open()
        await agreed(alone, "ann")
        parts = [await loop.advance(alone, BOOK, batch_of(*part)) for part in (first, second)]
        ids = Counter(event.id for part in parts for event in part.events)
        serial.append((ids, await left_of(alone, "ann")))
    assert (told, left) in serial, f"seed {seed}"


async def test_devices_of_one_person_through_both_lose_nothing_to_each_other(
    two: list[RedisState],
) -> None:
    devices = [f"phone{number}" for number in range(6)]
    await agreed(two[0], "ann")
    for device in devices:
        await amending.identify(two[0], BOOK, device, "ann", NOON_MS)
    batches = [
        batch_of(
            (device, 10.0 * nth, 1_000 * (nth % 3) - 300),
            (device, 10.0 * nth + 5, 1_000 * (nth % 3)),
        )
        for nth, device in enumerate(devices)
    ]
    outcomes = await asyncio.gather(
        *(loop.advance(two[nth % 2], BOOK, batch) for nth, batch in enumerate(batches))
    )
    told = Counter(kind for outcome in outcomes for kind in kinds(outcome.events))
    record = await one(two[0], "ann")
    # Whoever is first into a zone has the visit; another device in it changes nothing.
    assert told["zone.entered"] == len(record.presences) == 3
    assert told["trigger.fired"] == len(record.fired) <= 2
    assert {d: record.devices[d] for d in devices} == {
        d: NOON_MS + 1_000 * (10 * nth + 5) for nth, d in enumerate(devices)
    }
    rows = {row.send.trigger_id for row in await two[1].sends()}
    assert rows == {fired.trigger_id for fired in record.fired}


async def test_of_quiet_fixes_of_one_device_through_both_the_older_is_late(
    two: list[RedisState],
) -> None:
    a, b = two
    await agreed(a, "ann")
    counts: Counter[str] = Counter()
    for second in range(1, 40, 2):
        older, newer = (batch_of(("ann", s, -400)) for s in (second, second + 1))
        for outcome in await asyncio.gather(
            loop.advance(a, BOOK, newer), loop.advance(b, BOOK, older)
        ):
            counts += outcome.counts
        (known,) = {int((await s.known(newer.fixes)).fix_ms[0]) for s in two}
        assert known == NOON_MS + 1_000 * (second + 1)
    assert counts["accepted"] + counts["late"] == 40 and counts["accepted"] >= 20
    late = await loop.advance(b, BOOK, batch_of(("ann", 5, 0)))
    assert late.counts["late"] == 1 and late.events == []


async def test_facts_and_fixes_of_one_person_through_both_all_count(two: list[RedisState]) -> None:
    a, b = two
    await agreed(a, "ann")

    async def told(number: int) -> None:
        def add(record: Record) -> None:
            record.attributes[f"fact{number}"] = number

        await amending.amend(two[number % 2], BOOK, "ann", add, NOON_MS)

    posts = (
        loop.advance(two[s % 2], BOOK, batch_of(("ann", float(s), 1_000.0 * (s % 2))))
        for s in range(0, 600, 30)
    )
    await asyncio.gather(*posts, *(told(number) for number in range(20)))
    assert len((await one(b, "ann")).attributes) == 20


# --- a hot person -------------------------------------------------------------------------------


class Contested(RedisState):
    """A process to which somebody is changed under its hands, as often as is said."""

    def __init__(self, url: str, other: RedisState, person: str, times: int) -> None:
        super().__init__(url)
        self._other, self._person = other, person
        self.times = times

    async def load(self, person_ids: list[str]) -> dict[str, Record]:
        """Load, and let another process write to that person before anything else."""
        records = await super().load(person_ids)
        if self._person in person_ids and self.times:
            self.times -= 1
            record = await one(self._other, self._person)
            record.attributes["times"] = self.times
            await write(self._other, record)
        return records


async def contest(two: list[RedisState], hot: str, others: list[str], times: int) -> list[set[int]]:
    """One batch of posts while somebody in it is being written to; who waited after each part."""
    a, _ = two
    await agreed(a, hot, *others)
    url = SERVERS["cluster" if a._link.is_cluster else "valkey"]()
    state = Contested(f"{url}?prefix={a._link.prefix}", a, hot, times)
    await state.open()
    waited: list[set[int]] = []

    def on_part(part: Outcome, waiting: Set[int]) -> None:
        waited.append(set(waiting))
        if not waiting:
            assert hot in {e.person_id for e in part.events} or not part.events

    rows = [
        batch_of((name, 10.0, 0.0), post_ix=nth).fixes for nth, name in enumerate([hot, *others])
    ]
    batch = Batch(Fixes.concat(rows), Sightings.empty(), (), NOON_MS + 10_000, is_virtual=True)
    try:
        outcome = await loop.advance(state, BOOK, batch, on_part)
    finally:
        await state.close()
    entered = Counter(e.person_id for e in outcome.events if e.type == "zone.entered")
    assert entered == dict.fromkeys([hot, *others], 1)
    return waited


async def test_a_hot_person_is_retried_and_holds_up_nobody_else(two: list[RedisState]) -> None:
    neighbours = [named("near", beside="hot"), *(f"p{number}" for number in range(9))]
    waited = await contest(two, "hot", neighbours, times=8)
    # After the first try only the post of the hot person waits, and at last nobody.
    assert waited[1] == {0} and waited[-1] == set() and set(map(len, waited[2:-1])) <= {1}
    assert (await one(two[1], "hot")).attributes == {"times": 0}


async def test_who_is_changed_for_ever_is_given_up_and_the_others_have_happened(
    two: list[RedisState],
) -> None:
    with pytest.raises(StateConflict) as conflict:
        await contest(two, "hot", ["eve", "bob"], times=1_000)
    assert conflict.value.people == ["hot"]
    assert (await one(two[1], "eve")).presences and (await one(two[1], "bob")).presences
    assert not (await one(two[1], "hot")).presences


# --- standing somewhere -------------------------------------------------------------------------


async def test_a_rest_noted_elsewhere_between_load_and_silence_keeps_the_visit(
    two: list[RedisState],
) -> None:
    await agreed(two[0], "ann")
    await walk_of(two[0]).post((0, -400), (10, 0), (20, 0), (200, 0), (600, 0))
    a = serving(two, "ann")
    b = next(state for state in two if state is not a)
    # A has loaded the record and steps it over a silence, while B notes that Ann is still there.
    now_ms = NOON_MS + 2_500_000
    assert await a.due(now_ms) == ["ann"]
    told = walk_of(b)
    known_to_a = (await a.load(["ann"]))["ann"]
    assert await told.post((850, 0)) == []
    assert b is told.state and (await one(b, "ann")).version == known_to_a.version  # a rest
    known_to_a.presences.clear()
    with pytest.raises(StateConflict) as conflict:
        await a.commit(Commit(op(), (change(known_to_a),)))
    assert conflict.value.people == ["ann"]
    assert await walk_of(a).tick(2_500) == []
    closed = await walk_of(a).tick(2_700)
    assert kinds(closed)[:2] == ["zone.exited", "visit.closed"]
    assert closed[0].data["duration_s"] == pytest.approx(840)


async def test_a_rest_and_a_silence_at_once_end_as_one_after_the_other(
    two: list[RedisState],
) -> None:
    people = [f"p{number}" for number in range(30)]
    alone = LocalState(None)
    await alone.open()
    rows = [(name, s, e) for name in people for s, e in ((0, -400), (10, 0), (20, 0), (400, 0))]
    for state in (two[0], alone):
        await agreed(state, *people)
        await walk_of(state).post(*rows)

    async def rests(state: RedisState | LocalState, name: str) -> list[str]:
        return kinds((await loop.advance(state, BOOK, batch_of((name, 650, 0)))).events)

    async def falls_silent(state: RedisState | LocalState, name: str) -> list[str]:
        batch = batch_of(due=(name,))
        batch = replace(batch, now_ms=NOON_MS + 2_210_000)
        return kinds((await loop.advance(state, BOOK, batch)).events)

    silent_first = await falls_silent(alone, "p0"), await rests(alone, "p0")
    rest_first = await rests(alone, "p1"), await falls_silent(alone, "p1")
    ends = (silent_first[::-1], rest_first)
    assert silent_first[0] and not rest_first[1]
    for name in people:
        order = random.sample(range(2), 2)
        works = [rests(two[1], name), falls_silent(two[0], name)]
        told = dict(zip(order, await asyncio.gather(*(works[ix] for ix in order)), strict=True))
        assert (told[0], told[1]) in ends
