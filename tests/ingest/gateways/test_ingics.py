"""Ingics' gateways: lines of text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from geoengine.ingest.adverts import APPLES, EMPTY, TRUNCATED
from geoengine.ingest.gateways.hearing import NO_SIGNAL, NOT_HEX, NOT_ONE_OF_THESE, STATUS
from geoengine.ingest.gateways.ingics import decode

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

LINE = f"$GPRP,0C61CFC1452E,E7DAE08E6FC3,-44,{IBEACON}"
TIMED = f"$1MAD,0C61CFC1452E,E7DAE08E6FC4,-50,{IBEACON},1789999999.25"
STRANGE = f"$LRAD,0C61CFC1452E,E7DAE08E6FC3,-50,{STRANGER}"
STATUS_LINE = "$HBRP,E7DAE08E6FC3,E7DAE08E6FC3,-127,00000000"
LINES = f"{LINE}\r\n{STATUS_LINE}\r\n{STRANGE}\r\n{TIMED}\r\n"
EXAMPLES: list[bytes] = [
    LINES.encode(),
    json.dumps({"data": [LINE, STRANGE, TIMED]}).encode(),
    b"$GPRP,7ABA6F20ACCF,806172C89C09,-2,,1575440728\r\n",
]


@pytest.mark.parametrize("entry", samples("ingics"))
def test_real_messages_say_what_is_expected(entry: dict[str, Any]) -> None:
    assert_as_expected(decode, entry)


def test_one_message_holds_what_two_gateways_heard() -> None:
    decoded = heard(decode, LINES.encode())
    assert [
        (found.uuid, found.rssi_dbm, found.gateway_id, found.seen_time)
        for found in sightings(decoded)
    ] == [
        (UUID, -44, "e7:da:e0:8e:6f:c3", NOW_MS),
        (UUID, -50, "e7:da:e0:8e:6f:c4", 1_789_999_999_250),
    ]
    assert decoded.drops == [STATUS, APPLES]


@pytest.mark.parametrize("body", [{"data": [LINE, TIMED]}, [LINE, TIMED]])
def test_the_lines_may_stand_in_json(body: object) -> None:
    assert len(sightings(heard(decode, json.dumps(body).encode()))) == 2


@pytest.mark.parametrize("kind", ["$GPRP", "$RSPR", "$LRAD", "$LRSR", "$1MAD", "$1MSR"])
def test_every_kind_of_advertisement_is_read(kind: str) -> None:
    assert len(sightings(heard(decode, LINE.replace("$GPRP", kind).encode()))) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("$GPRP,0C61CFC1452E,E7DAE08E6FC3,-44,", EMPTY),
        ("$GPRP,0C61CFC1452E,E7DAE08E6FC3", TRUNCATED),
        (f"$GPRP,0C61CFC1452E,E7DAE08E6FC3,0,{IBEACON}", NO_SIGNAL),
        (f"$GPRP,0C61CFC1452E,E7DAE08E6FC3,,{IBEACON}", NO_SIGNAL),
        ("$GPRP,0C61CFC1452E,E7DAE08E6FC3,-44,02XX", NOT_HEX),
        ("$GPSR,E7DAE08E6FC3", STATUS),
        ("hello", NOT_ONE_OF_THESE),
        ("caf\xe9 \u2028", NOT_ONE_OF_THESE),
    ],
)
def test_a_bad_line_costs_only_itself(line: str, reason: str) -> None:
    decoded = heard(decode, f"{line}\n{LINE}\n".encode())
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [reason]


def test_what_is_no_line_costs_only_itself() -> None:
    decoded = heard(decode, json.dumps({"data": [None, LINE, 7, {}]}).encode())
    assert len(sightings(decoded)) == 1
    assert decoded.drops == [NOT_ONE_OF_THESE] * 3


def test_whoever_has_the_credential_is_the_gateway() -> None:
    found = sightings(heard(decode, LINES.encode(), gateway_id="till"))
    assert {sighting.gateway_id for sighting in found} == {"till"}


@given(damaged(EXAMPLES))
def test_no_damage_makes_it_raise(body: bytes) -> None:
    sightings(heard(decode, body))
