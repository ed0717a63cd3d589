"""The compiled pass takes only what changes nothing: nobody can tell that it was there."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core import quiet, stays, track, units
from geoengine.core.columns import NEVER_MS, STAYS_MAX, Fixes, Sightings
from geoengine.core.engine import Batch
from geoengine.core.policy import Policy
from geoengine.core.record import Change, Record
from geoengine.core.space import geodesy, near, plane, tables, ways
from geoengine.state.base import Commit
from geoengine.state.embedded import device_index, people
from geoengine.state.local import LocalState
from geoengine.state.loop import advance, grant, identify, withdraw
from tests.core.roads import (
    COMPILED,
    DEFINITION,
    Ground,
    Road,
    Shape,
    Watchful,
    remembered,
    whereabouts,
)
from tests.core.world import ADULT, LAT, LON, NOON_MS, UUID, Walk, a_campaign

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
    "pole": Ground.of(
        -40.0, 84.998, [Shape(0, 0, 100), Shape(0, 600, 300), Shape(-400, 0, 200)]
    ),
}

# --- stories ------------------------------------------------------------------------------------

# Device, seconds on, zone, radii from its middle, part of a turn, accuracy.
row = st.tuples(
    st.sampled_from(["ann", "ann", "ann", "bob", "eve"]),
    st.sampled_from([-30, 0, 5, 20, 60, 60, 60, 61, 119, 120, 280, 300, 301, 590, 1_790, 1_801]),
    st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4, 5]),
    st.sampled_from([0, 0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1, 1.02, 1.2, 1.5, 2, 4, 30]),
    st.sampled_from([0, 0.02, 0.25, 0.5, 0.52, 0.6, 0.75]),
    st.sampled_from([1, 3, 10, 10, 10, 20, 40, 130, 900]),
)
# Rows of a post, and the seconds until it was heard of.
post = st.tuples(
    st.lists(row, min_size=1, max_size=4), st.sampled_from([0, 0, 0, 1, 3, 90, 2_200_000])
)
# What else there is in a batch, or between two.
aside = st.sampled_from(
    ["", "", "", "", "", "", "hear", "hear", "withdraw", "grant", "identify", "identify too"]
)
# Posts of a batch, seconds until the next, and the aside.
batch = st.tuples(
    st.lists(post, min_size=1, max_size=3), st.sampled_from([0, 0, 0, 45, 130, 2_000]), aside
)
stories = st.lists(batch, min_size=1, max_size=12)


@dataclass
class Story:
    """A story as it is lived on one road."""

    walk: Walk
    ground: Ground
    at_s: int = 2
    now_s: int = 0
    counts: list[Counter[str]] = field(default_factory=list)

    async def live(self, story: list) -> None:
        for posts, pause_s, aside in story:
            await self._between(aside)
            columns = [self._post(rows, lag_s) for rows, lag_s in posts]
            self.now_s = max(self.now_s, self.at_s)
            heard = self._heard() if aside == "hear" else Sightings.empty()
            fixes = Fixes.concat(columns)
            now_ms = max(NOON_MS + 1_000 * self.now_s, int(fixes.recv_ms.max()))
            await self.walk.run(fixes=fixes, sightings=heard, now_ms=now_ms)
            if pause_s:
                self.now_s += pause_s
                self.at_s = max(self.at_s, self.now_s)
                await self.walk.tick(self.now_s)

    def _post(self, rows: list, lag_s: int) -> Fixes:
        self.walk.post_ix += 1
        at_s, spots = [], []
        for _, seconds, zone_ix, share, turn, _ in rows:
            self.at_s = max(self.at_s + seconds, 2)
            at_s.append(self.at_s)
            spots.append(self.ground.spot(zone_ix % len(self.ground.shapes), share, turn))
        fix_ms = NOON_MS + 1_000 * np.array(at_s, np.int64)
        return Fixes.of(
            [device_id for device_id, *_ in rows],
            np.array([lon for lon, _ in spots]),
            np.array([lat for _, lat in spots]),
            fix_ms,
            accuracy_m=np.array([float(accuracy_m) for *_, accuracy_m in rows]),
            recv_ms=int(fix_ms.max()) + 1_000 * lag_s,
            post_ix=self.walk.post_ix,
        )

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
        ground.book, state=state, is_virtual=is_virtual, assumed=ADULT if is_assumed else frozenset()
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
@settings(max_examples=40, deadline=None)
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
        devices = ["ann", "bob", "eve", "customer"]
        assert await whereabouts(mine, devices) == await whereabouts(theirs, devices)

    asyncio.run(law())
