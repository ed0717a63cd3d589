"""room-assistant: what each room hears of one device, told by the instance that leads them.

All instances of a house tell the same, so only what the leader says counts. A device is an iBeacon
where its id says so, ``ble-<uuid>-<major>-<minor>``. A room's measure carries its own time and is
told again whenever another room's changes.
"""

from __future__ import annotations

from typing import Final

from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    Hearing,
    inner,
    is_address,
    joined_beacon,
    read_json,
)
from geoengine.ingest.reports import Decoded, Json, Origin

NO_AUTHORITY: Final = "not said by the instance that leads"
NO_MEASURE: Final = "no room has measured it"
_PREFIX: Final = "ble-"


def decode(body: bytes, origin: Origin) -> Decoded:
    """What each room has heard of the device of one message."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
    elif message.get("hasAuthority") is not True:
        hearing.drop(NO_AUTHORITY)
    else:
        entity = inner(message.get("entity"))
        device = entity.get("id") or origin.topic.rpartition("/")[2]
        _hear_rooms(device if isinstance(device, str) else "", entity, hearing)
    return hearing.decoded


def _hear_rooms(device: str, entity: Json, hearing: Hearing) -> None:
    measures, distances = inner(entity.get("measuredValues")), inner(entity.get("distances"))
    if not measures:
        hearing.drop(NO_MEASURE)
    for room, measure in measures.items():
        seen = inner(distances.get(room)).get("lastUpdatedAt")
        _hear(device, inner(measure), room, seen, hearing)


def _hear(device: str, measure: Json, room: str, seen: object, hearing: Hearing) -> None:
    name, rssi = device.removeprefix(_PREFIX), measure.get("rssi")
    power = measure.get("measuredPower")
    if beacon := joined_beacon(name, power):
        hearing.beacon(beacon, rssi, gateway=room, seen=seen)
    else:
        tag = "" if is_address(name) else device
        hearing.tag(tag, rssi, power, gateway=room, seen=seen)
