"""Moko MKGW, MK107 and MK110: JSON over MQTT, in an older and a newer shape."""

from __future__ import annotations

from typing import Any, Final

from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    STATUS,
    Hearing,
    read_json,
    said_beacon,
)
from geoengine.ingest.reports import Decoded, Json, Origin

# Where the advertisement is: the newer shape, and two ways to write the older one.
_ADVERTS: Final = ("adv_data", "raw", "raw data")


def decode(body: bytes, origin: Origin) -> Decoded:
    """What a Moko gateway published."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
        return hearing.decoded
    rows = message.get("data")
    if not isinstance(rows, list):
        hearing.drop(STATUS if "msg_id" in message else NOT_ONE_OF_THESE)
        return hearing.decoded
    gateway = _gateway(message)
    for row in rows:
        if isinstance(row, dict):
            told = row.get("value")
            _hear(told if isinstance(told, dict) else row, hearing, gateway)
        else:
            hearing.drop(NOT_ONE_OF_THESE)
    return hearing.decoded


def _gateway(message: Json) -> object:
    info = message.get("device_info")
    return (info.get("mac") or info.get("device_id")) if isinstance(info, dict) else None


def _hear(row: Json, hearing: Hearing, gateway: object) -> None:
    advert = next((row[key] for key in _ADVERTS if row.get(key)), None)
    seen = _time(row.get("timestamp"))
    if advert is None and (
        beacon := said_beacon(
            row.get("uuid"), row.get("major"), row.get("minor"), row.get("rssi_1m")
        )
    ):
        hearing.beacon(beacon, row.get("rssi"), gateway=gateway, seen=seen)
    else:
        hearing.hexes(
            advert, row.get("rssi"), response=row.get("rsp_data"), gateway=gateway, seen=seen
        )


def _time(value: Any) -> object:
    """``2021-01-01&17:10:16+08`` has an ampersand where others have a T."""
    return value.replace("&", "T", 1) if isinstance(value, str) else value
