"""The compiled pass takes only what changes nothing: nobody can tell that it was there."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Longs, Sightings
from geoengine.core.errors import StateConflict
from geoengine.core.places.policy import Policy
from geoengine.core.record import Change
from geoengine.state.amending import grant, identify, withdraw
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from tests.core.roads import (
    COMPILED,
    DEFINITION,
    Ground,
    Road,
    Shape,
    Watchful,
    away,
    on_every_road,
    remembered,
    whereabouts,
)
from tests.core.world import ADULT, GEOD, LAT, LON, NOON_MS, UUID, Walk, a_campaign

CAMPAIGNS = [a_campaign("hello"), a_campaign("linger", on="dwell"), a_campaign("bye", on="exit")]
EAGER = Policy(
    confirm_enter_p=0.6,
    confirm_leave_p=0.2,
    buffer_m=10,
    dwell_s=30,
    silence_s=600,
    cross_m=20,
    cross_gap_s=120,
)
WIDE = Policy(enter_p=0.99, buffer_m=120, buffer_per_accuracy=2, fresh_s=60)
GROUNDS = {
    # Overlapping circles, one beside a doorway with a beacon; all are near ones.
    "town": Ground.of(
        LON,
        LAT,
        [
            Shape(0, 0, 100),
            Shape(120, 0, 100, policy_ix=1),
            Shape(60, 40, 30),
            Shape(1_200, 0, 100, policy_ix=2),
            Shape(3_500, 0, 2_000),
            Shape(40, 10, 140),
        ],
        [Policy(), EAGER, WIDE],
        places=["door"],
        campaigns=CAMPAIGNS,
    ),
    # Stars, one zone of less than ten metres, and one too large to be near: none of these is taken.
    "outskirts": Ground.of(
        LON,
        LAT,
        [
            Shape(0, 0, 100),
            Shape(600, 0, 150, points=5),
            Shape(560, 60, 60),
            Shape(-700, 0, 8),
            Shape(-650, 40, 120, policy_ix=1),
            Shape(0, 9_000, 15_000 / 2),
            Shape(26_000, 0, 24_000),
        ],
        [Policy(), EAGER],
        campaigns=CAMPAIGNS,
    ),
    "dateline": Ground.of(
        180.0,
        -16.8,
        [Shape(0, 0, 400), Shape(-380, 0, 60), Shape(500, 0, 150), Shape(-2_000, 0, 1_000)],
        campaigns=CAMPAIGNS,
    ),
    # Meridians run together; beyond 80 degrees no circle is near, beyond 85 no way is.
    "north": Ground.of(
        15.6,
        79.99,
        [Shape(0, 0, 100), Shape(150, 0, 100), Shape(0, 2_000, 300), Shape(0, -1_500, 700)],
        campaigns=CAMPAIGNS,
    ),
    "pole": Ground.of(-40.0, 84.998, [Shape(0, 0, 100), Shape(0, 600, 300), Shape(-400, 0, 200)]),
}

DEVICES = ["ann", "bob", "eve", "customer"]

# --- stories ------------------------------------------------------------------------------------

# Device, seconds on, whereto, accuracy. Whereto is a zone, radii from its middle and a part of a
# turn, or so many metres east of where the device is.
row = st.tuples(
    st.sampled_from(["ann", "ann", "bob", "bob", "eve"]),
    st.sampled_from([5, 20, 60, 60, 61, 119, 120, 280, 300])
    | st.sampled_from([60, 60, 20, -30, 0, 301, 590, 1_790, 1_801]),
    st.sampled_from([0.0, 0.0, 0.0, 1.5, 20.0, 49.0, 70.0, 150.0])
    | st.tuples(
        st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 5]),
        st.sampled_from([0, 0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1, 1.02, 1.2, 1.5, 2, 4, 30]),
        st.sampled_from([0, 0.02, 0.25, 0.5, 0.52, 0.6, 0.75]),
    ),
    st.sampled_from([1, 3, 10, 20]) | st.sampled_from([10, 10, 10, 10, 10, 40, 130, 900]),
)
# Rows of a post, and the seconds until it was heard of.
post = st.tuples(
    st.lists(row, min_size=1, max_size=3),
    st.just(0) | st.sampled_from([0, 0, 0, 1, 3, 90, 2_200_000]),
)
# What else there is in a batch, or between two.
aside = st.sampled_from(["hear", "hear", "withdraw", "grant", "identify", "identify too"])
# Posts of a batch, seconds until the next, and the aside.
batch = st.tuples(
    st.lists(post, min_size=1, max_size=2),
    st.just(0) | st.sampled_from([0, 0, 45, 130, 2_000]),
    st.just("") | aside,
)
stories = st.lists(batch, min_size=3, max_size=16)


@dataclass
class Story:
    """A story as it is lived on one road."""

    walk: Walk
    ground: Ground
    at_s: int = 2
    now_s: int = 0
    spots: dict[str, tuple[float, float]] = field(default_factory=dict)  # by device

    async def live(self, story: list) -> None:
        for posts, pause_s, aside in story:
            await self._between(aside)
            columns = [self._post(rows, lag_s) for rows, lag_s in posts]
            self.now_s = max(self.now_s, self.at_s)
            heard = self._heard() if aside == "hear" else Sightings.empty()
            fixes = await self._of_one_device(Fixes.concat(columns))
            now_ms = max(NOON_MS + 1_000 * self.now_s, int(fixes.recv_ms.max()))
            await self.walk.run(fixes=fixes, sightings=heard, now_ms=now_ms)
            if pause_s:
                self.now_s += pause_s
                self.at_s = max(self.at_s, self.now_s)
                await self.walk.tick(self.now_s)

    async def _of_one_device(self, fixes: Fixes) -> Fixes:
        """The fixes of a batch, of who stands nowhere yet from one device only: in which order two
        devices of one person count within a batch is told by what stands on record alone.
        """
        owners = await self.walk.state.owners(fixes.device_ids)
        records = await self.walk.state.load(sorted({*owners}))
        standing = {name for name, record in records.items() if record.presences or record.heard}
        first = dict(reversed([*zip(owners, fixes.device_ids, strict=True)]))
        rows = [
            row
            for row, (owner, device_id) in enumerate(zip(owners, fixes.device_ids, strict=True))
            if owner in standing or first[owner] == device_id
        ]
        return fixes.take(np.array(rows))

    def _post(self, rows: list, lag_s: int) -> Fixes:
        self.walk.post_ix += 1
        at_s, spots = [], []
        for device_id, seconds, whereto, _ in rows:
            before = self.spots.get(device_id, (self.ground.lon_deg, self.ground.lat_deg))
            spot = self._spot(before, whereto)
            if seconds:  # who takes no time at all jumps
                seconds = max(seconds, int(GEOD.inv(*before, *spot)[2] / 50))
            self.at_s = max(self.at_s + seconds, 2)
            self.spots[device_id] = spot
            at_s.append(self.at_s)
            spots.append(spot)
        # No two at the same instant: which of two devices of one person then counts first is open.
        beats_ms = [DEVICES.index(device_id) for device_id, *_ in rows]
        fix_ms = NOON_MS + 1_000 * np.array(at_s, np.int64) + beats_ms
        return Fixes.of(
            [device_id for device_id, *_ in rows],
            np.array([lon for lon, _ in spots]),
            np.array([lat for _, lat in spots]),
            fix_ms,
            accuracy_m=np.array([float(accuracy_m) for *_, accuracy_m in rows]),
            recv_ms=int(fix_ms.max()) + 1_000 * lag_s,
            post_ix=self.walk.post_ix,
        )

    def _spot(self, before: tuple[float, float], whereto: float | tuple) -> tuple[float, float]:
        if isinstance(whereto, tuple):
            zone_ix, *place = whereto
            return self.ground.spot(zone_ix % len(self.ground.shapes), *place)
        return away(*before, whereto, 0.0)

    def _heard(self) -> Sightings:
        """A doorway's beacon, thrice, by a device that is there or not."""
        seen_ms = NOON_MS + 1_000 * (self.at_s + np.arange(3))
        self.walk.post_ix += 1
        return Sightings(
            ["ann"] * 3,
            [None] * 3,
            [(UUID, 1, 1)] * 3,
            np.full(3, -60.0),
            np.full(3, np.nan),
            seen_ms,
            seen_ms,
            np.full(3, self.walk.post_ix),
        )

    async def _between(self, aside: str) -> None:
        state, book, now_ms = await self.walk.open(), self.walk.book, NOON_MS + 1_000 * self.now_s
        if aside == "withdraw":
            told = await withdraw(state, book, "ann", "location", {}, now_ms)
            self.walk.events += told.events
        elif aside == "grant":
            await grant(state, book, "ann", "location", {}, now_ms)
        elif aside.startswith("identify"):
            device_id = "eve" if aside.endswith("too") else "bob"
            await identify(state, book, device_id, "customer", now_ms)


