"""Aruba's telemetry, as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, NO_BEACON
from geoengine.ingest.gateways.aruba import decode
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_ONE_OF_THESE

from .samples import IBEACON, NOW_MS, STRANGER, UUID, damaged, heard, sightings

NOW_S = NOW_MS // 1_000
RAW: dict[str, Any] = {"mac": "ac233fa00000", "frameType": 0, "data": IBEACON, "rssi": -70}
SAID: dict[str, Any] = {"uuid": UUID, "major": 3, "minor": 4, "power": -59}


def message(*adverts: object, reported: object = (), time: object = NOW_S) -> bytes:
    reporter = {"name": "ap", "mac": "a400baa400ba", "time": time}
    return json.dumps({"reporter": reporter, "bleData": adverts, "reported": reported}).encode()


EXAMPLES: list[bytes] = [
    message(RAW, RAW | {"data": STRANGER}, time={"low": NOW_S, "high": 0, "unsigned": True}),
    message(reported=[{"mac": "x", "rssi": {"avg": -71}, "beacons": [{"ibeacon": SAID}]}]),
]


@pytest.mark.parametrize("time", [NOW_S, str(NOW_S), {"low": NOW_S, "high": 0}])
def test_a_raw_advert_is_heard_when_its_reporter_says(time: object) -> None:
    (found,) = sightings(heard(decode, message(RAW, time=time)))
    assert (found.uuid, found.major, found.minor, found.rssi_dbm) == (UUID, 1, 2, -70)
    assert (found.gateway_id, found.seen_time) == ("a4:00:ba:a4:00:ba", NOW_MS)


@pytest.mark.parametrize("rssi", [-71, {"avg": -71}, {"avg": -60, "last": -71}])
def test_a_beacon_that_was_made_out_already_is_taken_as_it_is(rssi: object) -> None:
    device = {"rssi": rssi, "beacons": [{"ibeacon": SAID}]}
    (found,) = sightings(heard(decode, message(reported=[device])))
    assert (found.uuid, found.major, found.minor, found.tx_power_dbm) == (UUID, 3, 4, -59)
    assert found.rssi_dbm == -71


@pytest.mark.parametrize("time", [{"low": "x"}, {"low": 1e300, "high": 1e300}, {}, None])
def test_a_time_that_cannot_be_read_is_arrival(time: object) -> None:
    (found,) = sightings(heard(decode, message(RAW, time=time)))
    assert found.seen_time == NOW_MS


def test_a_bad_advert_costs_only_itself() -> None:
    adverts = (RAW | {"data": STRANGER}, RAW | {"rssi": 0}, RAW)
    decoded = heard(decode, message(*adverts, reported=[{"beacons": [{"eddystone": {}}]}]))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [APPLES, NO_SIGNAL, NO_BEACON]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(message(), NOT_ONE_OF_THESE), (b"[]", NOT_ONE_OF_THESE), (b"\x0a\x02\x08\x01", NO_JSON)],
)
def test_what_has_no_adverts_is_dropped(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
