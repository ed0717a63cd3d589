"""A handful of fixes looked at one by one says what the columns say."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from geoengine.core.columns import (
    NEVER_MS,
    STAYS_MAX,
    Fixes,
    Known,
    Spot,
    Stays,
    keys_of,
)
from geoengine.core.look.scan import Scan, scan
from geoengine.core.places.policy import Policy
from tests.core.roads import DEFINITION, Ground, Road, Shape
from tests.core.world import LAT, LON, NOON_MS

# Circles and stars that overlap, one of less than ten metres, one that only a car crosses.
SHAPES = [
    Shape(0, 0, 100),
    Shape(120, 0, 100, policy_ix=1),
    Shape(60, 40, 30),
    Shape(500, 200, 150, points=5),
    Shape(480, 260, 90),
    Shape(1_500, 0, 900, policy_ix=1),
    Shape(1_400, 300, 8),
]
POLICIES = [
    Policy(),
    Policy(confirm_enter_p=0.6, confirm_leave_p=0.2, buffer_m=10, cross_m=20, cross_gap_s=120),
]
GROUND = Ground.of(LON, LAT, SHAPES, POLICIES)
PRINTS = GROUND.book.zones.prints

shares = st.sampled_from([0, 0.2, 0.5, 0.8, 0.95, 1.0, 1.05, 1.3, 1.6, 3, 40, 4_000])
places = st.tuples(
    st.sampled_from([0, 0, 0, 1, 2, 3, 3, 4, 5, 6]),
    shares,
    st.sampled_from([0, 0.1, 0.25, 0.5, 0.6, 0.75]),
)
accuracies = st.sampled_from([1, 5, 10, 10, 20, 40, 130, 900])
# What is known of a device: where and when it was, how many suspects since, and who it belongs to.
senders = st.fixed_dictionaries(
    {
        "person": st.sampled_from(["ann", "ann", "bob", "eve"]),
        "place": st.none() | places,
        "accuracy": accuracies,
        "at_s": st.sampled_from([-1_900, -200, -60, -60, -10, 0, 30, None]),
        "suspects": st.just(0) | st.sampled_from([0, 0, 1, 2, -1, -5]),
        "suspect": places,
        "is_located": st.just(True) | st.sampled_from([True, False]),
        "has_refused": st.booleans(),
        "has_record": st.booleans(),
        # The zones it stands in; None for all that hold its place.
        "stands_in": st.none()
        | st.lists(st.sampled_from([0, 1, 2, 3, 5]), unique=True, max_size=3),
        "dwell_s": st.none() | st.sampled_from([-30, 20, 60, 300]),
        "lag_s": st.sampled_from([0, 0, 3, 90]),
    }
)
# Device, seconds after noon, place, or where it was, or the other side of that zone; accuracy,
# seconds until it was heard of, or before; post, whether mocked.
rows = st.tuples(
    st.sampled_from(["a", "a", "b", "c"]),
    st.sampled_from([-70, -10, 0, 5, 30, 60, 60, 61, 200, 400]),
    st.sampled_from(["there", "across"]) | places,
    st.just(10) | accuracies,
    st.just(0) | st.sampled_from([-2, 3, 90, 2_200_000]),
    st.sampled_from([1, 1, 2]),
    st.booleans(),
)


def fixes_of(given_rows: list[tuple], senders_by_id: dict[str, dict]) -> Fixes:
    spots = [place_of(row[2], senders_by_id[row[0]]) for row in given_rows]
    fix_ms = np.array([NOON_MS + 1_000 * row[1] for row in given_rows], np.int64)
    return Fixes.of(
        [row[0] for row in given_rows],
        np.array([lon for lon, _ in spots]),
        np.array([lat for _, lat in spots]),
        fix_ms,
        accuracy_m=np.array([float(row[3]) for row in given_rows]),
        recv_ms=fix_ms + np.array([1_000 * row[4] for row in given_rows], np.int64),
        post_ix=np.array([row[5] for row in given_rows], np.int64),
        is_mocked=np.array([row[6] for row in given_rows]),
    )


def place_of(whereto: str | tuple, sender: dict) -> tuple[float, float]:
    """Where a fix is."""
    if not isinstance(whereto, str):
        return GROUND.spot(*whereto)
    zone_ix, share, turn = sender["place"] or (0, 0, 0)
    return GROUND.spot(zone_ix, share, turn + (0.5 if whereto == "across" else 0.0))


def zones_of(sender: dict) -> list[int]:
    """The zones that a sender stands in, no more than may be."""
    zones = sender["stands_in"]
    if zones is None:
        spot = spot_of(sender, "place")
        zones = [] if spot[0] != spot[0] else [ix for ix, _ in GROUND.book.index.match_one(*spot)]
    return zones[:STAYS_MAX] if sender["has_record"] and sender["at_s"] is not None else []


def spot_of(sender: dict, name: str) -> tuple[float, float]:
    """Where a sender was; NaN where that is not known."""
    if sender["at_s"] is None or sender[name] is None:
        return np.nan, np.nan
    return GROUND.spot(*sender[name])


def known_of(device_ids: list[str], senders_by_id: dict[str, dict]) -> Known:
    asked = [senders_by_id[device_id] for device_id in device_ids]
    spots = [spot_of(sender, "place") for sender in asked]
    accuracy_m = [
        float(s["accuracy"]) if x == x else np.nan for s, (x, _) in zip(asked, spots, strict=True)
    ]
    at_ms = [-1 if s["at_s"] is None else NOON_MS + 1_000 * s["at_s"] for s in asked]
    # Only who has a place can have been suspected, or seen vaguely, since.
    counts = [s["suspects"] if x == x else 0 for s, (x, _) in zip(asked, spots, strict=True)]
    keys = keys_of(device_ids)
    suspects = {
        int(key): Spot(*spot_of(sender, "suspect"), 10.0, at + 20_000)
        for key, sender, at, count in zip(keys, asked, at_ms, counts, strict=True)
        if count > 0
    }
    is_standing = [bool(zones_of(s)) for s in asked]
    standing = [s for s, stands in zip(asked, is_standing, strict=True) if stands]
    stay_ix = np.full(len(asked), -1, np.int32)
    stay_ix[is_standing] = np.arange(len(standing))
    stays = Stays(
        zone_prints=np.array(
            [[*PRINTS[zones_of(s)], *[0] * STAYS_MAX][:STAYS_MAX] for s in standing], np.int64
        ).reshape(-1, STAYS_MAX),
        dwell_ms=np.array(
            [NEVER_MS if (s := s_["dwell_s"]) is None else NOON_MS + 1_000 * s for s_ in standing],
            np.int64,
        ),
        lag_ms=np.array([1_000 * s["lag_s"] for s in standing], np.int64),
        turn=np.arange(len(standing)) + 1,
    )
    return Known(
        person_ids=[s["person"] for s in asked],
        device_keys=keys,
        slot_ix=np.arange(len(asked)),
        is_located=np.array([s["is_located"] for s in asked]),
        has_refused=np.array([s["has_refused"] for s in asked]),
        has_record=np.array([s["has_record"] for s in asked]),
        lon_deg=np.array([x for x, _ in spots]),
        lat_deg=np.array([y for _, y in spots]),
        accuracy_m=np.array(accuracy_m),
        fix_ms=np.array(at_ms, np.int64),
        suspect_count=np.array(counts, np.int32),
        suspects=suspects,
        stay_ix=stay_ix,
        stays=stays,
    )


def told(seen: Scan) -> tuple:
    """A scan, comparable: the order in which devices are dealt with is nobody's business."""
    timelines = {
        person_id: [repr(fix) for fix in sorted(fixes, key=lambda fix: fix.device_id)]
        for person_id, fixes in seen.timelines.items()
    }
    last, rests = seen.last, seen.rests
    if last is None:
        return timelines, None, None, +seen.counts
    columns = (last.lon_deg, last.lat_deg, last.accuracy_m, last.fix_ms, last.suspect_count)
    suspects = [last.suspects.get(key) for key in last.device_keys.tolist()]
    left = {
        device_id: (repr(row), suspect)
        for device_id, suspect, *row in zip(
            last.device_ids, suspects, *(column.tolist() for column in columns), strict=True
        )
    }
    assert len(left) == len(last)
    at_rest = None
    if rests is not None:
        named = [last.device_ids[ix] for ix in rests.last_ix.tolist()]
        at_rest = sorted(zip(named, rests.lag_ms.tolist(), rests.turn.tolist(), strict=True))
    return timelines, left, at_rest, +Counter(seen.counts)