async def lived(
    road: Road, ground: Ground, story: list, *, is_virtual: bool, is_assumed: bool
) -> tuple[Watchful, list]:
    """The state at the end, and all that anybody was told."""
    state = road.state()
    walk = Walk(
        ground.book,
        state=state,
        is_virtual=is_virtual,
        assumed=ADULT if is_assumed else frozenset(),
    )
    if not is_assumed:
        for person_id in ("bob", "eve", "customer"):  # but not Ann, who has to be asked first
            await walk.agree(person_id, "location")
    with road.taken():
        await Story(walk, ground).live(story)
    told = [walk.events, [o.decisions for o in walk.outcomes], [+o.counts for o in walk.outcomes]]
    return state, told


@COMPILED
@pytest.mark.parametrize("few", [0, 6], ids=["columns", "few"])
@pytest.mark.parametrize("name", GROUNDS)
@settings(max_examples=12, deadline=None)
@given(stories, st.booleans(), st.sampled_from([True, True, True, False]))
def test_nobody_can_tell_that_the_pass_was_there(
    name: str, few: int, story: list, is_virtual: bool, is_assumed: bool
):
    async def law() -> None:
        how = {"is_virtual": is_virtual, "is_assumed": is_assumed}
        mine, told = await lived(Road(True, few), GROUNDS[name], story, **how)
        theirs, wanted = await lived(DEFINITION, GROUNDS[name], story, **how)
        assert told == wanted
        assert await remembered(mine) == await remembered(theirs)
        assert await whereabouts(mine, DEVICES) == await whereabouts(theirs, DEVICES)

    asyncio.run(law())


