"""Overland for iOS and Android, and what speaks its batches: Dawarich, GPSLogger.

A batch is a list of GeoJSON features. Not every feature is a fix: the app also writes down what
it did (with its last place and a new time, so that place is no fix), trips, and the stays that
iOS noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from geoengine.core.units import FIX_TIME_MIN_MS
from geoengine.ingest.clients.fields import (
    EMPTY,
    NO_JSON,
    NO_OBJECT,
    NO_TIME,
    Outcome,
    first,
    form,
    gathered,
    heading_deg,
    instant_ms,
    is_json,
    key_of,
    mapping,
    name,
    number,
    percent,
    place_of,
    positive,
    share_pct,
    speed,
    value_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Position, Stay

NO_LOCATIONS: Final = "no locations"
ACTION: Final = "action of the app"
TRIP: Final = "trip"

# Apple counts from 2001-01-01. Read as counted from 1970, its times before 2041 lie before 2010.
_APPLE_EPOCH_MS: Final = 978_307_200_000


def decode(body: bytes, origin: Origin) -> Decoded:
    """The fixes and stays of a batch; where the phone is now comes first."""
    if not is_json(body):
        return Decoded(drops=[NO_JSON if body.strip() else EMPTY])
    value = value_of(body)
    if isinstance(value, list):
        value = {"locations": value}
    if not isinstance(value, dict):
        return Decoded(drops=[NO_JSON])
    if "_type" in value:
        return gathered([_owntracks(value, origin)])
    return gathered(_batch(value, origin))


def _batch(batch: Json, origin: Origin) -> Iterator[Outcome]:
    """A phone with a long backlog says beside the batch where it is now, as ``current``."""
    locations, current = batch.get("locations"), batch.get("current")
    if current is not None:
        yield _feature(current, origin)
    if isinstance(locations, list):
        yield from (_feature(feature, origin) for feature in locations)
    elif current is None:
        yield NO_LOCATIONS


def _feature(feature: object, origin: Origin) -> Outcome:
    if not isinstance(feature, dict):
        return NO_OBJECT
    properties = mapping(feature.get("properties"))
    if properties.get("type") == "trip":
        return TRIP
    action = properties.get("action")
    if action and action != "visit":
        return ACTION
    place, fix_ms = _place(feature), instant_ms(properties.get("timestamp"))
    if isinstance(place, str):
        return place
    if fix_ms is None:
        return NO_TIME
    say = _stay if action else _position
    return say(properties, _device_id(properties, origin), place, fix_ms)


def _place(feature: Json) -> tuple[float, float] | str:
    match mapping(feature.get("geometry")).get("coordinates"):
        case [lon, lat, *_]:
            return place_of(lat, lon)
    return place_of(None, None)


def _device_id(properties: Json, origin: Origin) -> str | None:
    return (
        origin.device_id
        or first(name, properties, "device_id", "unique_id")
        or first(name, form(origin.query), "device_id", "device")
    )


def _position(
    properties: Json, device_id: str | None, place: tuple[float, float], fix_ms: int
) -> Position:
    say: Any = properties.get
    return Position(
        device_id=device_id,
        lat=place[0],
        lon=place[1],
        fix_ms=fix_ms,
        accuracy_m=positive(say("horizontal_accuracy")),
        altitude_m=number(say("altitude")),
        speed_mps=speed(say("speed")),
        heading_deg=heading_deg(say("course")),
        battery_pct=share_pct(say("battery_level")),
        message_id=key_of(device_id, fix_ms, place),
    )


def _stay(properties: Json, device_id: str | None, place: tuple[float, float], fix_ms: int) -> Stay:
    return Stay(
        device_id=device_id,
        lat=place[0],
        lon=place[1],
        accuracy_m=positive(properties.get("horizontal_accuracy")),
        arrived_ms=instant_ms(properties.get("arrival_date")),
        departed_ms=instant_ms(properties.get("departure_date")),
        fix_ms=fix_ms,
    )


def _owntracks(message: Json, origin: Origin) -> Outcome:
    """The app's other mode: OwnTracks' words, with Apple's time."""
    if message.get("_type") != "location":
        return NO_LOCATIONS
    place, fix_ms = place_of(message.get("lat"), message.get("lon")), instant_ms(message.get("tst"))
    if isinstance(place, str):
        return place
    if fix_ms is None:
        return NO_TIME
    if fix_ms < FIX_TIME_MIN_MS:
        fix_ms += _APPLE_EPOCH_MS
    topic = name(message.get("topic")) or ""
    device_id = origin.device_id or name(topic.removeprefix("owntracks/"))
    return Position(
        device_id=device_id,
        lat=place[0],
        lon=place[1],
        fix_ms=fix_ms,
        accuracy_m=positive(message.get("acc")),
        battery_pct=percent(message.get("batt")),
        message_id=key_of(device_id, fix_ms, place),
    )
