"""Regions and beacons that phones with OwnTracks tell of."""

from __future__ import annotations

from typing import Any

import pytest

from geoengine.ingest.clients.owntracks import decode
from geoengine.ingest.reports import Mark, Sighted, Telling
from tests.ingest.clients.test_owntracks import (
    BEACON,
    CROSSING,
    NOW_MS,
    NOW_S,
    ORIGIN,
    WAYPOINT,
    body,
    changed,
    drops,
    one,
)

# Crossings -----------------------------------------------------------------------------------


def test_a_transition_tells_of_a_region_by_its_id():
    told = one(body(CROSSING))
    assert isinstance(told, Telling)
    assert told.message_id
    told.message_id = None
    assert told == Telling(
        device_id="jane/phone",
        event="enter",
        region_id="rivoli",
        region_name="Rivoli",
        lat=48.8583,
        lon=2.347,
        accuracy_m=20,
        fix_ms=NOW_MS - 9_000,
    )


def test_leaving_is_an_exit_and_android_knows_a_region_by_its_birth():
    told = one(changed(CROSSING, event="leave", rid=...))
    assert isinstance(told, Telling)
    assert (told.event, told.region_id) == ("exit", "1610104395")


def test_a_crossing_is_when_the_message_was_made_and_a_place_long_before_is_not_its():
    told = one(changed(CROSSING, tst=NOW_S - 900, created_at=NOW_S - 1))
    assert isinstance(told, Telling)
    assert (told.fix_ms, told.sent_ms) == (NOW_MS - 1_000, NOW_MS - 1_000)
    assert (told.lat, told.lon, told.accuracy_m) == (None, None, None)


def test_two_regions_crossed_in_one_second_are_two_reports():
    here, there = one(body(CROSSING)), one(changed(CROSSING, rid="bastille"))
    assert here.message_id != there.message_id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("unknown event", {"event": "hover"}),
        ("unknown event", {"event": None}),
        ("no time", {"tst": "soon"}),
    ],
)
def test_a_transition_that_says_too_little_is_dropped(why: str, changes: dict[str, Any]):
    assert drops(changed(CROSSING, **changes)) == [why]


# Regions and beacons --------------------------------------------------------------------------


def test_a_waypoint_is_a_region_also_with_its_numbers_as_texts():
    assert one(body(WAYPOINT)) == Mark(
        region_id="5f1d1b",
        region_name="home",
        lat=48.85,
        lon=2.35,
        radius_m=150,
        created_ms=1_558_351_273_000,
    )


def test_waypoints_are_regions_of_the_one_whose_list_it_is():
    rows = [
        WAYPOINT | {"tst": 1_505_910_709_000, "rad": 0},
        {"_type": "waypoint", "lat": 1, "lon": 2},
        None,
        WAYPOINT,
    ]
    listed = body(
        {"_type": "waypoints", "topic": "owntracks/jane/phone/waypoints", "waypoints": rows}
    )
    decoded = decode(listed, ORIGIN)
    first, second = decoded.reports
    assert isinstance(first, Mark)
    assert isinstance(second, Mark)
    assert (first.device_id, second.device_id) == ("jane/phone", "jane/phone")
    assert (first.created_ms, first.radius_m) == (1_505_910_709_000, None)
    assert decoded.drops == ["no desc", "not an object"]


def test_a_ranged_beacon_is_heard_when_its_message_comes():
    assert one(body(BEACON)) == Sighted(
        uuid="f7826da6-4fa2-4e98-8024-bc5b71e0893e",
        major=1,
        minor=2,
        rssi_dbm=-67,
        seen_time=NOW_MS,
        device_id="jp",
    )


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("no beacon", {"uuid": "f7826da6"}),
        ("no beacon", {"uuid": None}),
        ("no beacon", {"major": 65_536}),
        ("no beacon", {"minor": 1.5}),
        ("no signal strength", {"rssi": 0}),
        ("no signal strength", {"rssi": 127}),
    ],
)
def test_a_beacon_that_is_not_known_or_not_heard_is_dropped(why: str, changes: dict[str, Any]):
    assert drops(changed(BEACON, **changes)) == [why]