@on_every_road
def test_a_dwell_that_a_fix_at_rest_makes_fresh_is_not_slept_through(road: Road):
    async def law() -> None:
        ground = Ground.of(LON, LAT, [Shape(0, 0, 100)], [Policy(dwell_s=600, fresh_s=120)])
        walk = Walk(ground.book, state=road.state())
        await walk.post((0, -400), (60, 0))
        await walk.post((600, 0))
        await walk.tick(661)
        assert walk.told()[-1] == ("zone.dwelled", 660)

    road.run(law())


@COMPILED
async def test_what_was_noted_is_counted_when_the_rest_is_tried_again():
    """Ann falls silent just when all that the batch holds is Bob, far away and quiet."""

    class Overtaken(Watchful):
        is_overtaken = False

        async def commit(self, commit: Commit) -> None:
            if self.is_overtaken:
                self.is_overtaken = False
                raise StateConflict(["ann"])
            await super().commit(commit)

    state = Overtaken(None)
    walk = Walk(GROUNDS["town"].book, state=state)
    await walk.post((0, -5_000), device="bob")
    await walk.post((0, -400), (60, 0))
    state.is_overtaken = True
    await walk.post((1_900, -5_000), device="bob")
    assert not state.is_overtaken
    assert state.taken_count >= 1
    assert walk.outcomes[-1].counts["exit"] >= 1
    assert walk.outcomes[-1].counts["accepted"] == 1


# --- cities -------------------------------------------------------------------------------------

M_PER_DEG = 111_320.0


@dataclass
class Crowd:
    """People about a few cities: most stand, some walk, some drive."""

    rng: np.random.Generator
    lon_deg: np.ndarray
    lat_deg: np.ndarray
    east_mps: np.ndarray
    north_mps: np.ndarray
    heard_s: np.ndarray
    now_s: float = 0.0
    post_ix: int = 0

    @classmethod
    def of(cls, rng: np.random.Generator, centers: np.ndarray, count: int) -> Crowd:
        homes = centers[rng.integers(len(centers), size=count)]
        spread = rng.normal(0, 0.012, (count, 2))
        speed_mps = rng.choice([0.0, 0.0, 0.0, 1.4, 12.0], count)
        turn = rng.uniform(0, 2 * np.pi, count)
        return cls(
            rng,
            lon_deg=homes[:, 0] + spread[:, 0],
            lat_deg=homes[:, 1] + spread[:, 1],
            east_mps=speed_mps * np.cos(turn),
            north_mps=speed_mps * np.sin(turn),
            heard_s=np.zeros(count),
        )

    def post(self, who: np.ndarray, seconds: float) -> Fixes:
        """One fix of each of these people, so many seconds after the last post."""
        self.now_s += seconds
        self.post_ix += 1
        gap_s = self.now_s - self.heard_s[who]
        self.heard_s[who] = self.now_s
        by_lat = np.cos(np.radians(self.lat_deg[who])) * M_PER_DEG
        self.lon_deg[who] += self.east_mps[who] * gap_s / by_lat
        self.lat_deg[who] += self.north_mps[who] * gap_s / M_PER_DEG
        accuracy_m = self.rng.choice([5.0, 8.0, 12.0, 20.0, 60.0], len(who))
        error = self.rng.normal(0, 1, (2, len(who))) * accuracy_m / 1.5 / M_PER_DEG
        fix_ms = np.full(len(who), NOON_MS + round(1_000 * self.now_s))
        return Fixes.of(
            [f"device{ix}" for ix in who.tolist()],
            self.lon_deg[who] + error[0],
            self.lat_deg[who] + error[1],
            fix_ms,
            accuracy_m=accuracy_m,
            recv_ms=fix_ms + self.rng.choice([0, 0, 400], len(who)),
            post_ix=self.post_ix,
        )


