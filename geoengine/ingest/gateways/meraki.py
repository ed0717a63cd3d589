"""Cisco Meraki's Scanning API, version 3: a minute of what a network's access points have heard.

An observation is one radio: the faces it advertises, and at which access point it was heard how
loud and when. The cloud posts it; whether ``secret`` is ours is asked before anything is decoded.
Earlier versions count decibels above a floor that they do not tell, which is no signal strength.
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
from geoengine.ingest.reports import Decoded, Json, Origin, Sighted

OLD_VERSION: Final = "not version 3"
NOTHING_HEARD: Final = "no access point has heard it"
_VERSION: Final = "3"
_FACES_MAX: Final = 8  # beacons that one radio may be; more are not looked at

Hearing = tuple[str | None, Any, Any]  # the access point, how loud, when


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons of one post, once for each access point and time that each was heard at."""
    message = json_of(body)
    if not isinstance(message, dict):
        return Decoded(drops=[NOT_JSON])
    if str(message.get("version", "")).partition(".")[0] != _VERSION:
        return Decoded(drops=[OLD_VERSION])
    found = Decoded()
    for observation in entries(inner(message.get("data")).get("observations")):
        _add(found, observation, origin)
    if not found.reports and not found.drops:
        found.drops.append(NO_BEACON)
    return found


def _add(found: Decoded, observation: Json, origin: Origin) -> None:
    beacons = _beacons(observation)
    if not beacons:
        found.drops.append(NO_BEACON)
        return
    hearings = list(dict.fromkeys(_hearings(observation)))
    if not hearings:
        found.drops.append(NOTHING_HEARD)
    for hearing in hearings:
        for beacon in beacons:
            put(found, _told(beacon, hearing, origin))


def _beacons(observation: Json) -> list[Beacon]:
    faces = entries(observation.get("bleBeacons"))[:_FACES_MAX]
    beacons = (_beacon(face) for face in faces)
    return list(dict.fromkeys(beacon for beacon in beacons if beacon is not None))


def _beacon(face: Json) -> Beacon | None:
    """The beacon of what it advertised, or of what was made of that where it is not told."""
    data = hex_bytes(face.get("rawData")) or b""
    return parse_advert(data) or ibeacon(
        face.get("uuid"), face.get("major"), face.get("minor"), face.get("txPower")
    )


def _hearings(observation: Json) -> Iterator[Hearing]:
    """Where the radio was heard; the latest record comes last and may repeat one before it."""
    for place in entries(observation.get("locations")):
        for record in entries(place.get("rssiRecords")):
            yield _hearing(record.get("apMac"), record.get("rssi"), place.get("time"))
    latest = inner(observation.get("latestRecord"))
    if latest:
        yield _hearing(latest.get("nearestApMac"), latest.get("nearestApRssi"), latest.get("time"))


def _hearing(access_point: Any, rssi: Any, time: Any) -> Hearing:
    return heard_by(access_point), dbm(rssi), time if isinstance(time, str | int | float) else None


def _told(beacon: Beacon, hearing: Hearing, origin: Origin) -> Sighted | str:
    access_point, rssi_dbm, time = hearing
    if rssi_dbm is None:
        return NO_SIGNAL
    at_ms = seen_ms(time, origin.recv_ms)
    if at_ms is None:
        return BAD_TIME
    gateway_id = origin.gateway_id or access_point
    return sighted(beacon, gateway_id=gateway_id, rssi_dbm=rssi_dbm, at_ms=at_ms)
