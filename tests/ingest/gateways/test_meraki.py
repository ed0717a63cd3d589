"""Meraki's Scanning API: beacons at the access points that have heard them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, EMPTY, NO_BEACON
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_ONE_OF_THESE
from geoengine.ingest.gateways.meraki import NOWHERE_HEARD, OLD_VERSION, decode

from .samples import IBEACON, NOW_MS, STRANGER, UUID, damaged, heard, sightings

TILL, DOOR = "a8:46:9d:27:56:63", "a8:46:9d:27:56:64"
FACE: dict[str, Any] = {"bleType": "ibeacon", "uuid": UUID, "rawData": IBEACON}
LATEST: dict[str, Any] = {
    "time": "2026-09-21T14:13:20Z",
    "nearestApMac": TILL,
    "nearestApRssi": -70,
}
PLACE: dict[str, Any] = {
    "time": "2026-09-21T14:13:10Z",
    "lat": 48.85,
    "lng": 2.34,
    "rssiRecords": [{"apMac": TILL, "rssi": -71}, {"apMac": DOOR, "rssi": -80}],
}
SEEN: dict[str, Any] = {
    "clientMac": "24:fc:e5:90:97:4d",
    "name": "",
    "locations": [PLACE],
    "bleBeacons": [FACE],
    "latestRecord": LATEST,
}


def message(*observations: object, **fields: Any) -> bytes:
    data = {"networkId": "L_1", "reportingAps": [], "observations": observations}
    whole = {"version": "3.0", "secret": "s3cret", "type": "Bluetooth", "data": data}
    return json.dumps(whole | fields).encode()


EXAMPLES: list[bytes] = [
    message(SEEN),
    message(SEEN | {"locations": []}, SEEN | {"bleBeacons": [FACE | {"rawData": STRANGER}]}),
    message({"clientMac": "24:fc:e5:90:97:4d", "ssid": "shop"}, type="WiFi"),
]


def test_a_beacon_is_heard_by_each_access_point_at_each_time() -> None:
    found = sightings(heard(decode, message(SEEN)))
    assert {(one.uuid, one.major, one.minor, one.tx_power_dbm) for one in found} == {
        (UUID, 1, 2, -59)
    }
    assert [(one.gateway_id, one.rssi_dbm, one.seen_time) for one in found] == [
        (TILL, -71, NOW_MS - 10_000),
        (DOOR, -80, NOW_MS - 10_000),
        (TILL, -70, NOW_MS),
    ]


def test_a_latest_record_that_repeats_a_place_counts_once() -> None:
    latest = {"time": PLACE["time"], "nearestApMac": TILL.upper(), "nearestApRssi": "-71"}
    found = sightings(heard(decode, message(SEEN | {"latestRecord": latest})))
    assert [(one.gateway_id, one.rssi_dbm) for one in found] == [(TILL, -71), (DOOR, -80)]


def test_a_beacon_without_its_bytes_is_taken_as_it_was_made_out() -> None:
    face = {"bleType": "ibeacon", "uuid": UUID, "major": 3, "minor": 4}
    found = sightings(heard(decode, message(SEEN | {"bleBeacons": [face], "locations": []})))
    assert [(one.uuid, one.major, one.minor, one.tx_power_dbm) for one in found] == [
        (UUID, 3, 4, None)
    ]


def test_a_radio_shows_few_faces_and_the_same_one_counts_once() -> None:
    others = [FACE | {"rawData": IBEACON[:-6] + f"{minor:04x}c5"} for minor in range(10, 99)]
    faces = [FACE, FACE, *others]
    found = sightings(heard(decode, message(SEEN | {"bleBeacons": faces, "locations": []})))
    assert len(found) == 7


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (SEEN | {"bleBeacons": [FACE | {"rawData": STRANGER}]}, APPLES),
        (SEEN | {"bleBeacons": [{"bleType": "ibeacon", "uuid": UUID}]}, EMPTY),
        (SEEN | {"bleBeacons": []}, NO_BEACON),
        (SEEN | {"bleBeacons": None}, NO_BEACON),
        (SEEN | {"locations": [], "latestRecord": None}, NOWHERE_HEARD),
        (SEEN | {"locations": [], "latestRecord": LATEST | {"nearestApRssi": 40}}, NO_SIGNAL),
    ],
)
def test_a_bad_observation_costs_only_itself(observation: object, reason: str) -> None:
    decoded = heard(decode, message(observation, SEEN))
    assert len(sightings(decoded)) == 3
    assert decoded.drops == [reason]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message(SEEN, version="2.1", type="DevicesSeen"), OLD_VERSION),
        (message(SEEN, version=None), OLD_VERSION),
        (message(), NOT_ONE_OF_THESE),
        (message(data=[]), NOT_ONE_OF_THESE),
        (EXAMPLES[2], NO_BEACON),
        (b"[]", NOT_ONE_OF_THESE),
        (b"", NO_JSON),
    ],
)
def test_a_post_without_beacons_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


def test_whoever_has_the_credential_is_the_gateway() -> None:
    found = sightings(heard(decode, message(SEEN), gateway_id="shop"))
    assert {one.gateway_id for one in found} == {"shop"}


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
