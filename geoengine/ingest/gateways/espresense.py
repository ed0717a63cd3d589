"""ESPresense: one message for each device that a room hears, with the beacon in the device's id.

The room is the last level of the topic, ``espresense/devices/<id>/<room>``; no time is said. What
is heard is smoothed already, so ``rssi`` is a fraction.
"""

from __future__ import annotations

from typing import Final

from geoengine.ingest.adverts import NO_BEACON, Beacon, dashed
from geoengine.ingest.gateways.values import (
    NO_SIGNAL,
    NOT_JSON,
    dbm,
    heard_by,
    joined_ibeacon,
    json_of,
    share,
    sighted,
    text_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin
from geoengine.ingest.sightings import uuid_key

_DEVICES: Final = "devices"
_NAMESPACE_DIGITS: Final = 20
_INSTANCE_DIGITS: Final = 12


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacon of one message, if the device is one."""
    message = json_of(body)
    if not isinstance(message, dict):
        return Decoded(drops=[NOT_JSON])
    device, room = _said_by(origin.topic)
    beacon = _beacon(text_of(message.get("id")) or device or "", message)
    if beacon is None:
        return Decoded(drops=[NO_BEACON])
    rssi_dbm = dbm(message.get("rssi"))
    if rssi_dbm is None:
        return Decoded(drops=[NO_SIGNAL])
    return Decoded(
        [
            sighted(
                beacon,
                gateway_id=origin.gateway_id or room,
                rssi_dbm=rssi_dbm,
                at_ms=origin.recv_ms,
                battery_pct=share(message.get("batt")),
            )
        ]
    )


def _said_by(topic: str) -> tuple[str | None, str | None]:
    """The device and the room of a topic."""
    levels = topic.split("/")
    if len(levels) < 3 or levels[-3] != _DEVICES:
        return None, None
    return levels[-2], heard_by(levels[-1])


def _beacon(device: str, message: Json) -> Beacon | None:
    kind, _, name = device.partition(":")
    power = message.get("rssi@1m")
    if kind == "eddy":
        return _eddystone(name, dbm(power))
    if kind not in ("iBeacon", "altBeacon"):
        return None
    beacon = joined_ibeacon(name, power)
    if beacon is None or kind == "iBeacon":
        return beacon
    return Beacon("altbeacon", beacon.uuid, beacon.major, beacon.minor, beacon.tx_power_dbm)


def _eddystone(name: str, tx_power_dbm: float | None) -> Beacon | None:
    namespace, _, instance = name.partition("-")
    if len(namespace) == _NAMESPACE_DIGITS + 2 and namespace[8:10] == namespace[10:12]:
        namespace = namespace[:8] + namespace[10:]  # the firmware writes the fifth byte twice
    if len(namespace) != _NAMESPACE_DIGITS or len(instance) != _INSTANCE_DIGITS:
        return None
    key = uuid_key(namespace + instance)
    return Beacon("eddystone_uid", dashed(key), 0, 0, tx_power_dbm) if key else None
