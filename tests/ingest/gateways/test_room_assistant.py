"""room-assistant: what each room hears of one device."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_ONE_OF_THESE
from geoengine.ingest.gateways.room_assistant import NO_AUTHORITY, NO_MEASURE, decode

from .samples import NOW_MS, UUID, damaged, heard, sightings

DEVICE = f"ble-{UUID.replace('-', '')}-1-2"
SENSOR = "room-assistant/entity/till/bluetooth-low-energy-presence-sensor"
DISTANCES: dict[str, Any] = {
    "till": {"lastUpdatedAt": "2026-09-21T14:13:19.500Z", "distance": 9.4, "outOfRange": False},
    "door": {"lastUpdatedAt": "2026-09-21T14:13:20Z", "distance": 3.6, "outOfRange": False},
}
MEASURES: dict[str, Any] = {
    "till": {"rssi": -79.8, "measuredPower": -59},
    "door": {"rssi": -70.4, "measuredPower": -62},
}


def message(device: object = DEVICE, measures: object = MEASURES, **fields: Any) -> bytes:
    entity = {"id": device, "state": "door", "distances": DISTANCES, "measuredValues": measures}
    return json.dumps({"entity": entity, "hasAuthority": True} | fields).encode()


EXAMPLES: list[bytes] = [
    message(),
    message(diff=[{"path": "/measuredValues/till", "newValue": {"rssi": -80}}]),
    message("ble-keys"),
    message(hasAuthority=False),
]


def test_each_room_has_heard_the_device_at_a_time_of_its_own() -> None:
    till, door = sightings(heard(decode, message()))
    assert (till.uuid, till.major, till.minor) == (UUID, 1, 2)
    assert (till.gateway_id, till.rssi_dbm, till.tx_power_dbm) == ("till", -79.8, -59)
    assert till.seen_time == NOW_MS - 500
    assert (door.gateway_id, door.rssi_dbm, door.tx_power_dbm) == ("door", -70.4, -62)
    assert door.seen_time == NOW_MS


@pytest.mark.parametrize("authority", [False, None, "true", 1])
def test_only_the_instance_that_leads_counts(authority: object) -> None:
    decoded = heard(decode, message(hasAuthority=authority))
    assert (decoded.reports, decoded.drops) == ([], [NO_AUTHORITY])


def test_a_room_that_measured_nothing_costs_only_itself() -> None:
    measures = {"till": {"rssi": 0}, "yard": None, "door": MEASURES["door"]}
    decoded = heard(decode, message(measures=measures))
    assert [found.gateway_id for found in sightings(decoded)] == ["door"]
    assert decoded.drops == [NO_SIGNAL, NO_SIGNAL]


def test_a_room_without_a_time_has_heard_it_when_it_arrives() -> None:
    (found,) = sightings(heard(decode, message(measures={"yard": {"rssi": -60}})))
    assert (found.seen_time, found.tx_power_dbm) == (NOW_MS, None)


def test_a_device_that_only_the_topic_names_is_taken_from_there() -> None:
    found, _ = sightings(heard(decode, message(None), topic=f"{SENSOR}/{DEVICE}"))
    assert found.uuid == UUID


def test_a_tag_with_a_name_is_told_by_name() -> None:
    found, _ = sightings(heard(decode, message("ble-keys")))
    assert (found.uuid, found.device_id, found.gateway_id) == (None, "ble-keys", "till")


@pytest.mark.parametrize("device", ["ble-7750fb4dab70", "77:50:fb:4d:ab:70", "", 7])
def test_an_address_is_no_name(device: object) -> None:
    decoded = heard(decode, message(device))
    assert (decoded.reports, decoded.drops) == ([], [NO_BEACON, NO_BEACON])


def test_whoever_has_the_credential_is_the_gateway() -> None:
    found = sightings(heard(decode, message(), gateway_id="house"))
    assert {one.gateway_id for one in found} == {"house"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message(measures={}), NO_MEASURE),
        (message(measures=[1]), NO_MEASURE),
        (b'{"hasAuthority": true}', NO_MEASURE),
        (b"[]", NOT_ONE_OF_THESE),
        (b"not_home", NO_JSON),
    ],
)
def test_what_is_about_no_room_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
