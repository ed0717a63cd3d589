"""blukii Hub: a batch of what it has heard, in three generations.

The first two list for each beacon its frames and its signal strengths apart, and what belongs
together has one timestamp. The third is a list of raw frames in hex digits: address, signal
strength, time, battery, kind of frame, and what the frame held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from geoengine.ingest.adverts import (
    NO_BEACON,
    TRUNCATED,
    Beacon,
    dashed,
    hex_bytes,
    parse_manufacturer,
    parse_service,
    signed,
)
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_HEX,
    NOT_ONE_OF_THESE,
    Hearing,
    objects,
    percent,
    read_json,
    said_beacon,
)
from geoengine.ingest.reports import Decoded, Json, Origin
from geoengine.ingest.sightings import uuid_key

# A raw frame: address 6, signal strength 1, time 8 (its low byte first), battery 1, kind 1.
_RSSI_AT: Final = 6
_TIME: Final = slice(7, 15)
_BATTERY_AT: Final = 15
_KIND_AT: Final = 16
_HEAD_BYTES: Final = 17
_IBEACON_KIND: Final = 0x01
_EDDYSTONE_KIND: Final = 0x02

# What an advertisement has before that which its frame holds.
_IBEACON_MARK: Final = bytes.fromhex("4c000215")
_EDDYSTONE_MARK: Final = bytes.fromhex("aafe00")

_NAMESPACE_DIGITS: Final = 20
_INSTANCE_DIGITS: Final = 12

Stamp = int | float | str | None


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons of one batch."""
    hearing = Hearing(origin)
    message = read_json(body)
    items = _items(message) if isinstance(message, dict) else []
    if not items:
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
        return hearing.decoded
    for item in items:
        if isinstance(item, dict):
            _hear_device(item, message.get("id"), hearing)
        elif frame := hex_bytes(item):
            _hear_frame(frame, message.get("id"), hearing)
        else:
            hearing.drop(NOT_HEX)
    return hearing.decoded


def _items(message: Json) -> list[Any]:
    items = message.get("items", message.get("data"))
    return items if isinstance(items, list) else []


def _hear_device(device: Json, gateway: object, hearing: Hearing) -> None:
    """The frames of one beacon, each with the signal strength of the same instant."""
    rssi = {_stamp(entry): entry.get("rssi") for entry in objects(device.get("rssi"))}
    battery_pct = percent(device.get("batteryPct", device.get("battery")))
    frames = list(_frames(device))
    if not frames:
        hearing.drop(NO_BEACON)
    for beacon, seen in frames:
        if beacon is None:
            hearing.drop(NO_BEACON)
        else:
            level = None if seen is None else rssi.get(seen)
            hearing.beacon(beacon, level, gateway=gateway, seen=seen, battery_pct=battery_pct)


def _frames(device: Json) -> Iterator[tuple[Beacon | None, Stamp]]:
    """The beacon of each frame, and when it was heard."""
    for frame in objects(device.get("iBeaconData")):
        names = (frame.get("uuid"), frame.get("major"), frame.get("minor"))
        yield said_beacon(*names, frame.get("measuredPower")), _stamp(frame)
    for frame in objects(device.get("eddystoneUID")):
        yield _eddystone(frame.get("uidNamespace"), frame.get("uidInstance")), _stamp(frame)


def _stamp(entry: Json) -> Stamp:
    stamp = entry.get("timestamp")
    return stamp if isinstance(stamp, int | float | str) else None


def _eddystone(namespace: object, instance: object) -> Beacon | None:
    """A beacon of which the power is not told."""
    if not isinstance(namespace, str) or len(namespace) != _NAMESPACE_DIGITS:
        return None
    if not isinstance(instance, str) or len(instance) != _INSTANCE_DIGITS:
        return None
    key = uuid_key(namespace + instance)
    return Beacon("eddystone_uid", dashed(key), 0, 0, None) if key else None


def _hear_frame(frame: bytes, gateway: object, hearing: Hearing) -> None:
    if len(frame) < _HEAD_BYTES:
        hearing.drop(TRUNCATED)
        return
    beacon = _in_frame(frame[_KIND_AT], frame[_HEAD_BYTES:])
    if beacon is None:
        hearing.drop(NO_BEACON)
        return
    hearing.beacon(
        beacon,
        signed(frame[_RSSI_AT]),
        gateway=gateway,
        seen=int.from_bytes(frame[_TIME], "little"),
        battery_pct=percent(frame[_BATTERY_AT]),
    )


def _in_frame(kind: int, held: bytes) -> Beacon | None:
    if kind == _IBEACON_KIND:
        return parse_manufacturer(_IBEACON_MARK + held)
    return parse_service(_EDDYSTONE_MARK + held) if kind == _EDDYSTONE_KIND else None
