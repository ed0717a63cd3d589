"""Overland: batches of features, of which not every one is a fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.clients.overland import decode
from geoengine.ingest.reports import Decoded, Origin, Position, Stay
from geoengine.ingest.times import time_ms
from tests.ingest.clients.mutated import is_sound, mutated

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads" / "overland"
NOW_MS = time_ms("2026-09-21T14:13:20Z")
ORIGIN = Origin(recv_ms=NOW_MS)


def feature(lon: float = 2.3522, lat: float = 48.8566, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {"timestamp": "2026-09-21T14:13:05Z", "device_id": "phone"} | properties,
    }


def batch(*features: Any, **beside: Any) -> bytes:
    return json.dumps({"locations": features, **beside}).encode()


FIX = feature(
    altitude=35,
    speed=1.4,
    course=271.5,
    horizontal_accuracy=8,
    vertical_accuracy=4,
    battery_level=0.55,
    battery_state="unplugged",
    motion=["walking"],
    wifi="",
)
VISIT = feature(
    action="visit",
    arrival_date="2026-09-21T13:40:00Z",
    departure_date=None,
    horizontal_accuracy=18,
)
BEGUN = {"type": "Feature", "properties": {"timestamp": "2026-09-21T14:00:00Z", "action": "begun"}}
TRIP = feature(type="trip", mode="bicycle", distance=1200.5)
OWNTRACKS = (
    b'{"_type":"location","lat":48.8566,"lon":2.3522,"tst":811692785,"acc":30,"batt":80,'
    b'"topic":"owntracks/jane/phone"}'
)
EXAMPLES = [
    batch(FIX),
    batch(FIX, VISIT, BEGUN, TRIP, current=feature(lat=48.86)),
    batch(FIX, trip={"mode": "bicycle", "distance": 3, "start_location": FIX}),
    OWNTRACKS,
]


def positions(decoded: Decoded) -> list[Position]:
    assert all(isinstance(report, Position) for report in decoded.reports)
    return decoded.reports  # type: ignore[return-value]


def test_a_feature_is_a_position_in_our_units():
    (position,) = positions(decode(batch(FIX), ORIGIN))
    assert position == Position(
        device_id="phone",
        lat=48.8566,
        lon=2.3522,
        fix_ms=time_ms("2026-09-21T14:13:05Z"),
        accuracy_m=8,
        altitude_m=35,
        speed_mps=1.4,
        heading_deg=271.5,
        battery_pct=55,
        message_id=position.message_id,
    )


def test_what_stands_for_unknown_is_none():
    unknown = feature(speed=-1, course=-1, horizontal_accuracy=0, battery_level=-1, altitude=None)
    (position,) = positions(decode(batch(unknown), ORIGIN))
    assert position.speed_mps is position.heading_deg is position.accuracy_m is None
    assert position.battery_pct is position.altitude_m is None


def test_where_the_phone_is_now_comes_before_its_backlog():
    now = feature(lat=48.9, timestamp="2026-09-21T14:13:19Z")
    found = positions(decode(batch(FIX, FIX, current=now), ORIGIN))
    assert [position.lat for position in found] == [48.9, 48.8566, 48.8566]


def test_a_stay_that_the_phone_noticed_is_a_stay_and_nothing_else():
    decoded = decode(batch(VISIT), ORIGIN)
    assert decoded == Decoded(
        [
            Stay(
                device_id="phone",
                lat=48.8566,
                lon=2.3522,
                accuracy_m=18,
                arrived_ms=time_ms("2026-09-21T13:40:00Z"),
                departed_ms=None,
                fix_ms=time_ms("2026-09-21T14:13:05Z"),
            )
        ]
    )


def test_a_stay_since_ever_or_for_ever_has_no_such_end():
    ends = feature(
        action="visit", arrival_date="0001-01-01T00:00:00Z", departure_date="4001-01-01T00:00:00Z"
    )
    (stay,) = decode(batch(ends), ORIGIN).reports
    assert isinstance(stay, Stay)
    assert stay.arrived_ms is stay.departed_ms is None


def test_actions_and_trips_are_no_fixes_even_where_they_have_a_place():
    resumed = feature(action="resumed_location_updates")
    decoded = decode(batch(BEGUN, resumed, TRIP, FIX), ORIGIN)
    assert decoded.drops == ["action of the app", "action of the app", "trip"]
    assert len(positions(decoded)) == 1


def test_a_bad_feature_costs_only_itself():
    bad = [None, 7, {}, feature(lat=91), feature(timestamp="soon"), {"geometry": [], **BEGUN}]
    decoded = decode(batch(*bad, FIX), ORIGIN)
    assert decoded.drops == [
        "not an object", "not an object", "no fix", "position out of range", "no time",
        "action of the app",
    ]  # fmt: skip
    assert len(decoded.reports) == 1


def test_a_number_that_is_none_costs_only_itself():
    for number in (b"NaN", b"Infinity", b"1e999", b"1" * 400):
        (position,) = positions(decode(batch(FIX).replace(b"271.5", number), ORIGIN))
        assert position.heading_deg is None
        assert position.speed_mps == 1.4


@pytest.mark.parametrize(
    ("origin", "properties", "device_id"),
    [
        (Origin(recv_ms=NOW_MS, device_id="owner"), {"device_id": "other"}, "owner"),
        (ORIGIN, {"device_id": "phone", "unique_id": "ABC"}, "phone"),
        (ORIGIN, {"device_id": "", "unique_id": "ABC"}, "ABC"),
        (Origin(recv_ms=NOW_MS, query="device_id=mine"), {"device_id": ""}, "mine"),
        (ORIGIN, {"device_id": ""}, None),
        (ORIGIN, {"device_id": "a\x00b"}, None),
    ],
)
def test_the_credential_says_whose_phone_it_is_before_the_body(origin, properties, device_id):
    (position,) = positions(decode(batch(feature(**properties)), origin))
    assert position.device_id == device_id


def test_a_batch_sent_again_says_the_same_ids_and_two_fixes_say_two():
    again = [positions(decode(batch(FIX, feature(lat=48.9)), ORIGIN)) for _ in range(2)]
    ids = [[position.message_id for position in found] for found in again]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_the_owntracks_mode_counts_from_2001():
    (position,) = positions(decode(OWNTRACKS, ORIGIN))
    assert position.fix_ms == time_ms("2026-09-21T14:13:05Z")
    assert (position.device_id, position.accuracy_m, position.battery_pct) == ("jane/phone", 30, 80)


def test_a_real_owntracks_time_is_left_as_it_is():
    (position,) = positions(decode(OWNTRACKS.replace(b"811692785", b"1789999985"), ORIGIN))
    assert position.fix_ms == time_ms("2026-09-21T14:13:05Z")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"hello", "no JSON"),
        (b'{"locations":[', "no JSON"),
        (b'{"result":"ok"}', "no locations"),
        (b'{"locations":7}', "no locations"),
        (b'{"_type":"lwt"}', "no locations"),
    ],
)
def test_what_is_no_batch_is_dropped_with_the_reason(body, reason):
    assert decode(body, ORIGIN) == Decoded(drops=[reason])


@given(mutated(EXAMPLES))
def test_nothing_makes_it_raise(body: bytes):
    assert is_sound(decode(body, ORIGIN))


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the shared payloads are not here")
class TestRealMessages:
    def test_the_batch_of_the_manual(self):
        (position,) = positions(decode((PAYLOADS / "readme_batch.json").read_bytes(), ORIGIN))
        assert position.fix_ms == time_ms("2015-10-01T15:00:00Z")
        assert (position.lat, position.lon) == (37.3318, -122.030581)
        assert (position.device_id, position.accuracy_m, position.altitude_m) == (None, 30, 0)
        assert (position.speed_mps, position.battery_pct) == (4, 80)

    def test_the_batch_of_dawarich(self):
        body = (PAYLOADS / "dawarich_swagger_batch.json").read_bytes()
        (position,) = positions(decode(body, ORIGIN))
        assert position.fix_ms == time_ms("2021-06-01T12:00:00Z")
        assert (position.lat, position.lon) == (52.502397, 13.356718)
        assert (position.device_id, position.accuracy_m) == ("iOS device #166", None)
        assert (position.speed_mps, position.battery_pct) == (0, 0)

    def test_the_visit(self):
        (stay,) = decode((PAYLOADS / "visit_derived.json").read_bytes(), ORIGIN).reports
        assert stay == Stay(
            device_id="iphone",
            lat=37.3318,
            lon=-122.030581,
            accuracy_m=18,
            arrived_ms=time_ms("2024-07-07T16:02:10Z"),
            fix_ms=time_ms("2024-07-07T17:46:39Z"),
        )

    def test_the_owntracks_mode(self):
        body = (PAYLOADS / "owntracks_mode_derived.json").read_bytes()
        (position,) = positions(decode(body, ORIGIN))
        assert position.fix_ms == time_ms("2015-10-01T15:00:00Z")
        assert (position.device_id, position.accuracy_m) == ("jane/phone", 30)

    def test_an_answer_is_no_message(self):
        body = (PAYLOADS / "response_ok.json").read_bytes()
        assert decode(body, ORIGIN).reports == []
