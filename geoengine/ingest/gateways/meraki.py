"""Cisco Meraki's Scanning API, version 3: a minute of what a network's access points have heard.

An observation is one radio: the faces that it shows, and at which access point it was heard, how
well and when. The cloud posts it; whether ``secret`` is ours is asked before anything is decoded.
Earlier versions count decibels above a floor that they do not tell, which is no signal strength.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from geoengine.ingest.adverts import NO_BEACON, Beacon, hex_bytes, parse_advert, why_not
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    Hearing,
    gateway_name,
    inner,
    number_of,
    objects,
    power_dbm,
    read_json,
    said_beacon,
)
from geoengine.ingest.reports import Decoded, Json, Origin

OLD_VERSION: Final = "not version 3"
NOWHERE_HEARD: Final = "heard by no access point"
_FACES_MAX: Final = 8  # beacons that one radio may be; more are not looked at

Heard = tuple[str | None, float | None, str | int | float | None]
"""The access point, how well, when."""


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacons of one post, once for each access point and time that each was heard at."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
    elif not 3 <= (number_of(message.get("version")) or 0) < 4:
        hearing.drop(OLD_VERSION)
    else:
        observations = objects(inner(message.get("data")).get("observations"))
        for observation in observations:
            _hear(observation, hearing)
        if not observations:
            hearing.drop(NOT_ONE_OF_THESE)
    return hearing.decoded


def _hear(observation: Json, hearing: Hearing) -> None:
    faces = objects(observation.get("bleBeacons"))[:_FACES_MAX]
    beacons = list(dict.fromkeys(beacon for face in faces if (beacon := _beacon(face))))
    if not beacons:
        hearing.drop(why_not(_advert(faces[0])) if faces else NO_BEACON)
        return
    heard = list(dict.fromkeys(_heard(observation)))
    if not heard:
        hearing.drop(NOWHERE_HEARD)
    for access_point, rssi_dbm, seen in heard:
        for beacon in beacons:
            hearing.beacon(beacon, rssi_dbm, gateway=access_point, seen=seen)


def _beacon(face: Json) -> Beacon | None:
    """The beacon of what was advertised, or what was made of that where it is not told."""
    names = (face.get("uuid"), face.get("major"), face.get("minor"))
    return parse_advert(_advert(face)) or said_beacon(*names, face.get("txPower"))


def _advert(face: Json) -> bytes:
    return hex_bytes(face.get("rawData")) or b""


def _heard(observation: Json) -> Iterator[Heard]:
    """Where the radio was heard; the latest record comes last and may repeat one before it."""
    for place in objects(observation.get("locations")):
        for record in objects(place.get("rssiRecords")):
            yield _record(record.get("apMac"), record.get("rssi"), place.get("time"))
    if latest := inner(observation.get("latestRecord")):
        yield _record(latest.get("nearestApMac"), latest.get("nearestApRssi"), latest.get("time"))


def _record(access_point: Any, rssi: Any, seen: Any) -> Heard:
    is_time = isinstance(seen, str | int | float)
    return gateway_name(access_point), power_dbm(rssi), seen if is_time else None
