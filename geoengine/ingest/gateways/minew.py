"""Minew G1, MG3 and what is sold under other names: JSON-LONG, JSON-RAW and binary.

All three are told apart by what they begin with, because the firmware calls the binary JSON too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from geoengine.ingest.adverts import TRUNCATED, signed
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    Hearing,
    gateway_name,
    percent,
    read_json,
    said_beacon,
    unhexed,
)
from geoengine.ingest.reports import Decoded, Origin

BAD_BEACON: Final = "an iBeacon without its numbers"
NO_OBJECT: Final = "not an object"
CONNECT: Final = "MINEW-CONNECT, which is not read: choose JSON or binary"

_MAGIC: Final = 0xBB
_HEX_TEXT = re.compile(rb"\s*[Bb][Bb]")
_LONG: Final = 0x01
_CONNECT: Final = 0x02
_HEAD_BYTES: Final = 14  # magic, length, the gateway's address, how many tags
_TAG_BYTES: Final = 8  # address, how many packets


class Row(Struct, rename="camel"):
    """One element of the JSON: the gateway itself, or an advertisement it has heard."""

    type: Any = None
    mac: Any = None  # read of the gateway's own element only
    gateway: Any = None
    rssi: Any = None
    timestamp: Any = None
    raw_data: Any = None
    ibeacon_uuid: Any = None
    ibeacon_major: Any = None
    ibeacon_minor: Any = None
    ibeacon_tx_power: Any = None
    battery: Any = None


_ROWS = msgspec.json.Decoder(list[Row])
_WORDS = {field.name: field.encode_name for field in msgspec.structs.fields(Row)}


def decode(body: bytes, origin: Origin) -> Decoded:
    """What a Minew gateway posted or published."""
    hearing = Hearing(origin)
    data = unhexed(body) if _HEX_TEXT.match(body) else body
    if data[:1] == bytes([_MAGIC]):
        _hear_binary(data, hearing)
    else:
        _hear_json(body, hearing, origin.topic)
    return hearing.decoded


def _hear_json(body: bytes, hearing: Hearing, topic: str) -> None:
    rows = _rows(body, hearing)
    gateway = next((name for row in rows if (name := _own_name(row))), None) or _of_topic(topic)
    for row in rows:
        if row.ibeacon_uuid:
            _hear_said(row, hearing, gateway)
        elif row.raw_data is not None or not _is_gateway(row):
            hearing.hexes(row.raw_data, row.rssi, gateway=gateway, seen=row.timestamp)


def _rows(body: bytes, hearing: Hearing) -> list[Row]:
    try:
        return _ROWS.decode(body)
    except (ValueError, RecursionError):
        pass
    value = read_json(body)
    if value is None:
        hearing.drop(NO_JSON)
        return []
    rows = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            rows.append(Row(**{name: item.get(word) for name, word in _WORDS.items()}))
        else:
            hearing.drop(NO_OBJECT)
    return rows


def _is_gateway(row: Row) -> bool:
    return row.type == "Gateway" or row.gateway is not None


def _own_name(row: Row) -> str | None:
    if row.gateway is not None:
        return gateway_name(row.gateway)
    return gateway_name(row.mac) if row.type == "Gateway" else None


def _of_topic(topic: str) -> str | None:
    """The gateway in ``/gw/<address>/status``, of which people change the first part."""
    parts = topic.split("/")
    return gateway_name(parts[-2]) if len(parts) > 2 and parts[-1] == "status" else None


def _hear_said(row: Row, hearing: Hearing, gateway: str | None) -> None:
    """An iBeacon that the gateway has made out by itself."""
    beacon = said_beacon(
        row.ibeacon_uuid, row.ibeacon_major, row.ibeacon_minor, row.ibeacon_tx_power
    )
    if beacon is None:
        hearing.drop(BAD_BEACON)
    else:
        hearing.beacon(
            beacon,
            row.rssi,
            gateway=gateway,
            seen=row.timestamp,
            battery_pct=percent(row.battery),
        )


def _hear_binary(data: bytes, hearing: Hearing) -> None:
    kind = data[1] if len(data) > 1 else _LONG
    if kind != _LONG:
        hearing.drop(CONNECT if kind == _CONNECT else NOT_ONE_OF_THESE)
        return
    gateway = data[6:12].hex()
    for packet in _packets(data):
        if packet is None:
            hearing.drop(TRUNCATED)
        else:
            hearing.advert(packet[0], packet[1], gateway=gateway)


def _packets(data: bytes) -> Iterator[tuple[bytes, int] | None]:
    """Each advertisement and its signal strength; None where the message is cut short."""
    if len(data) < _HEAD_BYTES:
        yield None
        return
    at, end = _HEAD_BYTES, len(data)
    for _ in range(data[12] << 8 | data[13]):
        if at + _TAG_BYTES > end:
            yield None
            return
        count = data[at + 6] << 8 | data[at + 7]
        at += _TAG_BYTES
        for _ in range(count):
            # A length, the advertisement, whether it is a scan response, the signal strength.
            after = at + data[at] + 3 if at < end else end + 1
            if after > end:
                yield None
                return
            yield data[at + 1 : after - 2], signed(data[after - 1])
            at = after
