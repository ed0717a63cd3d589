"""room-assistant: what each room hears of one device, told by the instance that leads them.

All instances of a house tell the same, so only what the leader says counts. A device is an iBeacon
where its id says so, ``ble-<uuid>-<major>-<minor>``. A room's measure carries its own time and is
told again whenever another room's changes.
"""

from __future__ import annotations

from typing import Final

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.values import (
    BAD_TIME,
    NO_SIGNAL,
    NOT_JSON,
    dbm,
    heard_by,
    inner,
    is_address,
    joined_ibeacon,
    json_of,
    named,
    put,
    seen_ms,
    sighted,
    text_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Sighted

NO_AUTHORITY: Final = "not said by the instance that leads"
NO_MEASURE: Final = "no room has measured it"
_PREFIX: Final = "ble-"


def decode(body: bytes, origin: Origin) -> Decoded:
    """What each room has heard of the device of one message."""
    message = json_of(body)
    if not isinstance(message, dict):
        return Decoded(drops=[NOT_JSON])
    if message.get("hasAuthority") is not True:
        return Decoded(drops=[NO_AUTHORITY])
    entity = inner(message.get("entity"))
    device = text_of(entity.get("id")) or origin.topic.rpartition("/")[2]
    distances = inner(entity.get("distances"))
    found = Decoded()
    for room, measure in inner(entity.get("measuredValues")).items():
        told = _told(device, room, inner(measure), inner(distances.get(room)), origin)
        put(found, told)
    if not found.reports and not found.drops:
        found.drops.append(NO_MEASURE)
    return found


def _told(device: str, room: str, measure: Json, distance: Json, origin: Origin) -> Sighted | str:
    """What one room has heard, or why that does not count."""
    rssi_dbm = dbm(measure.get("rssi"))
    if rssi_dbm is None:
        return NO_SIGNAL
    at_ms = seen_ms(distance.get("lastUpdatedAt"), origin.recv_ms)
    if at_ms is None:
        return BAD_TIME
    gateway_id = origin.gateway_id or heard_by(room)
    power, name = measure.get("measuredPower"), device.removeprefix(_PREFIX)
    beacon = joined_ibeacon(name, power)
    if beacon is not None:
        return sighted(beacon, gateway_id=gateway_id, rssi_dbm=rssi_dbm, at_ms=at_ms)
    tag = named(
        "" if is_address(name) else device,
        gateway_id=gateway_id,
        rssi_dbm=rssi_dbm,
        tx_power_dbm=dbm(power),
        at_ms=at_ms,
    )
    return tag or NO_BEACON
