"""People who only stay where they are: told from columns, as the record would tell it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.look.stays import settled
from geoengine.core.record import Heard, Presence, Record
from geoengine.state.amending import identify
from geoengine.state.local import LocalState
from tests.core.roads import DEFINITION, Road, on_every_road, remembered
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store

# Two zones that overlap, and one apart with a campaign of its own.
STORES = [a_store("shop"), a_store("twin", 120.0), a_store("far", 1200.0)]
CAMPAIGNS = [a_campaign("hello"), a_campaign("linger", on="dwell"), a_campaign("bye", on="exit")]
BOOK = World(stores=STORES, campaigns=CAMPAIGNS).book()

# Posts of fixes: device, seconds on, metres east, accuracy; heard of so much later; ticks between.
fix = st.tuples(
    st.sampled_from(["ann", "ann", "bob", "eve"]),
    st.sampled_from([-30, 0, 5, 20, 60, 60, 61, 119, 120, 300, 1750, 1900]),
    st.sampled_from([-400, -95, 0, 10, 30, 50, 60, 70, 105, 140, 230, 600, 1180, 1210]),
    st.sampled_from([3, 10, 10, 40, 130]),
)
posts = st.lists(
    st.tuples(
        st.lists(fix, min_size=1, max_size=5),
        st.sampled_from([0, 0, 1, 3, 90]),
        st.sampled_from([0, 0, 0, 45, 130, 2000]),
    ),
    min_size=1,
    max_size=12,
)


async def lived(state: LocalState, story: list, *, is_virtual: bool, alias: bool) -> Walk:
    walk = Walk(BOOK, state=state, is_virtual=is_virtual)
    at, now = 0, 0
    if alias:
        await walk.post(("bob", 1, -400), ("eve", 1, -400))
        await identify(state, BOOK, "bob", "ann", NOON_MS + 1_000)
    for rows, lag, pause in story:
        placed = []
        for device, seconds, east, accuracy in rows:
            at = max(at + seconds, 2)
            placed.append((device, at, east, accuracy))
        await walk.post(*placed, lag_s=lag)
        now = max(now, at + lag)
        if pause:
            now += pause
            at = max(at, now - lag)
            await walk.tick(now)
    return walk


@on_every_road
@settings(max_examples=30, deadline=None)
@given(posts, st.booleans(), st.booleans())
def test_columns_and_records_tell_the_same(road: Road, story: list, is_virtual: bool, alias: bool):
    async def law() -> None:
        mine, theirs = road.state(), DEFINITION.state()
        by_columns = await lived(mine, story, is_virtual=is_virtual, alias=alias)
        with DEFINITION.taken():
            by_record = await lived(theirs, story, is_virtual=is_virtual, alias=alias)
        assert by_columns.events == by_record.events
        assert await remembered(mine) == await remembered(theirs)

    road.run(law())


@on_every_road
def test_nobody_asks_for_the_record_of_somebody_who_only_stays(road: Road):
    async def law() -> None:
        state = road.state()
        walk = Walk(BOOK, state=state)
        await walk.post((0, -400), (60, 0), (120, 5), (200, 0))
        assert walk.events[-2].type == "zone.dwelled"
        before = state.loaded_count
        for minute in range(4, 20):
            await walk.post((60 * minute, minute % 7))
        assert state.loaded_count == before
        assert (await state.load(["ann"]))["ann"].presences["shop"].seen_ms == NOON_MS + 60 * 19_000
        await walk.post((60 * 20, -600))
        (closed,) = (event for event in walk.events if event.type == "zone.exited")
        assert closed.data["duration_s"] == 60 * 19

    road.run(law())


@on_every_road
def test_a_dwell_that_falls_due_is_not_slept_through(road: Road):
    async def law() -> None:
        walk = Walk(BOOK, state=road.state())
        await walk.post((0, -400), (60, 0))
        await walk.post((179, 5))
        assert "zone.dwelled" not in [event.type for event in walk.events]
        await walk.post((181, 5))
        assert "zone.dwelled" in [event.type for event in walk.events]

    road.run(law())


@on_every_road
def test_silence_counts_from_the_last_fix_at_rest(road: Road):
    async def law() -> None:
        walk = Walk(BOOK, state=road.state())
        await walk.post((0, -400), (60, 0), (300, 0))
        await walk.post((1500, 0))
        await walk.tick(60 + 1800)
        assert "zone.exited" not in [event.type for event in walk.events]
        await walk.tick(1500 + 1801)
        (closed,) = (event for event in walk.events if event.type == "zone.exited")
        assert (closed.data["reason"], closed.data["duration_s"]) == ("silence", 1440)

    road.run(law())


def standing(**more: object) -> Record:
    presence = Presence(True, 7, "ann", since_ms=1, seen_ms=5, dwell_ms=9)
    record = Record("ann", devices={"ann": 5}, presences={"shop": presence}, lag_ms=2)
    for name, value in more.items():
        setattr(record if hasattr(record, name) else presence, name, value)
    return record


def test_who_has_anything_pending_is_not_settled():
    assert settled(standing()) == ("ann", (7,), 9, 2, True)
    assert settled(standing(pending_ms=4)) is None
    assert settled(standing(is_inside=False)) is None
    assert settled(standing(seen_ms=4)) is None
    assert settled(standing(zone_print=0)) is None
    assert settled(standing(heard={"shop/door": Heard([1], [-50.0])})) is None
    assert settled(Record("ann")) is None
    at_the_door = standing()
    at_the_door.presences["shop/door"] = Presence(True, 8, "ann", since_ms=1, seen_ms=5)
    assert settled(at_the_door) is None