async def crowded(road: Road, ground: Ground, centers: np.ndarray) -> tuple[Watchful, list, int]:
    """A day's worth of batches of all sizes; everything told, and how many fixes there were."""
    rng = np.random.default_rng(20_260_414)
    crowd, state, count = Crowd.of(rng, centers, 2_500), road.state(), 0
    walk = Walk(ground.book, state=state, is_virtual=False)
    everybody = np.arange(2_500)
    sizes = [5_000, 5_000, *[300] * 12, 5_000, *[7] * 60, *[1] * 120, 5_000]
    with road.taken():
        for size in sizes:
            if size == 5_000:
                posts = [crowd.post(rng.permutation(everybody), 45) for _ in range(2)]
            else:
                posts = [crowd.post(rng.choice(everybody, size, replace=False), 2)]
            fixes = Fixes.concat(posts)
            count += len(fixes)
            await walk.run(fixes=fixes, now_ms=int(fixes.recv_ms.max()))
    told = [walk.events, [+outcome.counts for outcome in walk.outcomes]]
    return state, told, count


@COMPILED
def test_the_pass_takes_most_of_what_a_city_sends_and_tells_the_same():
    rng = np.random.default_rng(7)
    centers = np.array([[2.35, 48.86], [4.83, 45.76], [-0.58, 44.84], [7.26, 43.70]])
    homes = centers[rng.integers(len(centers), size=300)] + rng.normal(0, 0.02, (300, 2))
    shapes = [
        Shape(
            (lon - LON) * M_PER_DEG * np.cos(np.radians(lat)),
            (lat - LAT) * M_PER_DEG,
            float(rng.choice([40, 90, 150, 300, 300, 600])),
            policy_ix=int(rng.integers(3)),
        )
        for lon, lat in homes.tolist()
    ]
    ground = Ground.of(LON, LAT, shapes, [Policy(), EAGER, WIDE])

    async def law() -> None:
        mine, told, count = await crowded(Road(True, 6), ground, centers)
        theirs, wanted, _ = await crowded(DEFINITION, ground, centers)
        assert told == wanted
        assert sum(event.type == "zone.entered" for event in told[0]) > 100
        assert await remembered(mine) == await remembered(theirs)
        devices = [f"device{ix}" for ix in range(2_500)]
        assert await whereabouts(mine, devices) == await whereabouts(theirs, devices)
        assert mine.taken_count > 0.5 * count

    asyncio.run(law())


# --- people who are being written ---------------------------------------------------------------


@COMPILED
async def test_nobody_whose_record_is_on_its_way_to_the_disk_is_taken(tmp_path: Path):
    ground = GROUNDS["town"]
    state = LocalState(tmp_path / "state.db")
    walk = Walk(ground.book, state=state)
    lon_deg, lat_deg = (np.full(2, deg) for deg in ground.spot(3, 0.0, 0.0))

    def fixes(seconds: int) -> Fixes:
        at_ms = np.full(2, NOON_MS + 1_000 * seconds)
        return Fixes.of(["ann", "bob"], lon_deg, lat_deg, at_ms, post_ix=seconds)

    async def left(seconds: int, busy: set[str]) -> list[int]:
        asked = fixes(seconds)
        now_ms = int(asked.recv_ms.max())
        rows = await state.note_quiet(asked, ground.book, busy, is_assumed=True, now_ms=now_ms)
        return rows.tolist()

    for seconds in (0, 60, 200):
        await walk.run(fixes=fixes(seconds), now_ms=NOON_MS + 1_000 * seconds)
    record = (await state.load(["ann"]))["ann"]
    commit = asyncio.create_task(state.commit(Commit("durable", (Change(record, None),))))
    await asyncio.sleep(0)
    assert not commit.done()
    assert await left(210, set()) == [0]
    await commit
    assert await left(220, set()) == []
    assert await left(230, {"bob"}) == [1]
    await state.close()


class Asked(Watchful):
    """A state that remembers whom the pass was last told to leave."""

    busy: frozenset[str] = frozenset()

    async def note_quiet(
        self, fixes: Fixes, book: Book, busy: Set[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        self.busy = frozenset(busy)
        return await super().note_quiet(fixes, book, busy, is_assumed=is_assumed, now_ms=now_ms)


async def test_who_is_due_or_was_heard_by_a_beacon_is_left_to_the_record():
    ground = GROUNDS["town"]
    walk = Walk(ground.book, state=(state := Asked(None)))
    story = Story(walk, ground)
    await walk.post((0, 1_200), (60, 1_200), device="bob")
    assert state.busy == set()
    story.at_s = 3_000
    fixes = story._post([("eve", 5, 0.0, 10)], 0)
    await walk.run(fixes=fixes, sightings=story._heard(), now_ms=int(fixes.recv_ms.max()))
    assert state.busy == {"ann", "bob"}
