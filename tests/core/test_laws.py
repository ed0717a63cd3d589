"""Laws that hold for any trace: where it is cut, what is repeated, who else is around."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.columns import Fixes, Known, Spot
from geoengine.core.look.track import ACCEPTED, Walker, follow
from geoengine.core.model import Cap
from tests.core.roads import Road, on_every_road
from tests.core.world import Walk, World, a_campaign, a_store, spot

STORES = [a_store("one"), a_store("two", 150), a_store("three", 1200)]
CAMPAIGNS = [
    a_campaign("hello", caps=[Cap(max=2, per="day")]),
    a_campaign("stay", on="dwell", priority=2),
    a_campaign("bye", on="exit", cooldown="30m"),
]
BOOK = World(stores=STORES, campaigns=CAMPAIGNS).book()

# A trace: steps of (seconds on, metres east, accuracy); walkers, idlers, jumpers.
steps = st.lists(
    st.tuples(
        st.integers(1, 2400),
        st.sampled_from([-1500, -400, -130, -95, -50, 0, 60, 92, 108, 150, 240, 600, 1200, 90_000]),
        st.sampled_from([3, 10, 15, 40, 120]),
    ),
    min_size=1,
    max_size=30,
)


def trace_of(moves: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    at, rows = 0, []
    for seconds, east, accuracy in moves:
        at += seconds
        rows.append((at, east, accuracy))
    return rows


def told(story: Walk) -> list[str]:
    return [event.id for event in story.events]


async def told_by(road: Road, *posts: list[tuple]) -> Walk:
    story = Walk(BOOK, state=road.state())
    for rows in posts:
        if rows:
            await story.post(*rows)
    return story


@on_every_road
@settings(max_examples=20, deadline=None)
@given(steps, st.integers(0, 30))
def test_the_batch_boundary_is_invisible(road: Road, moves: list, cut: int):
    async def law() -> None:
        rows = trace_of(moves)
        whole = await told_by(road, rows)
        cut_up = await told_by(road, rows[:cut], rows[cut:])
        one_by_one = await told_by(road, *[[row] for row in rows])
        assert told(whole) == told(cut_up) == told(one_by_one)
        last = [
            (await story.state.load(["ann"])).get("ann") for story in (whole, cut_up, one_by_one)
        ]
        for record in last:
            if record is not None:
                record.version = 0
                record.devices = {}  # times of fixes that nobody loaded the record for
        assert last[0] == last[1] == last[2]

    road.run(law())


@on_every_road
@settings(max_examples=15, deadline=None)
@given(steps, st.lists(st.integers(0, 60_000), max_size=5))
def test_extra_ticks_change_nothing(road: Road, moves: list, ticks: list[int]):
    async def law() -> None:
        rows = trace_of(moves)
        plain = await told_by(road, rows)
        ticked = Walk(BOOK, state=road.state())
        for row, following in zip(rows, [*rows[1:], rows[-1]], strict=True):
            await ticked.post(row)
            for tick in sorted(t for t in ticks if row[0] <= t < following[0]):
                await ticked.tick(tick)
                await ticked.tick(tick)
        assert told(ticked) == told(plain)

    road.run(law())


@on_every_road
@settings(max_examples=15, deadline=None)
@given(steps, steps)
def test_devices_are_independent(road: Road, moves: list, others: list):
    async def law() -> None:
        ann = [("ann", *row) for row in trace_of(moves)]
        bob = [("bob", *row) for row in trace_of(others)]
        both = await told_by(road, ann + bob)
        alone = {*told(await told_by(road, ann)), *told(await told_by(road, bob))}
        # What falls due by the end of the other's trace is told as well.
        assert alone <= {*told(both)}
        assert [e.id for e in both.events if e.person_id == "ann" and e.id in alone] == told(
            await told_by(road, ann)
        )

    road.run(law())


@on_every_road
@settings(max_examples=15, deadline=None)
@given(steps, st.randoms(use_true_random=False))
def test_duplicates_are_harmless(road: Road, moves: list, rng: object):
    async def law() -> None:
        rows = trace_of(moves)
        plain = await told_by(road, rows)
        doubled = sorted([*rows, *rng.choices(rows, k=len(rows))])  # type: ignore[attr-defined]
        assert told(await told_by(road, doubled)) == told(plain)
        assert told(await told_by(road, rows, rows)) == told(plain)

    road.run(law())


@on_every_road
@settings(max_examples=20, deadline=None)
@given(steps)
def test_enter_and_exit_alternate_and_dwell_falls_between_once(road: Road, moves: list):
    async def law() -> None:
        story = await told_by(road, trace_of(moves))
        for store in STORES:
            kinds = [
                event.type.split(".")[1]
                for event in story.events
                if event.type.startswith("zone") and event.data["zone_id"] == store.id
            ]
            visits = "".join(
                {"entered": "E", "dwelled": "D", "exited": "X"}.get(k, "") for k in kinds
            )
            assert visits.replace("EDX", "").replace("EX", "") in ("", "E", "ED")

    road.run(law())


@on_every_road
@settings(max_examples=15, deadline=None)
@given(steps)
def test_no_cap_is_exceeded_and_every_group_hears_one_message(road: Road, moves: list):
    async def law() -> None:
        story = await told_by(road, trace_of(moves))
        fired = [e for e in story.events if e.type == "trigger.fired"]
        assert len({e.id for e in fired}) == len(fired)
        by_day: dict[int, int] = {}
        for event in fired:
            if event.data["campaign_id"] == "hello":
                day = (event.at_ms + 2 * 3_600_000) // 86_400_000
                by_day[day] = by_day.get(day, 0) + 1
        assert all(count <= 2 for count in by_day.values())
        spoken = [e.data["visit_id"] for e in fired]
        assert len(set(spoken)) == len(spoken)

    road.run(law())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(-9, 9)), min_size=1)
)
def test_columns_and_one_fix_at_a_time_agree_on_what_counts(rows: list[tuple[str, int, int]]):
    places = [spot(east * 400.0) for *_, east in rows]
    fixes = Fixes.of(
        [device for device, *_ in rows],
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        np.array([seconds * 5_000 + 1_700_000_000_000 for _, seconds, _ in rows]),
    )
    known = Known.nothing(fixes.device_ids)
    track = follow(fixes, known)
    walkers: dict[str, Walker] = {}
    for row, source in enumerate(track.row_ix.tolist()):
        walker = walkers.setdefault(fixes.device_ids[source], Walker.of(known, 0))
        fate, previous = walker.take(
            Spot(fixes.lon_deg[source], fixes.lat_deg[source], 30.0, int(fixes.fix_ms[source]))
        )
        assert fate == track.fate[row]
        if fate == ACCEPTED:
            assert previous.at_ms == track.previous_ms[row]
    for ix, device_id in enumerate(track.last.device_ids):
        assert track.last.fix_ms[ix] == walkers[device_id].last.at_ms
        assert track.last.suspect_count[ix] == walkers[device_id].suspect_count
