"""ESPresense: one message for each device that a room hears, with the beacon in the device's id.

The room is the last level of the topic, ``espresense/devices/<id>/<room>``; no time is said. The
signal strength is smoothed already, so it is a fraction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from geoengine.ingest.adverts import NO_BEACON, Beacon, dashed
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    Hearing,
    joined_beacon,
    percent,
    power_dbm,
    read_json,
)
from geoengine.ingest.reports import Decoded, Origin
from geoengine.ingest.sightings import uuid_key

_DEVICES: Final = "devices"
_NAMESPACE_DIGITS: Final = 20
_INSTANCE_DIGITS: Final = 12


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacon of one message, if the device is one."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
        return hearing.decoded
    device, room = _of_topic(origin.topic)
    name = message.get("id", device)
    beacon = _beacon(name, message.get("rssi@1m")) if isinstance(name, str) else None
    if beacon is None:
        hearing.drop(NO_BEACON)
    else:
        battery_pct = percent(message.get("batt"))
        hearing.beacon(beacon, message.get("rssi"), gateway=room, battery_pct=battery_pct)
    return hearing.decoded


def _of_topic(topic: str) -> tuple[str | None, str | None]:
    """The device and the room that a topic is of."""
    levels = topic.split("/")
    if len(levels) < 3 or levels[-3] != _DEVICES:
        return None, None
    return levels[-2], levels[-1]


def _beacon(device: str, power: object) -> Beacon | None:
    kind, _, name = device.partition(":")
    if kind == "eddy":
        return _eddystone(name, power)
    beacon = joined_beacon(name, power) if kind in ("iBeacon", "altBeacon") else None
    return replace(beacon, scheme="altbeacon") if beacon and kind == "altBeacon" else beacon


def _eddystone(name: str, power: object) -> Beacon | None:
    namespace, _, instance = name.partition("-")
    if len(namespace) == _NAMESPACE_DIGITS + 2 and namespace[8:10] == namespace[10:12]:
        namespace = namespace[:8] + namespace[10:]  # the firmware writes the fifth byte twice
    if len(namespace) != _NAMESPACE_DIGITS or len(instance) != _INSTANCE_DIGITS:
        return None
    key = uuid_key(namespace + instance)
    return Beacon("eddystone_uid", dashed(key), 0, 0, power_dbm(power)) if key else None
