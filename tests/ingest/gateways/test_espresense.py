"""ESPresense: beacons named by the id of a device."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.espresense import decode
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_ONE_OF_THESE

from .samples import NOW_MS, UUID, damaged, heard, sightings

DEVICE: dict[str, Any] = {
    "mac": "df51fd4a4caf",
    "id": f"iBeacon:{UUID}-100-65535",
    "rssi@1m": -65,
    "rssi": -72.41,
    "rxAdj": 0,
    "rssiVar": 3.2,
    "distance": 1.66,
    "int": 245,
}
NAMESPACE = "00112233445566778899"
INSTANCE = "aabbccddeeff"
TOPIC = f"espresense/devices/{DEVICE['id']}/living-room"


def message(**fields: Any) -> bytes:
    return json.dumps(DEVICE | fields).encode()


EXAMPLES: list[bytes] = [
    message(),
    message(id=f"altBeacon:{UUID}-1-2", batt=80),
    message(id=f"eddy:{NAMESPACE[:8]}44{NAMESPACE[8:]}-{INSTANCE}"),
    message(id="apple:1005:9-12", name="watch"),
]


def test_an_ibeacon_is_heard_by_the_room_of_the_topic_when_it_arrives() -> None:
    (found,) = sightings(heard(decode, message(), topic=TOPIC))
    assert (found.uuid, found.major, found.minor, found.scheme) == (UUID, 100, 65_535, "ibeacon")
    assert (found.rssi_dbm, found.tx_power_dbm) == (-72.41, -65)
    assert (found.gateway_id, found.seen_time) == ("living-room", NOW_MS)


def test_an_altbeacon_is_one() -> None:
    (found,) = sightings(heard(decode, message(id=f"altBeacon:{UUID}-1-2", batt=80)))
    assert (found.scheme, found.uuid, found.major, found.minor) == ("altbeacon", UUID, 1, 2)
    assert found.battery_pct == 80


@pytest.mark.parametrize("namespace", [NAMESPACE, "0011223344" + "44" + "5566778899"])
def test_the_byte_that_the_firmware_doubles_in_an_eddystone_is_taken_out(namespace: str) -> None:
    (found,) = sightings(heard(decode, message(id=f"eddy:{namespace}-{INSTANCE}")))
    assert (found.scheme, found.major, found.minor) == ("eddystone_uid", 0, 0)
    assert found.uuid == "00112233-4455-6677-8899-aabbccddeeff"
    assert found.tx_power_dbm == -65  # they have brought it to 1 m already


def test_an_id_that_only_the_topic_says_is_taken_from_there() -> None:
    fields = {name: value for name, value in DEVICE.items() if name != "id"}
    (found,) = sightings(heard(decode, json.dumps(fields).encode(), topic=TOPIC))
    assert found.uuid == UUID


@pytest.mark.parametrize("topic", ["", "living-room", "espresense/rooms/living-room"])
def test_a_topic_of_another_shape_names_no_room(topic: str) -> None:
    (found,) = sightings(heard(decode, message(), topic=topic))
    assert found.gateway_id is None


def test_whoever_has_the_credential_is_the_gateway() -> None:
    (found,) = sightings(heard(decode, message(), topic=TOPIC, gateway_id="door"))
    assert found.gateway_id == "door"


@pytest.mark.parametrize(
    "device",
    [
        "apple:1005:9-12",
        "irk:0123456789abcdef0123456789abcdef",
        "known:df51fd4a4caf",
        "df51fd4a4caf",
        f"iBeacon:{UUID}-100",
        f"iBeacon:{UUID}-100-65536",
        f"iBeacon:{UUID[1:]}-100-1",
        f"eddy:{NAMESPACE[:8]}55{NAMESPACE[8:]}-{INSTANCE}",  # too long, and not doubled
        f"eddy:{NAMESPACE}-{INSTANCE[1:]}g",
        f"eddy:{NAMESPACE}",
        "",
        7,
        None,
    ],
)
def test_a_device_that_is_no_beacon_is_dropped(device: object) -> None:
    decoded = heard(decode, message(id=device), topic=TOPIC)
    assert (decoded.reports, decoded.drops) == ([], [NO_BEACON])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message(rssi=None), NO_SIGNAL),
        (message(rssi=127), NO_SIGNAL),
        (b"[1]", NOT_ONE_OF_THESE),
        (b"online", NO_JSON),
    ],
)
def test_what_says_no_strength_or_is_no_message_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body, topic=TOPIC)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body, topic=TOPIC))
