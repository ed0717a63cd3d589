"""April Brother's gateways: MessagePack, and the older receiver's JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, TRUNCATED
from geoengine.ingest.gateways.april_brother import decode
from geoengine.ingest.gateways.hearing import NO_JSON, NO_SIGNAL, NOT_HEX, NOT_ONE_OF_THESE

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

ADDRESS = bytes.fromhex("c8fd1949a530")
RECORD = f"F4B85ED84CB7{UUID.replace('-', '').upper()}00010002C6FFB2"
RAW_RECORD = f"F4B85ED84CB7B203{len(IBEACON) // 2:02x}{IBEACON}"


def frame(advert: str, rssi: int = -50) -> bytes:
    return b"\x02" + ADDRESS + bytes([rssi & 0xFF]) + bytes.fromhex(advert)


def packed(*devices: object) -> bytes:
    return msgspec.msgpack.encode(
        {"v": "1.5.3", "mid": 7, "time": 60, "ip": "10.0.0.9", "mac": "123B6A1A64CF"}
        | {"devices": devices}
    )


def received(text: str) -> bytes:
    return json.dumps({"id": "ABCDEF123456", "raw_beacons_data": text}).encode()


EXAMPLES: list[bytes] = [
    packed(frame(STRANGER), frame(IBEACON)),
    frame(IBEACON).hex().encode(),
    received(f"{RECORD};{RAW_RECORD};"),
    json.dumps({"mac": "123B6A1A64CF", "devices": [frame(IBEACON).hex()]}).encode(),
]


@pytest.mark.parametrize("entry", samples("april_brother"))
def test_real_messages_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


@pytest.mark.parametrize("body", [EXAMPLES[0], EXAMPLES[0].hex().encode(), EXAMPLES[3]])
def test_the_time_since_it_was_switched_on_is_no_time(body: bytes) -> None:
    (found,) = sightings(heard(decode, body))
    assert (found.uuid, found.rssi_dbm, found.tx_power_dbm) == (UUID, -50, -59)
    assert (found.gateway_id, found.seen_time) == ("12:3b:6a:1a:64:cf", NOW_MS)


def test_frames_that_an_older_writer_calls_texts_are_read() -> None:
    device = frame(IBEACON)
    as_bytes, as_text = b"\xc4" + bytes([len(device)]), b"\xd9" + bytes([len(device)])
    body = packed(device).replace(as_bytes, as_text)
    assert body != packed(device)
    assert len(sightings(heard(decode, body))) == 1


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        (frame(STRANGER), APPLES),
        (frame(IBEACON, 127), NO_SIGNAL),
        (frame(IBEACON, 0), NO_SIGNAL),
        (b"\x02", TRUNCATED),
        (7, TRUNCATED),
        (None, TRUNCATED),
        ("abc", TRUNCATED),
    ],
)
def test_a_bad_device_costs_only_itself(device: object, reason: str) -> None:
    decoded = heard(decode, packed(device, frame(IBEACON)))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


def test_the_older_receivers_records_are_read() -> None:
    (found,) = sightings(heard(decode, received(RECORD + ";")))
    assert (found.uuid, found.major, found.minor) == (UUID, 1, 2)
    assert (found.rssi_dbm, found.tx_power_dbm, found.battery_pct) == (-78, -58, None)
    assert (found.gateway_id, found.seen_time) == ("ab:cd:ef:12:34:56", NOW_MS)


def test_an_older_receiver_in_its_raw_mode_is_read() -> None:
    (found,) = sightings(heard(decode, received(RAW_RECORD)))
    assert (found.uuid, found.rssi_dbm, found.tx_power_dbm) == (UUID, -78, -59)


def test_a_battery_is_in_percent_where_it_is_known() -> None:
    (found,) = sightings(heard(decode, received(RECORD[:-4] + "5FB2")))
    assert found.battery_pct == 95


def test_a_record_with_an_impossible_strength_has_none() -> None:
    (found,) = sightings(heard(decode, received(RECORD[:-2] + "41")))
    assert (found.uuid, found.rssi_dbm) == (UUID, None)


@pytest.mark.parametrize(
    ("record", "reason"), [("zz", NOT_HEX), (RECORD[:-2], TRUNCATED), (RAW_RECORD[:-2], TRUNCATED)]
)
def test_a_bad_record_costs_only_itself(record: str, reason: str) -> None:
    decoded = heard(decode, received(f"{record};{RECORD}"))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", NOT_ONE_OF_THESE),
        (b"hello", NOT_ONE_OF_THESE),
        (msgspec.msgpack.encode({"mac": "12"}), NOT_ONE_OF_THESE),
        (msgspec.msgpack.encode([1]), NOT_ONE_OF_THESE),
        (b"\x81" * 100_000, NOT_ONE_OF_THESE),
        (EXAMPLES[0][:-1], NOT_ONE_OF_THESE),
        (b"{}", NOT_ONE_OF_THESE),
        (b"{", NO_JSON),
        (b'{"devices":[7]}', NOT_HEX),
    ],
)
def test_what_is_no_message_is_dropped_whole(body: bytes, reason: str) -> None:
    decoded = heard(decode, body)
    assert (decoded.reports, decoded.drops) == ([], [reason])


def test_whoever_has_the_credential_is_the_gateway() -> None:
    for body in EXAMPLES:
        found = sightings(heard(decode, body, gateway_id="till"))
        assert {sighting.gateway_id for sighting in found} == {"till"}


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
