"""Adverts by themselves, as sniffers and data sheets print them: one a line, in hex digits.

A dumped HCI event, the structures of an advertisement, or manufacturer or service data
without their header. Only for looking: what nobody says the strength of moves nobody.
"""

from __future__ import annotations

from typing import Final

from geoengine.ingest.adverts import (
    HCI_EVENT,
    hex_bytes,
    parse_advert,
    parse_hci,
    parse_manufacturer,
    parse_service,
    why_not,
)
from geoengine.ingest.gateways.hearing import NOT_HEX, Hearing
from geoengine.ingest.reports import Decoded, Origin

NO_REPORT: Final = "an event without an advertisement, or cut short"

_LAST_CONTROL: Final = 0x1F
_BLANKS: Final = b"\t\r\n"


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons among adverts in hex digits, or in one that is still in bytes."""
    hearing = Hearing(origin)
    if _is_binary(body):
        _hear(body, hearing)
        return hearing.decoded
    for line in body.decode("ascii").splitlines():
        if line.strip():
            _hear(hex_bytes(line), hearing)
    return hearing.decoded


def _is_binary(body: bytes) -> bool:
    return not body.isascii() or any(
        byte <= _LAST_CONTROL for byte in body.translate(None, _BLANKS)
    )


def _hear(data: bytes | None, hearing: Hearing) -> None:
    if data is None:
        hearing.drop(NOT_HEX)
        return
    if data[:2] == HCI_EVENT:
        _hear_event(data, hearing)
        return
    beacon = parse_advert(data) or parse_manufacturer(data) or parse_service(data)
    if beacon is None:
        hearing.drop(why_not(data))
    else:
        hearing.unmeasured(beacon)


def _hear_event(data: bytes, hearing: Hearing) -> None:
    reports = parse_hci(data)
    for advert, rssi in reports:
        hearing.advert(advert, rssi)
    if not reports:
        hearing.drop(NO_REPORT)
