"""Kontakt.io's cloud: tags by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_ONE_OF_THESE
from geoengine.ingest.gateways.kontakt import decode

from .samples import NOW_MS, damaged, heard, sightings

TAG: dict[str, Any] = {
    "companyId": "c",
    "sourceId": "till",
    "trackingId": "cart-7",
    "rssi": -77,
    "timestamp": "2026-09-21T14:13:20Z",
    "beaconTimestamp": 1_600_000_000,
}
EXAMPLES: list[bytes] = [json.dumps(TAG).encode(), json.dumps([TAG, TAG]).encode()]


@pytest.mark.parametrize("body", EXAMPLES)
def test_a_tag_is_heard_when_the_cloud_says(body: bytes) -> None:
    found = sightings(heard(decode, body))[0]
    assert (found.device_id, found.gateway_id, found.uuid) == ("cart-7", "till", None)
    assert (found.rssi_dbm, found.seen_time) == (-77, NOW_MS)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trackingId": "df51fd4a4caf"}, NO_BEACON),  # an address is no name
        ({"trackingId": 7}, NO_BEACON),
        ({"rssi": 0}, NO_SIGNAL),
    ],
)
def test_a_tag_without_a_name_or_a_strength_is_dropped(fields: dict[str, Any], reason: str) -> None:
    decoded = heard(decode, json.dumps([TAG | fields, TAG]).encode())
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", NO_JSON), (b"[]", NOT_ONE_OF_THESE), (b'{"presence": []}', NOT_ONE_OF_THESE)],
)
def test_what_is_no_telemetry_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
