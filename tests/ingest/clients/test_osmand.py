"""Traccar Client and the OsmAnd query: three generations at one address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.clients.osmand import decode
from geoengine.ingest.reports import Decoded, Origin, Position, PushToken
from geoengine.ingest.times import time_ms
from tests.ingest.clients.mutated import is_sound, mutated

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads" / "traccar_client"
NOW_MS = time_ms("2026-09-21T14:13:20Z")
ORIGIN = Origin(recv_ms=NOW_MS)
FIX_MS = time_ms("2026-09-21T14:13:05Z")

QUERY = (
    "id=phone&timestamp=1789999985&lat=48.8566&lon=2.3522&speed=10&bearing=90.5&altitude=35.5"
    "&accuracy=8&batt=71&charge=true"
)
LOCATION: dict[str, Any] = {
    "timestamp": "2026-09-21T14:13:05.000Z",
    "coords": {
        "latitude": 48.8566,
        "longitude": 2.3522,
        "accuracy": 8.2,
        "speed": 1.4,
        "heading": 90,
        "altitude": 35.5,
    },
    "event": "motionchange",
    "battery": {"level": 0.71, "is_charging": False},
    "uuid": "7c1f5d0e-8f7a-4a52-9b8e-5c1b1a5d0f2e",
}
JSON = json.dumps({"location": LOCATION, "device_id": "phone"}).encode()
ROW = {"id": "phone", "timestamp": 1789999985, "lat": 48.8566, "lon": 2.3522, "speed": 10}
EXAMPLES = [
    QUERY.encode(),
    b"/?" + QUERY.encode(),
    b"https://track.example/a?" + QUERY.encode() + b"&alarm=sos&cell=262,2,1,2&cell=262,3,1,2",
    b"id=phone&timestamp=2026-09-21+14:13:05&location=48.8566,2.3522&hdop=1.2&mock=true",
    b"id=phone&notificationToken=cT0k:APA91b",
    JSON,
    json.dumps([ROW, ROW | {"lat": 48.9}]).encode(),
]


def one(body: bytes, origin: Origin = ORIGIN) -> Position:
    (position,) = decode(body, origin).reports
    assert isinstance(position, Position)
    return position


def test_a_query_tells_its_speed_in_knots():
    position = one(b"", Origin(recv_ms=NOW_MS, query=QUERY))
    assert position == Position(
        device_id="phone",
        lat=48.8566,
        lon=2.3522,
        fix_ms=FIX_MS,
        accuracy_m=8,
        altitude_m=35.5,
        speed_mps=pytest.approx(5.14444, abs=1e-5),
        heading_deg=90.5,
        battery_pct=71,
        message_id=position.message_id,
    )


def test_query_form_and_whole_url_say_the_same():
    asked = one(b"", Origin(recv_ms=NOW_MS, query=QUERY))
    for body in (QUERY, f"/?{QUERY}", f"?{QUERY}\n", f"http://host:5055/any/path?{QUERY}&"):
        assert one(body.encode()) == asked


def test_query_and_body_are_read_together_and_the_body_wins():
    origin = Origin(recv_ms=NOW_MS, query="id=phone&lat=1&lon=2&batt=50")
    position = one(b"lat=48.5&timestamp=1789999985", origin)
    assert (position.device_id, position.lat, position.lon) == ("phone", 48.5, 2)
    assert position.battery_pct == 50


def test_a_json_location_tells_its_speed_in_metres_a_second():
    position = one(JSON)
    assert position == Position(
        device_id="phone",
        lat=48.8566,
        lon=2.3522,
        fix_ms=FIX_MS,
        accuracy_m=8.2,
        altitude_m=35.5,
        speed_mps=1.4,
        heading_deg=90,
        battery_pct=71,
        event="motionchange",
        message_id="7c1f5d0e-8f7a-4a52-9b8e-5c1b1a5d0f2e",
    )


def test_a_location_without_coords_has_them_itself_and_its_battery_beside_it():
    coords = LOCATION["coords"]
    flat = coords | {"timestamp": LOCATION["timestamp"], "event": "motionchange"}
    message = {"device_id": "phone", "location": flat, "battery": LOCATION["battery"]}
    position = one(json.dumps(message).encode())
    assert (position.lat, position.speed_mps, position.battery_pct) == (48.8566, 1.4, 71)


def test_an_array_of_flat_objects_is_as_many_forms():
    decoded = decode(json.dumps([ROW, 7, ROW | {"lat": "far"}, ROW | {"id": 42}]).encode(), ORIGIN)
    assert decoded.drops == ["not an object", "no fix"]
    assert [report.device_id for report in decoded.reports] == ["phone", "42"]
    assert decoded.reports[0].speed_mps == pytest.approx(5.14444, abs=1e-5)


def test_what_stands_for_unknown_is_none():
    unknown = one(
        b"id=a&lat=1&lon=2&timestamp=1789999985&accuracy=0.0&batt=0.0&speed=-1&bearing=-1"
    )
    assert unknown.accuracy_m is unknown.battery_pct is None
    assert unknown.speed_mps is unknown.heading_deg is None
    coords = LOCATION["coords"] | {"speed": -1, "heading": -1, "accuracy": -1}
    location = LOCATION | {"coords": coords, "battery": {"level": -1}}
    unknown = one(json.dumps({"location": location, "device_id": "a"}).encode())
    assert unknown.accuracy_m is unknown.battery_pct is None
    assert unknown.speed_mps is unknown.heading_deg is None


@pytest.mark.parametrize(
    "text",
    [
        "1789999985",
        "1789999985000",
        "2026-09-21T14:13:05Z",
        "2026-09-21T16:13:05%2B02:00",
        "2026-09-21T16:13:05+02:00",  # the plus arrives as a blank
        "2026-09-21T16:13:05+0200",
        "2026-09-21T07:13:05-0700",
        "2026-09-21+14%3A13%3A05",
        "2026-09-21 14:13:05",
    ],
)
def test_a_time_is_read_in_every_shape(text):
    assert one(f"id=a&lat=1&lon=2&timestamp={text}".encode()).fix_ms == FIX_MS


def test_a_position_without_a_time_is_of_its_arrival_and_can_not_be_told_apart():
    position = one(b"deviceid=a&lat=1&lon=2&heading=5")
    assert (position.fix_ms, position.message_id, position.heading_deg) == (NOW_MS, None, 5)


def test_a_time_that_can_not_be_read_is_no_arrival():
    body = b"id=a&lat=1&lon=2&timestamp=soon"
    assert decode(body, ORIGIN) == Decoded(drops=["no time"])


def test_a_place_may_be_one_field():
    position = one(b"id=a&location=48.5,%202.5&timestamp=1789999985")
    assert (position.lat, position.lon) == (48.5, 2.5)


def test_an_alarm_is_an_event():
    assert one(QUERY.encode() + b"&alarm=sos").event == "alarm:sos"
    assert one(QUERY.encode() + b"&event=boot").event == "boot"


def test_where_pushes_go_is_told_alone_or_with_a_position():
    token = PushToken(device_id="phone", push_token="cT0k:APA91b")
    alone = b"id=phone&notificationToken=cT0k:APA91b"
    assert decode(alone, ORIGIN) == Decoded([token])
    both = decode(QUERY.encode() + b"&notificationToken=cT0k:APA91b", ORIGIN)
    assert both.reports[0] == token
    assert isinstance(both.reports[1], Position)


@pytest.mark.parametrize(
    "body",
    [
        b"id=phone&timestamp=1789999985&batt=90",
        b"id=phone&cell=262,2,1,2&cell=262,3,1,2&wifi=aa:bb:cc:dd:ee:ff,-60",
        b'{"location":{"event":"heartbeat"},"device_id":"phone"}',
        b'{"location":[],"device_id":"phone","id":7}',
    ],
)
def test_a_message_without_a_fix_is_taken_and_says_nothing(body):
    decoded = decode(body, ORIGIN)
    assert decoded.reports == []
    assert decoded.drops in (["no fix"], [])


def test_a_message_of_nobody_is_dropped_unless_the_credential_says_whose_it_is():
    body = b"lat=1&lon=2&timestamp=1789999985"
    assert decode(body, ORIGIN) == Decoded(drops=["no id"])
    assert decode(b"id=&" + body, ORIGIN) == Decoded(drops=["no id"])
    assert one(body, Origin(recv_ms=NOW_MS, device_id="owner")).device_id == "owner"


def test_the_credential_wins_over_the_body():
    owner = Origin(recv_ms=NOW_MS, device_id="owner")
    assert {one(body, owner).device_id for body in (QUERY.encode(), JSON)} == {"owner"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"location":', "no JSON"),
        (b"[7]", "not an object"),
        (b"id=a&lat=91&lon=2", "position out of range"),
    ],
)
def test_what_is_no_message_is_dropped_with_the_reason(body, reason):
    assert decode(body, ORIGIN) == Decoded(drops=[reason])


def test_a_form_without_end_is_read_only_so_far():
    assert one(QUERY.encode() + b"&a=1" * 100_000).device_id == "phone"
    assert decode(b"a=1&" * 100_000 + QUERY.encode(), ORIGIN) == Decoded(drops=["no id"])


@given(mutated(EXAMPLES))
def test_nothing_makes_it_raise(body: bytes):
    assert is_sound(decode(body, ORIGIN))
    as_query = body.decode("utf-8", "surrogateescape")
    assert is_sound(decode(b"", Origin(recv_ms=NOW_MS, query=as_query)))


# Of the real messages: the device, the place, the time (empty: of arrival), and what else is said.
REAL: list[tuple[str, str, float, float, str, dict[str, Any]]] = [
    ("query_iso_z.txt", "902064", 42.06288, -88.23412, "2016-01-27T18:55:47Z", {"altitude_m": 224}),
    ("query_datetime_space.txt", "353861053849681", 49.60688, 6.15788, "2014-06-04T09:10:11Z",
     {"altitude_m": 384.7, "speed_mps": 0}),
    ("query_seconds_full.txt", "123456", 60, 30, "2013-08-22T13:14:27Z",
     {"altitude_m": 0, "speed_mps": 0, "heading_deg": 0}),
    ("query_deviceid_no_timestamp.txt", "123456", 60, 30, "",
     {"accuracy_m": None, "heading_deg": 0}),
    ("query_no_timestamp_batt.txt", "861001000719969", 41.666667, -0.883333, "",
     {"battery_pct": 87}),
    ("query_extras.txt", "123456789012345", 40.7232948571, -74.0061408571, "2017-09-07T05:56:50Z",
     {"speed_mps": pytest.approx(20.578, abs=1e-3), "heading_deg": 7.19889788244}),
    ("android_legacy_alarm.txt", "123456789012345", 0, 0, "1989-08-17T00:00:00Z",
     {"event": "alarm:alert message", "accuracy_m": None, "battery_pct": None}),
    ("v10_form_derived.txt", "48241179", 37.4219983, -122.084, "2025-06-15T13:45:12Z",
     {"accuracy_m": 5, "battery_pct": 100}),
    ("json_android_motionchange.json", "48241179", 37.4219983, -122.084,
     "2025-06-15T13:45:12.862Z", {"battery_pct": 100, "heading_deg": None, "speed_mps": 0}),
    ("json_ios_simulator.json", "658765", 37.785834, -122.406417, "2025-05-09T04:11:30.579Z",
     {"mocked": True, "battery_pct": None, "speed_mps": None, "accuracy_m": 5}),
    ("json_moving.json", "8737767034", -6.1148096, 106.6837015, "2021-07-21T08:06:34.444Z",
     {"speed_mps": 18.67, "heading_deg": 63, "battery_pct": 79, "accuracy_m": 3.8}),
    ("dawarich_flat_variant.json", "iphone-frey", 52.52, 13.405, "2026-04-23T12:34:56Z",
     {"speed_mps": 1.4, "heading_deg": 90, "battery_pct": 85, "event": "motionchange"}),
]  # fmt: skip


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the shared payloads are not here")
class TestRealMessages:
    @pytest.mark.parametrize(("file", "device_id", "lat", "lon", "time", "more"), REAL)
    def test_a_position(self, file, device_id, lat, lon, time, more):
        position = one((PAYLOADS / file).read_bytes())
        fix_ms = time_ms(time) if time else NOW_MS
        assert (position.device_id, position.fix_ms) == (device_id, fix_ms)
        assert (position.lat, position.lon) == (lat, lon)
        assert {key: getattr(position, key) for key in more} == more

    @pytest.mark.parametrize(
        ("file", "reason"),
        [("query_missing_id.txt", "no id"), ("v10_heartbeat_no_fix_derived.txt", "no fix")],
    )
    def test_what_says_nothing(self, file, reason):
        assert decode((PAYLOADS / file).read_bytes(), ORIGIN) == Decoded(drops=[reason])
