"""Cassia's stream of server-sent events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES
from geoengine.ingest.gateways.cassia import decode
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

EVENT: dict[str, Any] = {
    "bdaddrs": [{"bdaddr": "CC:1B:E0:E8:11:6A", "bdaddrType": "public"}],
    "adData": IBEACON.upper(),
    "name": "(unknown)",
    "rssi": -67,
    "evtType": 0,
}
ANSWER = {**EVENT, "scanData": EVENT["adData"], "evt_type": 4}
del ANSWER["adData"]


def stream(*events: object) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)


EXAMPLES: list[bytes] = [
    b": keep-alive\n\n" + stream(EVENT, EVENT | {"adData": STRANGER}, ANSWER),
    json.dumps(EVENT).encode(),
    stream(EVENT).replace(b"\n", b"\r\n"),
]


@pytest.mark.parametrize("entry", samples("cassia"))
def test_real_messages_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


def test_each_line_of_data_is_one_advertisement() -> None:
    decoded = heard(decode, EXAMPLES[0], gateway_id="till")
    assert [
        (found.uuid, found.rssi_dbm, found.gateway_id, found.seen_time)
        for found in sightings(decoded)
    ] == [(UUID, -67, "till", NOW_MS)] * 2
    assert decoded.drops == [APPLES]


@pytest.mark.parametrize(
    "body",
    [
        EXAMPLES[1],
        EXAMPLES[2],
        b"data:" + EXAMPLES[1],
        b"event: message\nid: 7\nretry: 100\n: hello\n" + stream(EVENT),
        stream(EVENT | {"adData": " ".join([IBEACON[:20], IBEACON[20:]])}),
        stream(EVENT | {"adData": STRANGER, "scanData": IBEACON}),
    ],
)
def test_an_event_reads_the_same_however_it_comes(body: bytes) -> None:
    (found,) = sightings(heard(decode, body))
    assert (found.uuid, found.rssi_dbm, found.gateway_id) == (UUID, -67, None)


def test_a_keep_alive_says_nothing() -> None:
    decoded = heard(decode, b": keep-alive\r\n\r\n:\n\n")
    assert (decoded.reports, decoded.drops) == ([], [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"data: {", NO_JSON),
        (b"data: 7", NOT_ONE_OF_THESE),
        (stream(EVENT | {"adData": "zz"}), NOT_HEX),
        (stream(EVENT | {"rssi": 127}), NO_SIGNAL),
    ],
)
def test_a_bad_event_costs_only_itself(line: bytes, reason: str) -> None:
    decoded = heard(decode, line + b"\n" + stream(EVENT))
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
