"""What the compiled pass takes and what it leaves: rule by rule, one thing differs at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geoengine.core import quiet
from geoengine.core.columns import NEVER_MS
from geoengine.core.look.stays import LAG_MAX_MS
from geoengine.core.places.policy import Policy
from geoengine.state.flags import HAS_REFUSED, IS_LOCATED, IS_OBSERVED
from tests.core.roads import COMPILED, Ground, Shape, away
from tests.core.test_quiet_calls import tables_of
from tests.core.world import LAT, LON, NOON_MS

# The second is the first's twin but for its policy.
CIRCLES = [
    Shape(0, 0, 100),
    Shape(10_000, 0, 100, policy_ix=1),
    Shape(40_000, 0, 100),
    Shape(40_050, 0, 100),
    Shape(-20_000, 0, 3_000),
]
POLICIES = [
    Policy(),
    Policy(confirm_enter_p=0.6, confirm_leave_p=0.7, buffer_m=1, buffer_per_accuracy=0.2),
]
GROUND = Ground.of(LON, LAT, CIRCLES, POLICIES)
# With a star, a circle of less than ten metres, or a vast one: whatever comes near them is left.
STAR = Ground.of(LON, LAT, [*CIRCLES, Shape(20_000, 0, 100, points=5)], POLICIES)
SMALL = Ground.of(LON, LAT, [*CIRCLES, Shape(30_000, 0, 9)], POLICIES)
VAST = Ground.of(LON, LAT, [*CIRCLES, Shape(0, 400_000, 30_000)], POLICIES)
DATELINE = Ground.of(179.9999, -16.8, [Shape(0, 0, 200)])
PRINTS = GROUND.book.zones.prints
MINUTE_MS = 60_000

# A device that stands in the first zone, heard of a minute ago, is heard of again where it was.
# Places are metres east and north, times are milliseconds since noon, zones are those stood in.
STANDING: dict[str, Any] = {
    "was": (0, 0),
    "place": (0, 0),
    "was_ms": 0,
    "at_ms": MINUTE_MS,
    "lag_ms": 0,
    "later_ms": 0,  # our clock, after the fix reached us
    "accuracy_m": 10.0,
    "zones": (0,),
    "dwell_ms": None,
    "lag_before_ms": 0,
    "is_alone": True,
    "suspects": 0,
    "flags": IS_LOCATED | IS_OBSERVED,
    "is_assumed": False,
    "ground": GROUND,
    "spot": None,  # degrees, instead of ``was`` and ``place``
}
PASSING = {"zones": (), "flags": IS_LOCATED, "was": (500, 500), "place": (520, 500)}
SILENCE_MS = 30 * MINUTE_MS

TAKEN = {
    "standing still": {},
    "a dwell just ahead": {"dwell_ms": MINUTE_MS + 1},
    "just before silence": {"at_ms": SILENCE_MS - 1},
    "a dwell ahead, heard no sooner": {
        "dwell_ms": 5 * MINUTE_MS, "lag_before_ms": 5, "lag_ms": 5,
    },
    "heard sooner, with no dwell ahead": {"lag_before_ms": 9_000},
    "as late as can be": {"lag_before_ms": LAG_MAX_MS, "lag_ms": LAG_MAX_MS},
    "assumed": {"flags": IS_OBSERVED, "is_assumed": True},
    "held by the moat": {"was": (99, 0), "place": (99, 0)},
    "passing": PASSING,
    "passing fast": {**PASSING, "place": (500, -2_500)},
    "past a zone": {**PASSING, "was": (-300, 105), "place": (300, 105)},
    "into a zone's rim": {**PASSING, "place": (96, 0)},
    "through a zone, who knows": {
        **PASSING, "was": (-300, 0), "place": (300, 0), "at_ms": 5 * MINUTE_MS + 1,
    },
    "from where is unknown": {**PASSING, "was": (np.nan, np.nan)},
    "both of two zones": {"was": (40_025, 0), "place": (40_025, 0), "zones": (2, 3)},
    "over the antimeridian from a zone": {
        **PASSING, "ground": DATELINE, "spot": (-179.99, -16.8),
    },
    "in a large zone": {"was": (-20_000, 0), "place": (-20_000, 900), "zones": (4,)},
}  # fmt: skip
LEFT = {
    "a dwell that is due": {"dwell_ms": MINUTE_MS},
    "a dwell that is due now": {"dwell_ms": MINUTE_MS + 40, "later_ms": 40},
    "a dwell that was due when it was heard": {"dwell_ms": 100_000, "lag_ms": 140_000},
    "silence": {"at_ms": SILENCE_MS},
    "silence now": {"later_ms": SILENCE_MS},
    "a dwell that comes nearer": {
        "dwell_ms": 5 * MINUTE_MS, "lag_before_ms": 6, "lag_ms": 5,
    },
    "heard before what came before": {"lag_before_ms": MINUTE_MS + 1},
    "later than can be": {"lag_before_ms": LAG_MAX_MS, "lag_ms": LAG_MAX_MS + 1},
    "another device": {"is_alone": False},
    "a suspect before": {"suspects": 1},
    "a vague one before": {"suspects": -1},
    "no consent": {"flags": IS_OBSERVED},
    "refused": {"flags": IS_OBSERVED | HAS_REFUSED, "is_assumed": True},
    "something else on record": {**PASSING, "flags": IS_LOCATED | IS_OBSERVED},
    "late": {"at_ms": 0},
    "never seen": {"was_ms": -1 - NOON_MS},
    "out of the zone": {"place": (101, 0)},
    "out of one zone of two": {
        "was": (40_025, 0), "place": (39_940, 0), "zones": (2, 3),
    },
    "into a zone beside": {"was": (40_025, 0), "place": (40_025, 0), "zones": (2,)},
    "elsewhere": {"was": (500, 0), "place": (500, 0)},
    "thrown out by a strict policy": {
        "was": (10_000, 0), "place": (10_099, 0), "zones": (1,),
    },
    "too coarse": {"accuracy_m": 80.0},
    "half a millimetre within an edge": {**PASSING, "spot": away(LON, LAT, 99.9995, 0)},
    "into a zone, over the antimeridian": {
        **PASSING, "ground": DATELINE, "spot": (-179.9995, -16.8),
    },
    "into a zone": {**PASSING, "place": (95, 0)},
    "into a zone of a lax policy": {
        **PASSING, "was": (10_300, 0), "place": (10_096, 0),
    },
    "into a zone, too coarse": {**PASSING, "place": (96, 0), "accuracy_m": 80.0},
    "through a zone": {**PASSING, "was": (-300, 0), "place": (300, 0)},
    "through a zone's rim": {**PASSING, "was": (-300, 90), "place": (300, 90)},
    "through a star": {**PASSING, "ground": STAR, "was": (19_700, 0), "place": (20_300, 0)},
    "in a star": {**PASSING, "ground": STAR, "was": (20_005, 0), "place": (20_000, 0)},
    "in a small zone": {**PASSING, "ground": SMALL, "was": (30_005, 0), "place": (30_000, 0)},
    "through a small zone": {**PASSING, "ground": SMALL, "was": (29_900, 0), "place": (30_100, 0)},
    "in a vast zone": {**PASSING, "ground": VAST, "was": (0, 400_005), "place": (0, 400_000)},
    "too fast": {**PASSING, "place": (5_000, 500)},
    "too far": {**PASSING, "place": (12_000, 500), "at_ms": 5 * MINUTE_MS},
    "of its place half is known": {**PASSING, "was": (np.nan, 0)},
}  # fmt: skip


def noted(story: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """How many fixes the pass has taken of one, and the tables it has written."""
    says = STANDING | story
    devices, standing, batch = tables_of()
    for name, column in batch.items():
        batch[name] = column[:1]
    spot = says["spot"]
    is_known = not np.isnan(says["was"][0])
    was = spot or (away(LON, LAT, *says["was"]) if is_known else says["was"])
    batch["lon_deg"][0], batch["lat_deg"][0] = spot or away(LON, LAT, *says["place"])
    devices["places"][2] = (*was, 7.0)
    devices["fix_ms"][2] = NOON_MS + says["was_ms"]
    devices["stay"][2] = 0 if says["zones"] else -1
    devices["suspect_count"][2] = says["suspects"]
    devices["flags"][2] = says["flags"]
    prints = [int(PRINTS[ix]) for ix in says["zones"]]
    standing["zone_prints"][0] = (*prints, 0, 0, 0)[:3]
    dwell_ms = says["dwell_ms"]
    standing["dwell_ms"][0] = NEVER_MS if dwell_ms is None else NOON_MS + dwell_ms
    standing["stay_lag_ms"][0] = says["lag_before_ms"]
    standing["is_alone"][0] = says["is_alone"]
    at_ms = NOON_MS + says["at_ms"]
    batch["accuracy_m"][0], batch["at_ms"][0] = says["accuracy_m"], at_ms
    batch["recv_ms"] = np.array([at_ms + says["lag_ms"]])
    now_ms = at_ms + says["lag_ms"] + says["later_ms"]
    parts = (tuple(part.values()) for part in (devices, standing, batch))
    count = says["ground"].book.ground.note(*parts, [], says["is_assumed"], now_ms, 7)
    return count, devices | standing | batch


@COMPILED
@pytest.mark.parametrize("name", TAKEN)
def test_what_changes_nothing_is_taken(name: str):
    says = STANDING | TAKEN[name]
    count, tables = noted(TAKEN[name])
    assert count == 1
    assert tables["noted"][0] == -2
    place = (tables["lon_deg"][0], tables["lat_deg"][0], says["accuracy_m"])
    assert tuple(tables["places"][2]) == place
    assert tables["fix_ms"][2] == NOON_MS + says["at_ms"]
    assert tables["seen"][2] == 7
    assert tables["stay_lag_ms"][0] == (says["lag_ms"] if says["zones"] else says["lag_before_ms"])


@COMPILED
@pytest.mark.parametrize("name", LEFT)
def test_what_might_change_something_is_left(name: str):
    count, tables = noted(LEFT[name])
    assert count == 0
    assert tables["noted"][0] >= 0
    assert tables["seen"][2] == 0


# Rows of a device: seconds on, metres east, post; and which are taken.
@COMPILED
@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ([(60, 500, 1), (120, 510, 1), (180, 520, 2)], [0, 1, 2]),
        ([(60, 500, 1), (120, 0, 1), (180, 500, 2)], [0]),  # what follows one that is left is left
        ([(120, 500, 1), (60, 510, 1)], []),  # a post out of order
        ([(60, 500, 1), (60, 500, 1)], []),
        ([(120, 500, 1), (60, 510, 2), (180, 510, 3)], [0]),  # posts keep theirs
        ([(60, 500, 1), (120, 510, 2), (90, 520, 2)], []),
    ],
)
def test_the_fixes_of_a_device_are_taken_in_order_or_not_at_all(rows: list, taken: list[int]):
    devices, standing, batch = tables_of()
    spots = [away(LON, LAT, east_m, east_m) for _, east_m, _ in rows]  # 0 is the first zone
    devices["places"][2] = (*away(LON, LAT, 500, 500), 10.0)
    at_ms = NOON_MS + 1_000 * np.array([seconds for seconds, *_ in rows])
    batch |= {
        "ids": ["ann"] * len(rows),
        "lon_deg": np.array([lon for lon, _ in spots]),
        "lat_deg": np.array([lat for _, lat in spots]),
        "accuracy_m": np.full(len(rows), 10.0),
        "at_ms": at_ms,
        "recv_ms": at_ms,
        "post_ix": np.array([post_ix for *_, post_ix in rows]),
        "noted": np.zeros(len(rows), np.int32),
    }
    parts = (tuple(part.values()) for part in (devices, standing, batch))
    GROUND.book.ground.note(*parts, [], False, int(at_ms.max()), 7)
    assert np.flatnonzero(batch["noted"] < 0).tolist() == taken
    assert not devices["mark"].any()


@pytest.mark.skipif(quiet.IS_COMPILED, reason="the pass is compiled here")
def test_without_a_compiler_there_is_no_ground():
    assert GROUND.book.ground is None
