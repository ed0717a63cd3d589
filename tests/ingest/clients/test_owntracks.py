"""OwnTracks: one message a body, from Android, from iOS, and from Overland in its clothes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoengine.ingest.clients.owntracks import decode
from geoengine.ingest.clients.sealing import sealed
from geoengine.ingest.reports import Origin, Position, Report, Sighted, Telling
from geoengine.ingest.times import time_ms
from tests.ingest.clients.mutated import is_sound, mutated

NOW_MS = time_ms("2026-09-21T14:13:20Z")
NOW_S = NOW_MS // 1000
ORIGIN = Origin(recv_ms=NOW_MS)
PASSPHRASE = "le mot de passe"

FIX: dict[str, Any] = {
    "_type": "location",
    "_id": "3f1a90bc",
    "lat": 48.8566,
    "lon": 2.3522,
    "tst": NOW_S - 15,
    "created_at": NOW_S - 2,
    "acc": 12,
    "alt": 35,
    "vac": 4,
    "vel": 18,
    "cog": 270,
    "batt": 64,
    "bs": 1,
    "t": "u",
    "tid": "jp",
    "topic": "owntracks/jane/phone",
    "inregions": ["Rivoli"],
}
CROSSING: dict[str, Any] = {
    "_type": "transition",
    "event": "enter",
    "desc": "Rivoli",
    "rid": "rivoli",
    "wtst": 1_610_104_395,
    "lat": 48.8583,
    "lon": 2.347,
    "acc": 20,
    "tst": NOW_S - 9,
    "t": "c",
    "tid": "jp",
    "topic": "owntracks/jane/phone/event",
}
BEACON: dict[str, Any] = {
    "_type": "beacon",
    "uuid": "F7826DA6-4FA2-4E98-8024-BC5B71E0893E",
    "major": 1,
    "minor": "2",
    "rssi": -67,
    "prox": 2,
    "acc": -1,
    "tst": NOW_S - 4000,
    "tid": "jp",
}
WAYPOINT: dict[str, Any] = {
    "_type": "waypoint",
    "desc": "home",
    "lat": 48.85,
    "lon": 2.35,
    "rad": "150",
    "tst": "1558351273",
    "rid": "5f1d1b",
}


def body(*messages: Any) -> bytes:
    return json.dumps(messages[0] if len(messages) == 1 else messages).encode()


def changed(message: dict[str, Any], **changes: Any) -> bytes:
    """The message with some keys changed; ``...`` takes a key away."""
    return body({key: value for key, value in (message | changes).items() if value is not ...})


def in_a_box(message: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return body({"_type": "encrypted", "data": sealed(message, passphrase)})


EXAMPLES = [
    body(FIX),
    body(CROSSING),
    body(BEACON),
    body(WAYPOINT),
    body(FIX, CROSSING, BEACON),
    body({"_type": "waypoints", "_creator": "iOS", "waypoints": [WAYPOINT, WAYPOINT]}),
    body({"_type": "lwt", "tst": NOW_S, "custom": False}),
    changed(FIX, topic=..., t=..., _id=..., created_at=...),
    b"2026-09-21T14:13:10Z\t*                 \t" + body(FIX) + b"\n",
    in_a_box(body(FIX)),
]


def one(message: bytes, origin: Origin = ORIGIN) -> Report:
    decoded = decode(message, origin)
    assert decoded.drops == []
    (report,) = decoded.reports
    return report


def drops(message: bytes, origin: Origin = ORIGIN) -> list[str]:
    decoded = decode(message, origin)
    assert decoded.reports == []
    return decoded.drops


def test_a_location_is_a_position_in_our_units():
    assert one(body(FIX)) == Position(
        device_id="jane/phone",
        lat=48.8566,
        lon=2.3522,
        fix_ms=NOW_MS - 15_000,
        accuracy_m=12,
        altitude_m=35,
        speed_mps=pytest.approx(5),  # 18 km/h
        heading_deg=270,
        battery_pct=64,
        event="u",
        sent_ms=NOW_MS - 2_000,
        message_id="3f1a90bc",
    )


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("acc", 0, "accuracy_m"),
        ("acc", -1, "accuracy_m"),
        ("vel", -1, "speed_mps"),
        ("cog", -1, "heading_deg"),
        ("batt", -1, "battery_pct"),
        ("vac", -1, "altitude_m"),
        ("t", "", "event"),
        ("created_at", "soon", "sent_ms"),
    ],
)
def test_what_stands_for_unknown_is_none(key: str, value: object, name: str):
    assert getattr(one(changed(FIX, **{key: value})), name) is None


def test_keys_that_are_left_out_are_unknown_and_the_fix_is_whole():
    told = one(changed(FIX, acc=..., alt=..., vac=..., vel=..., cog=..., batt=..., t=...))
    assert isinstance(told, Position)
    assert (told.accuracy_m, told.altitude_m, told.speed_mps, told.heading_deg) == (None,) * 4
    assert (told.battery_pct, told.event, told.lat) == (None, None, 48.8566)


@pytest.mark.parametrize(("key", "place"), [("lon", (48.8566, 0.0)), ("lat", (0.0, 2.3522))])
def test_android_leaves_out_a_coordinate_that_is_exactly_zero(key: str, place: tuple[float, float]):
    told = one(changed(FIX, **{key: ...}))
    assert isinstance(told, Position)
    assert (told.lat, told.lon) == place


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("no fix", {"lat": ..., "lon": ...}),
        ("no fix", {"lat": "north"}),
        ("position out of range", {"lat": 91}),
        ("position out of range", {"lon": -181}),
        ("no time", {"tst": ...}),
        ("no time", {"tst": []}),
        ("no _type", {"_type": ...}),
        ("unknown _type", {"_type": "bicycle"}),
        ("unknown _type", {"_type": ["location"]}),
    ],
)
def test_a_location_that_says_too_little_is_dropped_with_a_reason(
    why: str, changes: dict[str, Any]
):
    assert drops(changed(FIX, **changes)) == [why]


@pytest.mark.parametrize(
    "kind", ["lwt", "status", "step", "steps", "card", "configuration", "cmd", "dump", "clear"]
)
def test_what_is_no_report_is_dropped_by_its_name(kind: str):
    assert drops(changed(FIX, _type=kind)) == [f"no report: {kind}"]


@pytest.mark.parametrize("nothing", [b"", b" \n"])
def test_an_empty_body_says_that_a_friend_is_gone(nothing: bytes):
    assert drops(nothing) == ["empty"]


@pytest.mark.parametrize(
    ("why", "message"),
    [
        ("no JSON", b"lat=48.8&lon=2.3"),
        ("no JSON", b'{"_type":"location"'),
        ("no JSON", b"\xff\xfe{}"),
        ("no JSON", b'{"_type":' + b"[" * 100_000),
        ("not an object", b"true"),
    ],
)
def test_a_body_that_is_no_message_is_dropped(why: str, message: bytes):
    assert drops(message) == [why]


def test_a_bad_message_of_several_costs_only_itself():
    decoded = decode(body(FIX, 7, {"_type": "location"}, CROSSING), ORIGIN)
    assert [type(report) for report in decoded.reports] == [Position, Telling]
    assert decoded.drops == ["not an object", "no fix"]


# Who it is -----------------------------------------------------------------------------------


def device(message: bytes, **origin: Any) -> str | None:
    return one(message, Origin(recv_ms=NOW_MS, **origin)).device_id  # type: ignore[union-attr]


def test_the_credential_says_whose_phone_it_is_and_then_the_first_that_knows():
    nameless = changed(FIX, topic=...)
    headers = {"x-limit-u": "jane", "x-limit-d": "tablet"}
    query = "u=jane&d=old%20phone"
    told = [
        device(body(FIX), device_id="d7", topic="owntracks/a/b", headers=headers, query=query),
        device(body(FIX), topic="owntracks/jane/watch/event", headers=headers, query=query),
        device(body(FIX), headers=headers, query=query),
        device(nameless, headers=headers, query=query),
        device(nameless, query=query),
        device(nameless),
        device(changed(FIX, topic=..., tid=...)),
    ]
    assert told == [
        "d7", "jane/watch", "jane/phone", "jane/tablet", "jane/old phone", "jp", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "device_id"),
    [
        ("owntracks/test/iPhone 12 Pro", "test/iPhone 12 Pro"),
        ("owntracks/test/iPhone 12 Pro/event", "test/iPhone 12 Pro"),
        ("/owntracks/jane/phone/waypoints", "jane/phone"),
        ("owntracks/jane", "jp"),
        ("owntracks//phone", "jp"),
        ("elsewhere/jane/phone", "jp"),
        (["owntracks"], "jp"),
        ("owntracks/jane/\x00", None),  # no name; and not to be mixed up with another "jp"
    ],
)
def test_a_topic_names_user_and_device_whatever_follows(topic: object, device_id: str | None):
    assert device(changed(FIX, topic=topic)) == device_id


def test_an_iphone_without_names_is_nobody_rather_than_everybody():
    nobody = {"x-limit-u": "user", "x-limit-d": "device"}
    assert device(changed(FIX, topic="owntracks/user/device"), headers=nobody) == "jp"


# The same again ------------------------------------------------------------------------------


def test_a_fix_sent_twice_with_two_times_of_sending_is_one_report():
    first, again, elsewhere = (
        one(changed(FIX, _id=..., created_at=NOW_S - 2)),
        one(changed(FIX, _id=..., created_at=NOW_S + 3)),
        one(changed(FIX, _id=..., lat=48.8567)),
    )
    assert first.message_id == again.message_id  # type: ignore[union-attr]
    assert first.message_id != elsewhere.message_id  # type: ignore[union-attr]


# Overland, and the Recorder --------------------------------------------------------------------


def test_seconds_since_2001_are_known_by_lying_decades_before_their_arrival():
    apples = {"_type": "location", "lat": 48.8566, "lon": 2.3522, "tst": NOW_S - 978_307_200 - 30}
    told = one(body(apples))
    assert isinstance(told, Position)
    assert told.fix_ms == NOW_MS - 30_000


@pytest.mark.parametrize("told", ["2017-06-13T10:21:56Z", "2010-01-02T00:00:00Z"])
def test_an_old_time_that_can_be_meant_is_left_alone(told: str):
    position = one(changed(FIX, tst=time_ms(told) // 1000))
    assert isinstance(position, Position)
    assert position.fix_ms == time_ms(told)


def test_lines_of_the_recorder_were_heard_when_it_says():
    lines = (
        b"2026-09-20T08:00:00Z\t*                 \t" + body(BEACON) + b"\n"
        b"2026-09-20T08:00:05Z  lwt               " + body({"_type": "lwt"}) + b"\n\n"
        b"2026-09-20T08:00:09Z nonsense\n"
    )
    decoded = decode(lines, ORIGIN)
    (heard,) = decoded.reports
    assert isinstance(heard, Sighted)
    assert heard.seen_time == time_ms("2026-09-20T08:00:00Z")
    assert decoded.drops == ["no report: lwt", "no line of the Recorder"]


# No message, whatever is in it, is too much -----------------------------------------------------


def examples_in_boxes() -> st.SearchStrategy[bytes]:
    return mutated(EXAMPLES).map(in_a_box)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(EXAMPLES) | examples_in_boxes(), st.text(), st.sampled_from(["x-limit-u", "x"]))
def test_no_message_makes_it_raise(message: bytes, odd: str, header: str):
    origin = Origin(
        recv_ms=NOW_MS,
        topic=odd,
        query=odd,
        headers={header: odd, "x-limit-d": odd},
        passphrase=PASSPHRASE,
    )
    decoded = decode(message, origin)
    assert all(isinstance(reason, str) and reason for reason in decoded.drops)
    assert is_sound(decoded)
