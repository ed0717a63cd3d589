"""GPSLogger: whatever template its user wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from geoengine.ingest.clients.gpslogger import decode
from geoengine.ingest.reports import Decoded, Origin, Position
from geoengine.ingest.times import time_ms
from tests.ingest.clients.mutated import is_sound, mutated

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads" / "gpslogger"
NOW_MS = time_ms("2026-09-21T14:13:20Z")
FIX_MS = time_ms("2026-09-21T14:13:05.250Z")
ORIGIN = Origin(recv_ms=NOW_MS)

# Everything, as %ALL writes it, where the phone knows everything.
ALL = (
    "lat=48.8566&lon=2.3522&sat=9&desc=at+the+shop&alt=35.5&acc=8.0&dir=90.5&prov=gps&spd_kph=5.04"
    "&spd=1.4&timestamp=1789999985&timeoffset=2026-09-21T16:13:05.250%2B02:00"
    "&time=2026-09-21T14:13:05.250Z&starttimestamp=1789990000&date=2026-09-21&batt=71.0"
    "&ischarging=false&aid=a1b2&ser=unknown&act=&filename=20260921&profile=Default+Profile"
    "&hdop=0.9&vdop=&pdop=&dist=120&"
)
# Field for field as the manual of OpenGTS has it: 48.8566 N is 48 degrees 51.396 minutes.
OPENGTS = (
    "id=phone&dev=phone&acct=jane&batt=71&code=0xF020&alt=35.5"
    "&gprmc=$GPRMC,141305,A,4851.39600,N,221.13200,W,2.721382,90.500000,210926,,*1B"
)
TEMPLATE = (
    '{"device": "phone", "time": 1789999985, "latitude": 48.8566, "longitude": 2.3522,'
    ' "accuracy": 8.0, "speed": 1.4, "battery": 71.0}'
)
HOLES = '{"lat":48.8566,"lon":2.3522,"hdop":,"time":"2026-09-21T14:13:05.250Z","aid":a1b2,"act":}'
EXAMPLES = [text.encode() for text in (ALL, f"/log?{ALL}", OPENGTS, TEMPLATE, HOLES)] + [
    b'{"locations":[{"geometry":{"coordinates":[2.3522,48.8566]},'
    b'"properties":{"timestamp":"2026-09-21T14:13:05Z","device_id":"phone"}}]}'
]


def one(body: str, origin: Origin = ORIGIN) -> Position:
    (position,) = decode(body.encode(), origin).reports
    assert isinstance(position, Position)
    return position


def test_everything_that_it_can_say_in_our_units():
    position = one(ALL)
    assert position == Position(
        device_id="a1b2",
        lat=48.8566,
        lon=2.3522,
        fix_ms=FIX_MS,
        accuracy_m=8,
        altitude_m=35.5,
        speed_mps=1.4,
        heading_deg=90.5,
        battery_pct=71,
        message_id=position.message_id,
    )


def test_query_and_body_and_both_say_the_same():
    assert decode(b"", Origin(recv_ms=NOW_MS, query=ALL)) == decode(ALL.encode(), ORIGIN)
    beside = Origin(recv_ms=NOW_MS, query="device=phone&key=k")
    assert one(ALL, beside).device_id == "phone"


def test_what_it_does_not_know_arrives_as_zero():
    position = one("lat=1&lon=2&acc=0.0&alt=0.0&dir=0.0&batt=0.0&spd=0.0&time=&hdop=&aid=")
    assert position.accuracy_m is position.altitude_m is position.heading_deg is None
    assert position.battery_pct is position.device_id is None
    assert position.speed_mps == 0  # who stands still says the same


def test_a_speed_is_told_by_the_name_of_its_field():
    assert one("lat=1&lon=2&spd_kph=36").speed_mps == pytest.approx(10)
    assert one("lat=1&lon=2&SPEED=10").speed_mps == 10


@pytest.mark.parametrize(
    ("fields", "fix_ms"),
    [
        ("time=2026-09-21T14:13:05.250Z&timestamp=1789999985", FIX_MS),  # the finer of the two
        ("timestamp=1789999985", FIX_MS - 250),
        ("epoch=1789999985000", FIX_MS - 250),
        ("timeoffset=2026-09-21T16:13:05.250+02:00", FIX_MS),  # the plus arrives as a blank
        ("time=noon&timestamp=1789999985", FIX_MS - 250),
        ("date=2026-09-21&starttimestamp=1789990000", NOW_MS),  # neither is of the fix
        ("time=&timestamp=", NOW_MS),
    ],
)
def test_the_time_of_a_fix_is_found_among_its_many(fields, fix_ms):
    assert one(f"lat=1&lon=2&{fields}").fix_ms == fix_ms


def test_a_position_of_its_arrival_can_not_be_told_apart_when_it_comes_again():
    assert one("lat=1&lon=2").message_id is None
    assert one(ALL).message_id == one(ALL).message_id is not None


def test_names_are_known_in_any_case_of_letters():
    position = one("LAT=1&Lon=2&Acc=5&AndroidId=x")
    assert (position.lat, position.lon, position.accuracy_m, position.device_id) == (1, 2, 5, "x")


def test_the_serial_number_of_a_phone_is_no_id():
    assert one("lat=1&lon=2&ser=unknown&serial=unknown").device_id is None


def test_opengts_says_it_in_a_sentence():
    position = one(OPENGTS)
    assert position.device_id == "phone"
    assert position.lat == pytest.approx(48.8566, abs=1e-9)
    assert position.lon == pytest.approx(-2.3522, abs=1e-9)
    assert position.fix_ms == time_ms("2026-09-21T14:13:05Z")
    assert position.speed_mps == pytest.approx(1.4, abs=1e-6)
    assert (position.heading_deg, position.altitude_m, position.battery_pct) == (90.5, 35.5, 71)


def test_a_sentence_without_a_fix_says_nothing():
    assert decode(OPENGTS.replace(",A,", ",V,").encode(), ORIGIN) == Decoded(drops=["no fix"])


def test_a_template_of_json_is_read_also_with_holes_in_it():
    position = one(TEMPLATE)
    assert (position.device_id, position.lat, position.speed_mps) == ("phone", 48.8566, 1.4)
    position = one(HOLES)
    assert (position.device_id, position.fix_ms, position.lon) == ("a1b2", FIX_MS, 2.3522)


def test_its_batches_for_dawarich_are_overlands():
    position = one(EXAMPLES[-1].decode())
    assert (position.device_id, position.lat, position.lon) == ("phone", 48.8566, 2.3522)


def test_the_credential_wins_over_the_body():
    owner = Origin(recv_ms=NOW_MS, device_id="owner", query="device=other")
    assert {one(body.decode(), owner).device_id for body in EXAMPLES} == {"owner"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "empty"),
        ("lat=&lon=&acc=0.0", "no fix"),
        ("lat=48,5&lon=2", "no fix"),
        ("lat=1&lon=181", "position out of range"),
        ("lat=1&lon=2&time=noon", "no time"),
        ("[7]", "not an object"),
        ('{"lat":', "no fix"),
        ("{lat", "no JSON"),
    ],
)
def test_what_says_no_position_is_dropped_with_the_reason(body, reason):
    assert decode(body.encode(), ORIGIN) == Decoded(drops=[reason])


@given(mutated(EXAMPLES))
def test_nothing_makes_it_raise(body: bytes):
    assert is_sound(decode(body, ORIGIN))
    as_query = body.decode("utf-8", "surrogateescape")
    assert is_sound(decode(b"", Origin(recv_ms=NOW_MS, query=as_query)))


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the shared payloads are not here")
class TestRealMessages:
    def test_one_that_says_all(self):
        position = one((PAYLOADS / "get_full.txt").read_text())
        assert (position.device_id, position.lat, position.lon) == ("22", 12.193, 19.111)
        assert position.fix_ms == time_ms("2016-03-05T19:24:29.949Z")
        assert (position.accuracy_m, position.altitude_m, position.heading_deg) == (8, 45, 359)
        assert (position.speed_mps, position.battery_pct) == (9005, 91)

    @pytest.mark.parametrize(
        "file", ["get_all.txt", "post_all_body.txt", "get_epoch.txt", "get_epoch_fake_ms.txt"]
    )
    def test_one_that_knows_little(self, file):
        position = one((PAYLOADS / file).read_text())
        assert position.fix_ms == time_ms("2016-03-05T19:24:29.949Z")
        assert (position.device_id, position.lat, position.lon) == (None, 12.193, 19.456)
        assert position.accuracy_m is position.battery_pct is None

    def test_one_without_a_time(self):
        position = one((PAYLOADS / "get_battery_charging.txt").read_text())
        assert (position.fix_ms, position.battery_pct) == (NOW_MS, 81)
