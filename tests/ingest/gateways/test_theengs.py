"""Theengs Gateway and OpenMQTTGateway: one message an advertisement."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_ONE_OF_THESE
from geoengine.ingest.gateways.theengs import decode

from .samples import NOW_MS, UUID, damaged, heard, sightings

BARE = UUID.replace("-", "")
ADDRESS = "60:87:57:4C:9B:C2"
TOPIC = f"home/till-1/BTtoMQTT/{ADDRESS.replace(':', '')}"
DECODED: dict[str, Any] = {
    "id": ADDRESS,
    "mac_type": 1,
    "rssi": -78,
    "distance": 7.85,
    "model": "iBeacon",
    "model_id": "IBEACON",
    "mfid": "4c00",
    "uuid": BARE,
    "major": 1,
    "minor": 65_535,
    "txpower": -66,
}
UNDECODED: dict[str, Any] = {"id": ADDRESS, "rssi": -80, "txpower": 4}
IBEACON = {"manufacturerdata": f"4c000215{BARE}00010002c5"}
EDDYSTONE = {"servicedata": "00e700112233445566778899aabbccddeeff", "servicedatauuid": "0xfeaa"}
EDDYSTONE_UUID = "00112233-4455-6677-8899-aabbccddeeff"


def message(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


EXAMPLES: list[bytes] = [
    message(**DECODED),
    message(**UNDECODED, **IBEACON),
    message(**UNDECODED, **EDDYSTONE),
    message(id=ADDRESS, rssi=-42, brand="Apple", manufacturerdata="2c0q1006191e7v30x6fa"),
]


def test_a_decoded_beacon_is_heard_by_the_gateway_of_the_topic_when_it_arrives() -> None:
    (found,) = sightings(heard(decode, message(**DECODED), topic=TOPIC))
    assert (found.uuid, found.major, found.minor, found.scheme) == (UUID, 1, 65_535, "ibeacon")
    assert (found.rssi_dbm, found.tx_power_dbm) == (-78, -66)
    assert (found.gateway_id, found.seen_time) == ("till-1", NOW_MS)


@pytest.mark.parametrize(
    ("topic", "gateway_id"),
    [
        (f"home/shop/floor/till/BTtoMQTT/{BARE}", "till"),
        ("home/AC233FC03641/BTtoMQTT/x", "ac:23:3f:c0:36:41"),
        ("BTtoMQTT/x", None),
        ("home/till/other", None),
        ("", None),
    ],
)
def test_the_gateway_is_the_level_before_theirs(topic: str, gateway_id: str | None) -> None:
    (found,) = sightings(heard(decode, message(**DECODED), topic=topic))
    assert found.gateway_id == gateway_id


def test_whoever_has_the_credential_is_the_gateway() -> None:
    (found,) = sightings(heard(decode, message(**DECODED), topic=TOPIC, gateway_id="door"))
    assert found.gateway_id == "door"


def test_the_uuid_may_stand_in_the_place_of_the_address() -> None:
    fields = DECODED | {"id": BARE, "mac": ADDRESS}
    del fields["uuid"]
    (found,) = sightings(heard(decode, message(**fields)))
    assert found.uuid == UUID


@pytest.mark.parametrize(
    ("fields", "tx_power_dbm"),
    [
        ({"txpower": -59}, -59),
        ({"power": -59}, -59),
        ({"volt": 2.6}, None),
        ({"volt": 2.6, "txpower": -20}, None),  # what the radio sends with
        ({"model_id": "RDL52832", "volt": 2.6, "txpower": -59}, -59),  # a sensor's own battery
        ({"txpower": 26}, None),
        ({"txpower": "strong"}, None),
    ],
)
def test_a_power_that_is_a_voltage_is_not_known(
    fields: dict[str, Any], tx_power_dbm: float | None
) -> None:
    plain = {name: value for name, value in DECODED.items() if name != "txpower"}
    (found,) = sightings(heard(decode, message(**plain | fields)))
    assert found.tx_power_dbm == tx_power_dbm


def test_manufacturer_data_that_was_not_decoded_is() -> None:
    (found,) = sightings(heard(decode, message(**UNDECODED, **IBEACON)))
    assert (found.uuid, found.major, found.minor, found.tx_power_dbm) == (UUID, 1, 2, -59)


@pytest.mark.parametrize("service", ["0xfeaa", "feaa", "0000FEAA-0000-1000-8000-00805f9b34fb"])
def test_service_data_that_was_not_decoded_is(service: str) -> None:
    fields = UNDECODED | EDDYSTONE | {"servicedatauuid": service}
    (found,) = sightings(heard(decode, message(**fields)))
    assert (found.scheme, found.uuid) == ("eddystone_uid", EDDYSTONE_UUID)
    assert found.tx_power_dbm == -66  # -25 dBm at 0 m


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (EXAMPLES[3], NO_BEACON),
        (message(id=ADDRESS, rssi=-70, model_id="TheengsIB01", batt=80), NO_BEACON),
        (message(**UNDECODED, servicedata=EDDYSTONE["servicedata"]), NO_BEACON),
        (message(**DECODED | {"major": 65_536}), NO_BEACON),
        (message(**DECODED | {"uuid": BARE[1:]}), NO_BEACON),
        (message(**DECODED | {"rssi": 0}), NO_SIGNAL),
        (message(**DECODED | {"rssi": None}), NO_SIGNAL),
        (b"[]", NOT_ONE_OF_THESE),
        (b"online", NO_JSON),
    ],
)
def test_whatever_else_there_is_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body, topic=TOPIC)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body, topic=TOPIC))
