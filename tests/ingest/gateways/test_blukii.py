"""blukii Hub: frames and signal strengths joined by time, and raw frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import NO_BEACON, TRUNCATED
from geoengine.ingest.gateways.blukii import decode
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_HEX, NOT_ONE_OF_THESE

from .samples import NOW_MS, UUID, damaged, heard, sightings

EDDYSTONE_UUID = "00112233-4455-6677-8899-aabbccddeeff"
DEVICE: dict[str, Any] = {
    "macAddress": "CC78AB6FFEBF",
    "rssi": [
        {"rssi": -55, "timestamp": NOW_MS - 900},
        {"rssi": -58, "timestamp": NOW_MS - 300},
        {"rssi": -70, "timestamp": NOW_MS - 100},
    ],
    "iBeaconData": [
        {
            "uuid": UUID.upper(),
            "major": 3,
            "minor": 3124,
            "measuredPower": -57,
            "timestamp": NOW_MS - 900,
        }
    ],
    "eddystoneUID": [
        {
            "uidNamespace": "00112233445566778899",
            "uidInstance": "AABBCCDDEEFF",
            "timestamp": NOW_MS - 300,
        }
    ],
    "eddystoneTLM": [{"battery": 3000, "timestamp": NOW_MS - 100}],
}
FRAME = DEVICE["iBeaconData"][0]
SENSOR: dict[str, Any] = {"type": "SENSOR_BEACON", "rssi": [{"rssi": -59, "timestamp": NOW_MS}]}


def listed(*devices: object, name: str = "data") -> bytes:
    return json.dumps({"id": "SMAA9ET9WL", name: devices}).encode()


def raw(kind: int, held: str, rssi: int = -69, at_ms: int = NOW_MS, battery: int = 100) -> str:
    tail = bytes([battery, kind]) + bytes.fromhex(held)
    return (bytes.fromhex("F05ECD2555AC") + bytes([rssi % 256]) + at_ms.to_bytes(8, "little")
            + tail).hex().upper()  # fmt: skip


IBEACON = raw(1, UUID.replace("-", "") + "00010002C7")
EDDYSTONE = raw(2, "E7" + EDDYSTONE_UUID.replace("-", ""))
TLM = raw(4, "0CEC000000003F510000C06C")

EXAMPLES: list[bytes] = [listed(DEVICE, SENSOR), listed(DEVICE, name="items"), listed(IBEACON, TLM)]


@pytest.mark.parametrize("name", ["data", "items"])
def test_a_frame_was_heard_as_well_as_is_said_of_its_instant(name: str) -> None:
    decoded = heard(decode, listed(DEVICE, name=name))
    ibeacon, eddystone = sightings(decoded)
    assert (ibeacon.uuid, ibeacon.major, ibeacon.minor) == (UUID, 3, 3124)
    assert (ibeacon.rssi_dbm, ibeacon.tx_power_dbm) == (-55, -57)
    assert (ibeacon.gateway_id, ibeacon.seen_time) == ("SMAA9ET9WL", NOW_MS - 900)
    assert (eddystone.scheme, eddystone.uuid) == ("eddystone_uid", EDDYSTONE_UUID)
    assert (eddystone.rssi_dbm, eddystone.tx_power_dbm) == (-58, None)
    assert decoded.drops == []


def test_the_charge_of_its_battery_is_told() -> None:
    found = sightings(heard(decode, listed(DEVICE | {"batteryPct": 94})))
    assert {one.battery_pct for one in found} == {94}


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ({"iBeaconData": [FRAME | {"timestamp": NOW_MS}]}, NO_SIGNAL),
        ({"iBeaconData": [{**FRAME, "timestamp": None}]}, NO_SIGNAL),
        ({"iBeaconData": [FRAME | {"minor": -1}]}, NO_BEACON),
        ({"eddystoneUID": [{"uidNamespace": "0011", "uidInstance": 7}]}, NO_BEACON),
    ],
)
def test_a_bad_frame_costs_only_itself(device: dict[str, Any], reason: str) -> None:
    decoded = heard(decode, listed(DEVICE | device))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


def test_a_beacon_without_a_frame_of_ours_is_dropped() -> None:
    decoded = heard(decode, listed(SENSOR, 7, DEVICE))
    assert len(sightings(decoded)) == 2
    assert decoded.drops == [NO_BEACON, NOT_HEX]


def test_a_raw_frame_counts_its_milliseconds_from_the_low_byte_up() -> None:
    ibeacon, eddystone = sightings(heard(decode, listed(IBEACON, EDDYSTONE)))
    assert (ibeacon.uuid, ibeacon.major, ibeacon.minor) == (UUID, 1, 2)
    assert (ibeacon.rssi_dbm, ibeacon.tx_power_dbm) == (-69, -57)
    assert (ibeacon.seen_time, ibeacon.battery_pct) == (NOW_MS, 100)
    assert (eddystone.uuid, eddystone.tx_power_dbm) == (EDDYSTONE_UUID, -66)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (TLM, NO_BEACON),
        (IBEACON[:-2], NO_BEACON),
        (IBEACON[:32], TRUNCATED),
        (raw(1, UUID.replace("-", "") + "00010002C7", rssi=127), NO_SIGNAL),
        ("soon", NOT_HEX),
        ("", NOT_HEX),
        (None, NOT_HEX),
    ],
)
def test_a_bad_raw_frame_costs_only_itself(frame: object, reason: str) -> None:
    decoded = heard(decode, listed(frame, IBEACON))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


def test_whoever_has_the_credential_is_the_gateway() -> None:
    found = sightings(heard(decode, listed(DEVICE, IBEACON), gateway_id="till"))
    assert {one.gateway_id for one in found} == {"till"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [(listed(), NOT_ONE_OF_THESE), (b"[]", NOT_ONE_OF_THESE), (b"", NO_JSON)],
)
def test_a_batch_of_nothing_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
