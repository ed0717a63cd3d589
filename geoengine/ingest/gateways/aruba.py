"""Aruba's IoT telemetry, after somebody has made JSON of its protobuf.

Access points send protobuf over a WebSocket that they open themselves; a relay that decodes it and
posts the object arrives here. Raw advertisements are in ``bleData``, those that the access point
has decoded in ``reported``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from geoengine.ingest.adverts import NO_BEACON, Beacon, hex_bytes, parse_advert
from geoengine.ingest.gateways.values import (
    BAD_TIME,
    NO_SIGNAL,
    NOT_JSON,
    dbm,
    entries,
    heard_by,
    ibeacon,
    inner,
    json_of,
    put,
    seen_ms,
    sighted,
)
from geoengine.ingest.reports import Decoded, Json, Origin

NOTHING_HEARD: Final = "no advertisements"


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons of one message of telemetry."""
    message = json_of(body)
    if not isinstance(message, dict):
        return Decoded(drops=[NOT_JSON])
    reporter = inner(message.get("reporter"))
    gateway_id = origin.gateway_id or heard_by(reporter.get("mac"))
    at_ms = seen_ms(reporter.get("time"), origin.recv_ms)
    if at_ms is None:
        return Decoded(drops=[BAD_TIME])
    found = Decoded()
    for beacon, rssi in _heard(message):
        rssi_dbm = dbm(rssi)
        if beacon is None:
            put(found, NO_BEACON)
        elif rssi_dbm is None:
            put(found, NO_SIGNAL)
        else:
            put(found, sighted(beacon, gateway_id=gateway_id, rssi_dbm=rssi_dbm, at_ms=at_ms))
    if not found.reports and not found.drops:
        found.drops.append(NOTHING_HEARD)
    return found


def _heard(message: Json) -> Iterator[tuple[Beacon | None, Any]]:
    """Each advertisement's beacon and its signal strength."""
    for advert in entries(message.get("bleData")):
        data = hex_bytes(advert.get("data"))
        yield parse_advert(data) if data else None, advert.get("rssi")
    for device in entries(message.get("reported")):
        rssi = device.get("rssi")
        if isinstance(rssi, dict):
            rssi = rssi.get("last", rssi.get("avg"))
        for face in entries(device.get("beacons")):
            said = inner(face.get("ibeacon"))
            names = (said.get("uuid"), said.get("major"), said.get("minor"))
            yield ibeacon(*names, said.get("power")), rssi
