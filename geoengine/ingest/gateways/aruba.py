"""Aruba's IoT telemetry, after somebody has made JSON of its protobuf.

Access points send protobuf over a WebSocket that they open themselves; a relay that decodes it and
posts the object arrives here. Raw advertisements are in ``bleData``, those that the access point
has made out by itself in ``reported``.
"""

from __future__ import annotations

from typing import Any, Final

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    Hearing,
    inner,
    number_of,
    objects,
    read_json,
    said_beacon,
)
from geoengine.ingest.reports import Decoded, Json, Origin

_WORD: Final = 1 << 32


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons of one message of telemetry."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
        return hearing.decoded
    reporter = inner(message.get("reporter"))
    gateway, seen = reporter.get("mac"), _whole(reporter.get("time"))
    for advert in objects(message.get("bleData")):
        hearing.hexes(advert.get("data"), advert.get("rssi"), gateway=gateway, seen=seen)
    for device in objects(message.get("reported")):
        _hear_device(device, gateway, seen, hearing)
    if not hearing.decoded.reports and not hearing.decoded.drops:
        hearing.drop(NOT_ONE_OF_THESE)
    return hearing.decoded


def _hear_device(device: Json, gateway: object, seen: object, hearing: Hearing) -> None:
    rssi = device.get("rssi")
    if isinstance(rssi, dict):
        rssi = rssi.get("last", rssi.get("avg"))
    for face in objects(device.get("beacons")):
        said = inner(face.get("ibeacon"))
        names = (said.get("uuid"), said.get("major"), said.get("minor"))
        beacon = said_beacon(*names, said.get("power"))
        if beacon is None:
            hearing.drop(NO_BEACON)
        else:
            hearing.beacon(beacon, rssi, gateway=gateway, seen=seen)


def _whole(value: Any) -> Any:
    """A number of 64 bits, which JavaScript holds in two halves."""
    if not isinstance(value, dict):
        return value
    low, high = number_of(value.get("low")), number_of(value.get("high"))
    if low is None or high is None or not (abs(low) < _WORD and 0 <= high < _WORD):
        return None
    return int(low) % _WORD + int(high) * _WORD
