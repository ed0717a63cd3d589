"""Moko's gateways: an older and a newer shape of JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, EMPTY
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NO_SIGNAL,
    NOT_HEX,
    NOT_ONE_OF_THESE,
    STATUS,
)
from geoengine.ingest.gateways.moko import decode

from .samples import (
    IBEACON,
    NOW_MS,
    STRANGER,
    UUID,
    assert_as_expected,
    damaged,
    heard,
    samples,
    sightings,
)

INFO = {"device_id": "1234", "mac": "112233445566"}
OLD: dict[str, Any] = {
    "timestamp": "2026-09-21&22:13:19+08",
    "mac": "ABDF01FC9E98",
    "rssi": -78,
    "name": "ABC",
    "raw": IBEACON,
}
NEW: dict[str, Any] = {
    "timestamp": NOW_MS - 1_000,
    "mac": "ABDF01FC9E98",
    "type": "ibeacon",
    "rssi": -61,
    "adv_data": IBEACON,
    "rsp_data": "",
}


def old(*values: object) -> bytes:
    data = [{"type": 8, "value": value} for value in values]
    return json.dumps({"msg_id": 3004, "device_info": INFO, "data": data}).encode()


def new(*rows: object) -> bytes:
    return json.dumps({"msg_id": 3070, "device_info": INFO, "data": rows}).encode()


EXAMPLES: list[bytes] = [
    old(OLD, OLD | {"raw": STRANGER}),
    new(NEW, NEW | {"adv_data": STRANGER, "rsp_data": IBEACON}),
    json.dumps({"msg_id": 3003, "device_info": INFO, "data": {"net_state": 1}}).encode(),
]


@pytest.mark.parametrize("entry", samples("moko"))
def test_real_messages_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


@pytest.mark.parametrize("body", [old(OLD), old({**OLD, "raw data": IBEACON, "raw": ""})])
def test_the_older_shape_has_its_time_in_a_clock_of_its_own(body: bytes) -> None:
    (found,) = sightings(heard(decode, body))
    assert (found.uuid, found.major, found.minor) == (UUID, 1, 2)
    assert (found.rssi_dbm, found.gateway_id) == (-78, "11:22:33:44:55:66")
    assert found.seen_time == NOW_MS - 1_000


def test_the_newer_shape_counts_milliseconds() -> None:
    (found,) = sightings(heard(decode, new(NEW)))
    assert (found.uuid, found.rssi_dbm, found.seen_time) == (UUID, -61, NOW_MS - 1_000)


def test_a_beacon_may_stand_in_the_scan_response() -> None:
    decoded = heard(decode, new(NEW | {"adv_data": STRANGER, "rsp_data": IBEACON}))
    assert len(sightings(decoded)) == 1


def test_a_beacon_without_its_bytes_is_taken_as_the_gateway_made_it_out() -> None:
    row = {"uuid": UUID, "major": 3, "minor": "4", "rssi_1m": -59, "rssi": -70}
    (found,) = sightings(heard(decode, new(row)))
    assert (found.uuid, found.major, found.minor, found.tx_power_dbm) == (UUID, 3, 4, -59)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (NEW | {"adv_data": STRANGER}, APPLES),
        (NEW | {"adv_data": ""}, EMPTY),
        (NEW | {"adv_data": 7}, NOT_HEX),
        (NEW | {"rssi": 127}, NO_SIGNAL),
        ("row", NOT_ONE_OF_THESE),
        (None, NOT_ONE_OF_THESE),
    ],
)
def test_a_bad_row_costs_only_itself(row: object, reason: str) -> None:
    decoded = heard(decode, new(row, NEW))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (EXAMPLES[2], STATUS),
        (b"{}", NOT_ONE_OF_THESE),
        (b"[]", NOT_ONE_OF_THESE),
        (b"", NO_JSON),
        (b"\xff", NO_JSON),
    ],
)
def test_what_is_no_scan_is_dropped_whole(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


def test_whoever_has_the_credential_is_the_gateway() -> None:
    (found,) = sightings(heard(decode, new(NEW), gateway_id="till"))
    assert found.gateway_id == "till"


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
