"""Transistorsoft's background-geolocation, in the shapes that apps give it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from geoengine.ingest.clients.bgeo import decode
from geoengine.ingest.reports import Decoded, Origin, Position, Report, Telling
from geoengine.ingest.times import time_ms
from tests.ingest.clients.mutated import is_sound, mutated

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
NOW_MS = time_ms("2026-09-21T14:13:20Z")
FIX_MS = time_ms("2026-09-21T14:13:05.250Z")
ORIGIN = Origin(recv_ms=NOW_MS)

FIX: dict[str, Any] = {
    "event": "motionchange",
    "is_moving": True,
    "uuid": "8a21f59c-0000-4000-8000-8b23cea7c7d7",
    "timestamp": "2026-09-21T14:13:05.250Z",
    "recorded_at": "2026-09-21T14:13:06.000Z",
    "age": 750,
    "odometer": 4616.5,
    "mock": False,
    "coords": {
        "latitude": 48.8566,
        "longitude": 2.3522,
        "accuracy": 14.2,
        "speed": 1.25,
        "speed_accuracy": 0.5,
        "heading": 270.5,
        "heading_accuracy": 10,
        "altitude": 35.1,
        "altitude_accuracy": 3.4,
    },
    "activity": {"type": "walking", "confidence": 100},
    "battery": {"is_charging": False, "level": 0.57},
    "extras": {},
}
CROSSING = FIX | {
    "event": "geofence",
    "geofence": {"identifier": "rivoli", "action": "ENTER", "extras": {"a": 1}},
}
TEMPLATE = {"lat": 48.8566, "lng": 2.3522, "geofence": "zone:rivoli:DWELL", "ts": FIX_MS}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def with_coords(**changes: Any) -> dict[str, Any]:
    return FIX | {"coords": FIX["coords"] | changes}


EXAMPLES = [
    body({"location": FIX, "device_id": "phone"}),
    body({"location": [FIX, CROSSING], "deviceId": "phone"}),
    body({"location": CROSSING, "device": {"uuid": "ab12", "platform": "iOS"}}),
    body(FIX | {"timestamp": FIX_MS, "device_id": "phone"}),
    body([FIX, CROSSING]),
    body({"data": {"rows": 1}, "points": [FIX]}),
    body(TEMPLATE),
    body({"location": [[48.8566, 2.3522, "rivoli", "EXIT", "2026-09-21T14:13:05Z"]]}),
    body([48.8566, 2.3522, "motionchange", True]),
]


def decoded(value: Any, origin: Origin = ORIGIN) -> Decoded:
    return decode(body(value), origin)


def one(value: Any, origin: Origin = ORIGIN) -> Report:
    found = decoded(value, origin)
    assert found.drops == []
    (report,) = found.reports
    return report


def test_a_location_is_a_position_in_our_units():
    assert one({"location": FIX, "device_id": "phone"}) == Position(
        device_id="phone",
        lat=48.8566,
        lon=2.3522,
        fix_ms=FIX_MS,
        accuracy_m=14.2,
        altitude_m=35.1,
        speed_mps=1.25,
        heading_deg=270.5,
        battery_pct=57,
        mocked=False,
        event="motionchange",
        sent_ms=FIX_MS + 750,
        message_id="8a21f59c-0000-4000-8000-8b23cea7c7d7",
    )


@pytest.mark.parametrize(
    "shape",
    [
        {"location": FIX},
        {"location": [FIX]},
        {"app_data": FIX, "user": {"id": 7}},
        {"user": {"id": 7}, "points": [FIX]},
        FIX,
        [FIX],
        {"location": FIX | {"timestamp": FIX_MS}},
    ],
    ids=["default", "batch", "root", "root of a batch", "bare", "bare batch", "epoch"],
)
def test_every_shape_that_an_app_may_choose_reads_the_same(shape: Any):
    assert one(shape) == one({"location": FIX})


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (with_coords(speed=-1), "speed_mps"),
        (with_coords(heading=-1), "heading_deg"),
        (with_coords(accuracy=-1), "accuracy_m"),
        (with_coords(accuracy=0), "accuracy_m"),
        (with_coords(altitude_accuracy=-1), "altitude_m"),
        (FIX | {"battery": {"level": -1, "is_charging": False}}, "battery_pct"),
        (FIX | {"battery": None}, "battery_pct"),
        (FIX | {"mock": None}, "mocked"),
        (FIX | {"recorded_at": "later"}, "sent_ms"),
    ],
)
def test_what_stands_for_unknown_is_none(location: dict[str, Any], name: str):
    assert getattr(one({"location": location}), name) is None


def test_a_location_without_a_time_is_of_now_and_cannot_be_known_again():
    bare = {"coords": {"latitude": 23.25, "longitude": 37.5}}
    assert one(bare) == Position(lat=23.25, lon=37.5, fix_ms=NOW_MS)


def test_a_location_without_a_uuid_is_known_again_by_its_fix():
    def told(**changes: Any) -> str | None:
        report = one({"location": {**FIX, "uuid": None, **changes}})
        return report.message_id  # type: ignore[union-attr]

    assert told() == told(odometer=1) != told(timestamp="2026-09-21T14:13:06Z")


@pytest.mark.parametrize(
    ("why", "location"),
    [
        ("no fix", with_coords(latitude=None)),
        ("no fix", with_coords(longitude="east")),
        ("position out of range", with_coords(latitude=90.1)),
        ("no time", FIX | {"timestamp": "yesterday"}),
        ("not an object", None),
    ],
)
def test_a_bad_location_of_a_batch_costs_only_itself(why: str, location: Any):
    found = decoded({"location": [FIX, location, FIX]})
    assert found.reports == [one(FIX), one(FIX)]
    assert found.drops == [why]


@pytest.mark.parametrize(
    ("why", "message"),
    [
        ("empty", b""),
        ("no JSON", b"lat=1&lon=2"),
        ("no JSON", b"[" * 100_000),
        ("no fix", b"{}"),
        ("no fix", b"[]"),
        ("no fix", b'{"location":[]}'),
        ("no fix", b'{"background_geolocation":["stop"]}'),
        ("not an object", b'[1,"two"]'),
        ("no fix", b"7"),
    ],
)
def test_a_body_without_a_location_is_dropped_with_a_reason(why: str, message: bytes):
    found = decode(message, ORIGIN)
    assert found.reports == []
    assert set(found.drops) == {why}


# Who it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        {"location": FIX, "device_id": "phone"},
        {"location": FIX, "deviceId": "phone"},
        {"location": FIX, "device": {"uuid": "phone"}},
        {"location": FIX | {"extras": {"device_id": "phone"}}},
        FIX | {"device_id": "phone"},
        [FIX | {"deviceId": "phone"}],
    ],
)
def test_a_parameter_of_the_app_says_whose_phone_it_is(shape: Any):
    assert one(shape).device_id == "phone"  # type: ignore[union-attr]
    credential = Origin(recv_ms=NOW_MS, device_id="d7")
    assert one(shape, credential).device_id == "d7"  # type: ignore[union-attr]


# Crossings -----------------------------------------------------------------------------------


def test_a_geofence_event_is_a_crossing_and_the_position_where_it_was_noticed():
    crossing, position = decoded({"location": CROSSING, "device_id": "phone"}).reports
    assert crossing == Telling(
        device_id="phone",
        event="enter",
        region_id="rivoli",
        lat=48.8566,
        lon=2.3522,
        accuracy_m=14.2,
        fix_ms=FIX_MS,
        sent_ms=FIX_MS + 750,
        message_id="8a21f59c-0000-4000-8000-8b23cea7c7d7",
    )
    assert isinstance(position, Position)
    assert (position.event, position.fix_ms) == ("geofence", FIX_MS)


@pytest.mark.parametrize(
    ("action", "event"), [("ENTER", "enter"), ("EXIT", "exit"), ("DWELL", "dwell")]
)
def test_the_three_actions_have_our_words(action: str, event: str):
    geofence = {"identifier": "rivoli", "action": action}
    crossing, _ = decoded({"location": FIX | {"geofence": geofence}}).reports
    assert isinstance(crossing, Telling)
    assert crossing.event == event


@pytest.mark.parametrize("geofence", [{}, {"identifier": "rivoli", "action": "LURK"}, 7, "rivoli"])
def test_a_geofence_that_cannot_be_read_leaves_the_position(geofence: Any):
    assert isinstance(one({"location": FIX | {"geofence": geofence}}), Position)


# Templates -----------------------------------------------------------------------------------


def test_a_template_is_read_by_the_names_of_its_keys():
    crossing, position = decoded({"location": TEMPLATE, "device_id": "phone"}).reports
    assert isinstance(crossing, Telling)
    assert isinstance(position, Position)
    assert (crossing.region_id, crossing.event) == ("zone:rivoli", "dwell")
    assert (position.lat, position.lon, position.fix_ms) == (48.8566, 2.3522, FIX_MS)


def test_a_template_may_tell_of_a_crossing_without_a_place():
    told = one({"id": "rivoli", "action": "EXIT", "ts": "2026-09-21T14:13:05.250Z"})
    assert isinstance(told, Telling)
    assert (told.region_id, told.event, told.lat, told.fix_ms) == ("rivoli", "exit", None, FIX_MS)


def test_a_compact_template_is_read_by_the_looks_of_its_values():
    rows = [
        [48.8566, 2.3522, "rivoli", "ENTER"],
        [48.8566, 2.3522, "rivoli", "EXIT", "2026-09-21T14:13:05.250Z"],
        [48.8566, 2.3522, "motionchange", True],
    ]
    told = [(type(report), report.fix_ms) for report in decoded(rows).reports]  # type: ignore[union-attr]
    assert told == [
        (Telling, NOW_MS),  # at its arrival; and its place is no fix, for nobody says of when
        (Telling, FIX_MS),
        (Position, FIX_MS),
        (Position, NOW_MS),
    ]


# Real messages ---------------------------------------------------------------------------------


def expected() -> list[Any]:
    if not PAYLOADS.exists():
        return []
    rows = json.loads((PAYLOADS / "expected.json").read_text())
    return [row for row in rows if row["file"].startswith("transistorsoft/")]


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the shared payloads are not here")
@pytest.mark.parametrize("row", expected(), ids=lambda row: row["file"])
def test_a_real_message_decodes_as_expected(row: Any):
    found = decode((PAYLOADS / row["file"]).read_bytes(), ORIGIN)
    names = {"position": Position, "transition": Telling}
    told = [report for report in row["expect"] if report["type"] in names]
    assert [type(report) for report in found.reports] == [names[one["type"]] for one in told]
    for report, wanted in zip(found.reports, told, strict=True):
        check(report, wanted)


def check(report: Any, wanted: dict[str, Any]) -> None:
    at = wanted["ts"]
    assert report.fix_ms == (NOW_MS if at == "arrival time" else time_ms(at))
    assert (report.lat, report.lon) == (wanted["lat"], wanted["lon"])
    said = {
        "acc_m": "accuracy_m", "alt_m": "altitude_m", "battery_pct": "battery_pct",
        "id": "message_id", "event": "event", "region": "region_id",
    }  # fmt: skip
    for theirs, ours in said.items():
        if theirs in wanted:
            assert getattr(report, ours) == wanted[theirs]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(EXAMPLES))
def test_no_message_makes_it_raise(message: bytes):
    found = decode(message, ORIGIN)
    assert all(isinstance(reason, str) and reason for reason in found.drops)
    assert is_sound(found)
