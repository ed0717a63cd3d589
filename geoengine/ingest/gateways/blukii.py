"""blukii Hub: a batch of what it has heard, in three generations.

The first two list for each beacon its frames and its signal strengths apart, and what belongs
together has one timestamp. The third is a list of raw frames in hex: address, signal strength,
time, battery, kind of frame, and what the frame held.
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
from geoengine.ingest.gateways.values import (
    BAD_TIME,
    NO_SIGNAL,
    NOT_JSON,
    dbm,
    entries,
    heard_by,
    ibeacon,
    json_of,
    put,
    seen_ms,
    share,
    sighted,
    text_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Sighted
from geoengine.ingest.sightings import uuid_key

NO_FRAMES: Final = "no frames"

# A raw frame: address 6, signal strength 1, time 8 (its low byte first), battery 1, kind 1.
_RSSI_AT: Final = 6
_TIME: Final = slice(7, 15)
_BATTERY_AT: Final = 15
_KIND_AT: Final = 16
_HEAD_BYTES: Final = 17
_IBEACON_KIND: Final = 0x01
_EDDYSTONE_KIND: Final = 0x02

# Frames hold what the advertisement held, less the mark that it began with.
_IBEACON_MARK: Final = bytes.fromhex("4c000215")
_EDDYSTONE_MARK: Final = bytes.fromhex("aafe00")
_NAMESPACE_DIGITS: Final = 20
_INSTANCE_DIGITS: Final = 12


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons of one batch."""
    message = json_of(body)
    if not isinstance(message, dict):
        return Decoded(drops=[NOT_JSON])
    gateway_id = origin.gateway_id or heard_by(message.get("id"))
    found = Decoded()
    for item in _items(message):
        if isinstance(item, dict):
            for told in _of_device(item, gateway_id, origin):
                put(found, told)
        else:
            put(found, _of_frame(hex_bytes(item) or b"", gateway_id))
    if not found.reports and not found.drops:
        found.drops.append(NO_FRAMES)
    return found


def _items(message: Json) -> list[Any]:
    items = message.get("items", message.get("data"))
    return items if isinstance(items, list) else []


def _of_device(device: Json, gateway_id: str | None, origin: Origin) -> Iterator[Sighted | str]:
    """The frames of one beacon, each with the signal strength of the same instant."""
    rssi_dbm = {
        at_ms: entry.get("rssi")
        for entry in entries(device.get("rssi"))
        if (at_ms := seen_ms(entry.get("timestamp"), origin.recv_ms)) is not None
    }
    battery_pct = share(device.get("batteryPct", device.get("battery")))
    frames = list(_frames(device))
    if not frames:
        yield NO_BEACON
    for beacon, timestamp in frames:
        at_ms = seen_ms(timestamp, origin.recv_ms)
        heard_dbm = None if at_ms is None else dbm(rssi_dbm.get(at_ms))
        if beacon is None:
            yield NO_BEACON
        elif at_ms is None:
            yield BAD_TIME
        elif heard_dbm is None:
            yield NO_SIGNAL
        else:
            yield sighted(
                beacon,
                gateway_id=gateway_id,
                rssi_dbm=heard_dbm,
                at_ms=at_ms,
                battery_pct=battery_pct,
            )


def _frames(device: Json) -> Iterator[tuple[Beacon | None, Any]]:
    """The beacon of each frame, and its timestamp."""
    for frame in entries(device.get("iBeaconData")):
        names = (frame.get("uuid"), frame.get("major"), frame.get("minor"))
        yield ibeacon(*names, frame.get("measuredPower")), frame.get("timestamp")
    for frame in entries(device.get("eddystoneUID")):
        yield _eddystone(frame), frame.get("timestamp")


def _eddystone(frame: Json) -> Beacon | None:
    """What power it is sent with is not told."""
    namespace, instance = text_of(frame.get("uidNamespace")), text_of(frame.get("uidInstance"))
    if namespace is None or len(namespace) != _NAMESPACE_DIGITS:
        return None
    if instance is None or len(instance) != _INSTANCE_DIGITS:
        return None
    key = uuid_key(namespace + instance)
    return Beacon("eddystone_uid", dashed(key), 0, 0, None) if key else None


def _of_frame(frame: bytes, gateway_id: str | None) -> Sighted | str:
    """One raw frame."""
    if len(frame) < _HEAD_BYTES:
        return TRUNCATED
    beacon = _in_frame(frame[_KIND_AT], frame[_HEAD_BYTES:])
    rssi_dbm = dbm(signed(frame[_RSSI_AT]))
    at_ms = seen_ms(int.from_bytes(frame[_TIME], "little"), 0)
    if beacon is None:
        return NO_BEACON
    if rssi_dbm is None:
        return NO_SIGNAL
    if at_ms is None:
        return BAD_TIME
    return sighted(
        beacon,
        gateway_id=gateway_id,
        rssi_dbm=rssi_dbm,
        at_ms=at_ms,
        battery_pct=share(frame[_BATTERY_AT]),
    )


def _in_frame(kind: int, held: bytes) -> Beacon | None:
    if kind == _IBEACON_KIND:
        return parse_manufacturer(_IBEACON_MARK + held)
    if kind == _EDDYSTONE_KIND:
        return parse_service(_EDDYSTONE_MARK + held)
    return None
