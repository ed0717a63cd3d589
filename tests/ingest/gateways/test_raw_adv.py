"""Adverts by themselves, and Mongoose OS's Kiwi."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, LOOK_ALIKE, TRUNCATED
from geoengine.ingest.gateways import mongoose
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_HEX, NOT_ONE_OF_THESE
from geoengine.ingest.gateways.raw_adv import NO_REPORT, decode

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


def event(advert: str, rssi: str) -> str:
    size = len(advert) // 2
    return f"043e{size + 12:02x}02010001433ea2c96b6a{size:02x}{advert}{rssi}"


EDDYSTONE = "aafe00e700112233445566778899" + "aabbccddeeff"
KIWI: dict[str, Any] = {
    "gw": "esp32-ce12ba",
    "mac": "7f:d3:87:0b:ac:d5",
    "rssi": -46,
    "adv": "02011a14ff4c3e54",
    "scan": IBEACON,
}
EXAMPLES: list[bytes] = [
    event(IBEACON, "b3").encode(),
    f"{IBEACON}\n{IBEACON[10:]}\n{STRANGER}\n\n{EDDYSTONE}\n".encode(),
    bytes.fromhex(event(IBEACON, "b3")),
    json.dumps(KIWI).encode(),
]


@pytest.mark.parametrize("entry", samples("raw_adv"))
def test_real_adverts_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


@pytest.mark.parametrize("entry", samples("mongoose_kiwi"))
def test_a_real_kiwi_says_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(mongoose.decode, entry)


@pytest.mark.parametrize("body", [EXAMPLES[0], EXAMPLES[2]])
def test_a_dump_says_how_well_it_was_heard(body: bytes) -> None:
    (found,) = sightings(heard(decode, body))
    assert (found.uuid, found.rssi_dbm, found.tx_power_dbm) == (UUID, -77, -59)
    assert found.seen_time == NOW_MS


def test_each_line_is_an_advert_with_or_without_its_header() -> None:
    decoded = heard(decode, EXAMPLES[1])
    assert [found.rssi_dbm for found in sightings(decoded)] == [None] * 3
    assert decoded.drops == [APPLES]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (event(IBEACON, "7f"), NO_SIGNAL),
        (event(STRANGER, "b3"), APPLES),
        (event(IBEACON, "b3")[:-2], NO_REPORT),
        ("043e0a0100", NO_REPORT),
        ("590002150112233445566778899aabbccddeeff0000100c3bb00", TRUNCATED),
        ("1aff590002150112233445566778899aabbccddeeff0000100c3bb", LOOK_ALIKE),
        (IBEACON[:-2], TRUNCATED),
        ("hello", NOT_HEX),
    ],
)
def test_what_is_no_beacon_is_dropped_with_a_reason(text: str, reason: str) -> None:
    decoded = heard(decode, text.encode())
    assert (decoded.reports, decoded.drops) == ([], [reason])


def test_a_kiwis_scan_response_is_read_by_itself() -> None:
    (found,) = sightings(heard(mongoose.decode, json.dumps(KIWI).encode()))
    assert (found.uuid, found.rssi_dbm, found.gateway_id) == (UUID, -46, "esp32-ce12ba")


@pytest.mark.parametrize(
    ("body", "reason"), [(b"", NO_JSON), (b"[]", NOT_ONE_OF_THESE), (b"{}", NOT_ONE_OF_THESE)]
)
def test_what_is_no_kiwi_is_dropped_whole(body: bytes, reason: str) -> None:
    decoded = heard(mongoose.decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
    sightings(heard(mongoose.decode, body))
