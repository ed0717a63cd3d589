"""Minew's gateways: JSON in two shapes, and binary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, EMPTY, TRUNCATED
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_HEX, NOT_ONE_OF_THESE
from geoengine.ingest.gateways.minew import BAD_BEACON, CONNECT, NO_OBJECT, decode

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

GATEWAY = {"timestamp": "2026-09-21T14:13:20Z", "type": "Gateway", "mac": "AC233FC03641"}
MADE_OUT: dict[str, Any] = {
    "timestamp": "2026-09-21T14:13:19.500Z",
    "type": "iBeacon",
    "mac": "C3000025EF6A",
    "bleName": False,
    "ibeaconUuid": UUID.replace("-", "").upper(),
    "ibeaconMajor": 1,
    "ibeaconMinor": 65535,
    "rssi": -65,
    "ibeaconTxPower": -59,
    "battery": 93,
}
RAW = {"timestamp": 1_789_999_999, "type": "Unknown", "mac": "C3", "rssi": -70, "rawData": IBEACON}
STRANGE = {**RAW, "rawData": STRANGER}


def packet(advert: str, rssi: int = -60) -> bytes:
    data = bytes.fromhex(advert)
    return bytes([len(data)]) + data + b"\x00" + bytes([rssi & 0xFF])


def binary(*tags: list[bytes]) -> bytes:
    body = bytes.fromhex("ac233fc03641") + len(tags).to_bytes(2, "big")
    for packets in tags:
        body += bytes.fromhex("c3000025ef6a") + len(packets).to_bytes(2, "big") + b"".join(packets)
    return b"\xbb\x01" + (len(body) + 7).to_bytes(4, "big") + body + b"\xdd"


BINARY = binary([packet(STRANGER), packet(IBEACON, -39)], [], [packet("")], [packet(IBEACON, -44)])
EXAMPLES: list[bytes] = [
    json.dumps([GATEWAY, MADE_OUT, RAW, STRANGE]).encode(),
    json.dumps([{"gateway": "AC233FC03641"}, RAW, STRANGE]).encode(),
    BINARY,
    BINARY.hex().encode(),
    b"\xbb\x02" + bytes(30),
]


def posted(*rows: object) -> bytes:
    return json.dumps(rows).encode()


@pytest.mark.parametrize("entry", samples("minew_g1"))
def test_real_messages_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


def test_a_beacon_that_the_gateway_made_out_keeps_its_numbers_and_its_battery() -> None:
    (found,) = sightings(heard(decode, posted(GATEWAY, MADE_OUT)))
    assert (found.uuid, found.major, found.minor) == (UUID, 1, 65535)
    assert (found.rssi_dbm, found.tx_power_dbm, found.battery_pct) == (-65, -59, 93)
    assert (found.gateway_id, found.seen_time) == ("ac:23:3f:c0:36:41", NOW_MS - 500)


def test_a_beacon_may_hide_among_the_unknown() -> None:
    decoded = heard(decode, posted(GATEWAY, STRANGE, RAW))
    assert [(found.uuid, found.rssi_dbm) for found in sightings(decoded)] == [(UUID, -70)]
    assert decoded.drops == [APPLES]


@pytest.mark.parametrize(
    ("rows", "gateway"),
    [
        ([GATEWAY, RAW], "ac:23:3f:c0:36:41"),
        ([RAW, GATEWAY], "ac:23:3f:c0:36:41"),
        ([{"gateway": "AC:23:3F:C0:36:41"}, RAW], "ac:23:3f:c0:36:41"),
        ([RAW], None),
    ],
)
def test_the_gateway_is_the_one_that_names_itself(rows: list[Any], gateway: str | None) -> None:
    decoded = heard(decode, posted(*rows))
    assert [found.gateway_id for found in sightings(decoded)] == [gateway]
    assert decoded.drops == []


def test_a_topic_names_the_gateway_where_the_message_does_not() -> None:
    (found,) = sightings(heard(decode, posted(RAW), topic="/gw/AC233FC03641/status"))
    assert found.gateway_id == "ac:23:3f:c0:36:41"


@pytest.mark.parametrize("body", EXAMPLES[:4])
def test_whoever_has_the_credential_is_the_gateway(body: bytes) -> None:
    found = sightings(heard(decode, body, gateway_id="till"))
    assert {sighting.gateway_id for sighting in found} == {"till"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (MADE_OUT | {"rssi": 0}, NO_SIGNAL),
        (MADE_OUT | {"rssi": 127}, NO_SIGNAL),
        (MADE_OUT | {"rssi": None}, NO_SIGNAL),
        (MADE_OUT | {"ibeaconUuid": "F782"}, BAD_BEACON),
        (STRANGE | {"ibeaconUuid": ""}, APPLES),
        (MADE_OUT | {"ibeaconMajor": 70_000}, BAD_BEACON),
        (MADE_OUT | {"ibeaconMinor": "one"}, BAD_BEACON),
        (RAW | {"rawData": "zz"}, NOT_HEX),
        (RAW | {"rawData": ""}, EMPTY),
        (RAW | {"rawData": IBEACON[:-2]}, TRUNCATED),
        ({"type": "S1", "mac": "C3", "battery": 100, "temperature": 21.5}, EMPTY),
        (7, NO_OBJECT),
    ],
)
def test_a_bad_row_costs_only_itself(row: object, reason: str) -> None:
    decoded = heard(decode, posted(GATEWAY, row, MADE_OUT))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\x01", b"\\ud800"])
def test_a_strangers_name_that_is_no_text_costs_nothing(name: bytes) -> None:
    body = posted(GATEWAY, STRANGE | {"bleName": "?"}, MADE_OUT).replace(b"?", name)
    assert len(sightings(heard(decode, body))) == 1
    assert len(sightings(heard(decode, body.replace(b"bleName", b"ble" + name)))) == 1


@pytest.mark.parametrize("battery", [0, None, -1, 300])
def test_a_battery_that_is_not_known_is_left_out(battery: object) -> None:
    (found,) = sightings(heard(decode, posted(MADE_OUT | {"battery": battery})))
    assert found.battery_pct is None


@pytest.mark.parametrize("tx_power", [None, 0, 26, 127, -300, "strong"])
def test_a_power_that_no_beacon_has_is_left_out(tx_power: object) -> None:
    (found,) = sightings(heard(decode, posted(MADE_OUT | {"ibeaconTxPower": tx_power})))
    assert found.tx_power_dbm is None


@pytest.mark.parametrize("timestamp", [None, "", "1970-01-01T00:01:02Z", 77, 1e300, True, []])
def test_a_clock_that_is_not_set_leaves_the_arrival(timestamp: object) -> None:
    (found,) = sightings(heard(decode, posted(MADE_OUT | {"timestamp": timestamp})))
    assert found.seen_time == NOW_MS


@pytest.mark.parametrize("body", [BINARY, EXAMPLES[3], b"\n" + BINARY.hex(" ").upper().encode()])
def test_a_binary_message_is_read_as_it_is_or_in_hex(body: bytes) -> None:
    decoded = heard(decode, body)
    assert [found.rssi_dbm for found in sightings(decoded)] == [-39, -44]
    assert {found.gateway_id for found in sightings(decoded)} == {"ac:23:3f:c0:36:41"}
    assert {found.seen_time for found in sightings(decoded)} == {NOW_MS}
    assert decoded.drops == [APPLES, EMPTY]


def test_a_binary_message_that_is_cut_says_what_came_before() -> None:
    decoded = heard(decode, BINARY[:-20])
    assert [found.rssi_dbm for found in sightings(decoded)] == [-39]
    assert decoded.drops[-1] == TRUNCATED
    assert all(len(heard(decode, BINARY[:size]).reports) < 2 for size in range(len(BINARY) - 1))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xbb\x02" + bytes(30), CONNECT),
        (b"\xbb\x07" + bytes(30), NOT_ONE_OF_THESE),
        (b"\xbb\x01\x00", TRUNCATED),
        (b"", NO_JSON),
        (b"hello", NO_JSON),
        (b"[" * 100_000, NO_JSON),
        (b'["\x00"', NO_JSON),
    ],
)
def test_what_is_no_message_is_dropped_whole(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