def same_either_way(
    given_rows: list, senders_by_id: dict, is_assumed: bool, later_s: int, busy: set[str]
) -> bool:
    """Look at the rows one by one and in columns; whether anybody is at rest."""
    fixes = fixes_of(given_rows, senders_by_id)
    now_ms = int(fixes.fix_ms.max()) + 1_000 * later_s

    def looked_at(road: Road) -> tuple:
        known = known_of(fixes.device_ids, senders_by_id)
        with road.taken():
            seen = scan(fixes, known, GROUND.book, is_assumed=is_assumed, now_ms=now_ms, busy=busy)
        return told(seen)

    in_columns = looked_at(DEFINITION)
    # Of a device with several fixes the columns alone can say that its person rests.
    at_rest = [device_id for device_id, *_ in in_columns[2] or ()]
    assume(all(fixes.device_ids.count(device_id) == 1 for device_id in at_rest))
    one_by_one = looked_at(Road(has_pass=False, few=6))
    assert one_by_one == in_columns
    return bool(one_by_one[2])


others = st.fixed_dictionaries({"a": senders, "b": senders, "c": senders})
laters = st.just(0) | st.sampled_from([60, 90, 300, 2_000])
busies = st.just(frozenset()) | st.sampled_from([{"ann"}, {"bob", "eve"}])


