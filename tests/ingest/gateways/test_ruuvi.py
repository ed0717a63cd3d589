"""Ruuvi's gateway: by HTTP and by MQTT, numbers or texts of numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import EMPTY, NO_BEACON
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NO_SIGNAL,
    NOT_HEX,
    NOT_ONE_OF_THESE,
    STATUS,
)
from geoengine.ingest.gateways.ruuvi import decode

from .samples import (
    IBEACON,
    NOW_MS,
    UUID,
    assert_as_expected,
    damaged,
    heard,
    samples,
    sightings,
)

RUUVI_TAG = "0201061BFF99040513C85714C7CC00240008041CAB76F41C3CC6A5B9E0AD06"
TAG: dict[str, Any] = {"rssi": -70, "timestamp": 1_789_999_999, "ble_phy": "1M", "data": IBEACON}
GATEWAY = "C8:25:2D:8E:9C:2C"
TOPIC = f"ruuvi/{GATEWAY}/AA:BB:CC:01:02:03"
PUBLISHED: dict[str, Any] = {
    "gw_mac": GATEWAY,
    "rssi": -26,
    "aoa": [],
    "gwts": "1789999999",
    "ts": "1789999998",
    "data": IBEACON,
    "coords": "",
}


def posted(*tags: object) -> bytes:
    named = {f"AA:BB:CC:01:02:{number:02X}": tag for number, tag in enumerate(tags)}
    data = {"coordinates": "", "timestamp": "1790000000", "gw_mac": GATEWAY, "tags": named}
    return json.dumps({"data": data}).encode()


EXAMPLES: list[bytes] = [
    posted(TAG, TAG | {"data": RUUVI_TAG}),
    posted(TAG | {"rssi": "-70", "timestamp": "1789999999"}),
    json.dumps(PUBLISHED).encode(),
    b'{"state":"online"}',
]


@pytest.mark.parametrize("entry", samples("ruuvi"))
def test_real_messages_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


@pytest.mark.parametrize("body", EXAMPLES[:2])
def test_numbers_may_be_texts(body: bytes) -> None:
    found = sightings(heard(decode, body))[0]
    assert (found.uuid, found.rssi_dbm) == (UUID, -70)
    assert (found.gateway_id, found.seen_time) == ("c8:25:2d:8e:9c:2c", NOW_MS - 1_000)


def test_without_a_time_of_its_own_a_tag_has_the_messages() -> None:
    tag = {"rssi": -70, "counter": 17, "data": IBEACON}
    (found,) = sightings(heard(decode, posted(tag)))
    assert found.seen_time == NOW_MS


def test_a_published_advertisement_is_read() -> None:
    (found,) = sightings(heard(decode, EXAMPLES[2], topic=TOPIC))
    assert (found.uuid, found.rssi_dbm, found.seen_time) == (UUID, -26, 1_789_999_998_000)


def test_a_counter_instead_of_a_time_leaves_the_arrival() -> None:
    body = {"rssi": -26, "cnt": "12", "data": IBEACON}
    (found,) = sightings(heard(decode, json.dumps(body).encode(), topic=TOPIC))
    assert (found.seen_time, found.gateway_id) == (NOW_MS, "c8:25:2d:8e:9c:2c")


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        (TAG | {"data": RUUVI_TAG}, NO_BEACON),
        ({"rssi": -70, "temperature": 21.5}, EMPTY),
        (TAG | {"rssi": 0}, NO_SIGNAL),
        (TAG | {"rssi": "weak"}, NO_SIGNAL),
        (TAG | {"data": "0"}, NOT_HEX),
        ("tag", NOT_ONE_OF_THESE),
    ],
)
def test_a_bad_tag_costs_only_itself(tag: object, reason: str) -> None:
    decoded = heard(decode, posted(tag, TAG))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"state":"online"}', STATUS),
        (b'{"data":{"gw_mac":"AA:CC:EE:00:11:22"}}', NOT_ONE_OF_THESE),
        (b'{"data":{"tags":[]}}', NOT_ONE_OF_THESE),
        (b'{"hello":1}', NOT_ONE_OF_THESE),
        (b"[1]", NOT_ONE_OF_THESE),
        (b"", NO_JSON),
    ],
)
def test_what_is_no_scan_is_dropped_whole(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


def test_whoever_has_the_credential_is_the_gateway() -> None:
    (found,) = sightings(heard(decode, posted(TAG), gateway_id="till"))
    assert found.gateway_id == "till"


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body, topic=TOPIC))