@settings(max_examples=120, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6), others, st.booleans(), laters, busies)
def test_a_handful_says_what_the_columns_say(
    given_rows: list, senders_by_id: dict, is_assumed: bool, later_s: int, busy: set[str]
):
    same_either_way(given_rows, senders_by_id, is_assumed, later_s, busy)


# Somebody who stands where they stood, but for one thing or another.
CALM = {
    "person": "ann",
    "accuracy": 10,
    "at_s": -60,
    "suspects": 0,
    "is_located": True,
    "has_refused": False,
    "has_record": True,
    "stands_in": None,
    "dwell_s": None,
    "lag_s": 0,
}
standers = st.builds(
    lambda place, odd, names: (
        CALM | {"suspect": place, "place": place} | {n: odd[n] for n in names}
    ),
    st.tuples(st.sampled_from([0, 1, 3, 5]), st.sampled_from([0, 0.2, 0.8, 1.3]), st.just(0.1)),
    senders,
    st.sets(st.sampled_from(sorted(CALM)), max_size=1),
)
again = st.tuples(
    st.just("a"),
    st.just(0),
    st.just("there") | st.just("across"),
    st.just(10) | accuracies,
    st.just(0) | st.sampled_from([-2, 3, 90, 2_200_000]),
    st.just(1),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(again, st.lists(rows, max_size=2), others, standers, laters, busies)
def test_a_handful_finds_the_same_people_at_rest(
    row: tuple, more: list, senders_by_id: dict, stander: dict, later_s: int, busy: set[str]
):
    standing = senders_by_id | {"a": stander}
    is_rest = same_either_way([row, *more], standing, True, later_s, busy)
    event("some rest" if is_rest else "nobody rests")
