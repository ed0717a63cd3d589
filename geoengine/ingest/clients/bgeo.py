"""Transistorsoft's background-geolocation, the engine inside many apps of retailers.

The app chooses the shape: one location or a batch, under a key of its choice or none, times as
texts or numbers, its own parameters beside them, or a template of its own. What is looked for is
therefore the value that has a place in it. Every location has a ``uuid``, the same when it is sent
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from geoengine.ingest.clients.fields import (
    EMPTY,
    NO_FIX,
    NO_JSON,
    NO_OBJECT,
    NO_TIME,
    Outcome,
    first,
    fix_ms_of,
    flag,
    gathered,
    heading_deg,
    instant_ms,
    key_of,
    mapping,
    name,
    number,
    place_of,
    positive,
    share_pct,
    speed,
    value_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Position, Telling

Event = Literal["enter", "exit", "dwell"]
_ACTIONS: Final[dict[str, Event]] = {"ENTER": "enter", "EXIT": "exit", "DWELL": "dwell"}
# The words of the format first, then those that templates of its manual and of apps use.
_LAT: Final = ("latitude", "lat")
_LON: Final = ("longitude", "lng", "lon")
_TIME: Final = ("timestamp", "time", "ts")
_ACCURACY: Final = ("accuracy", "acc")
_ALTITUDE: Final = ("altitude", "alt")
_SPEED: Final = ("speed", "spd")
_HEADING: Final = ("heading", "hd")
_DEVICE: Final = ("device_id", "deviceId")
_REGION: Final = ("geofence.identifier", "geofence_identifier", "identifier", "id")
_ACTION: Final = ("geofence.action", "geofence_action", "action", "act")
_INSTANT_CHARS: Final = 19  # of the shortest text that is a time: 2026-01-26T15:57:02


def decode(body: bytes, origin: Origin) -> Decoded:
    """The positions of a body, and what the phone's own geofencing says beside them."""
    return gathered(_outcomes(body, origin))


def _outcomes(body: bytes, origin: Origin) -> Iterator[Outcome]:
    root = value_of(body)
    items = _items(root)
    if not items:
        yield NO_FIX if root is not None else NO_JSON if body.strip() else EMPTY
    for item in items:
        location = _of_row(item) if _is_row(item) else item
        if isinstance(location, dict):
            yield from _told(location, _device_id(location, root, origin), origin)
        else:
            yield NO_OBJECT


def _items(root: Any) -> list[Any]:
    """The locations of a body, whatever the app calls them."""
    if isinstance(root, list):
        return [root] if _is_row(root) else root
    if not isinstance(root, dict):
        return []
    named = root.get("location")
    values = (named, root, *root.values())
    held: Any = next((value for value in values if _holds_places(value)), [])
    return held if isinstance(held, list) and not _is_row(held) else [held]


def _holds_places(value: Any) -> bool:
    if isinstance(value, list):
        return _is_row(value) or any(_is_location(row) or _is_row(row) for row in value)
    return _is_location(value)


def _is_location(value: Any) -> bool:
    """Whether it says where, or what was crossed."""
    if not isinstance(value, dict):
        return False
    is_place = isinstance(value.get("coords"), dict) or first(number, value, *_LAT) is not None
    return is_place or _crossing(value) is not None


def _is_row(value: Any) -> bool:
    """Whether it is a location of a compact template: an array that begins with its place."""
    is_long = isinstance(value, list) and len(value) > 1
    return is_long and not isinstance(place_of(value[0], value[1]), str)


def _of_row(row: list[Any]) -> Json:
    """A row with names to its values: behind the place only what can be told by its looks."""
    location: Json = {"latitude": row[0], "longitude": row[1]}
    texts = [value for value in row[2:] if isinstance(value, str)]
    for before, value in zip(["", *texts], texts, strict=False):
        if value in _ACTIONS:
            location["geofence"] = {"identifier": before, "action": value}
        elif len(value) >= _INSTANT_CHARS and instant_ms(value) is not None:
            location["timestamp"] = value
    return location


def _told(location: Json, device_id: str | None, origin: Origin) -> Iterator[Outcome]:
    """A crossing goes before the position at which it was noticed. Where nobody says when that
    was, there is the crossing only: its place is not a fix of now.
    """
    crossing = _crossing(location)
    fix_ms = fix_ms_of(location, _TIME, origin.recv_ms)
    if fix_ms is None:
        yield NO_TIME
        return
    position = _position(location, device_id, fix_ms)
    if crossing is not None:
        yield _telling(location, crossing, device_id, fix_ms, position)
    if crossing is None or (_has_time(location) and isinstance(position, Position)):
        yield position


def _device_id(location: Json, root: Any, origin: Origin) -> str | None:
    """Whose phone: the credential's, else a parameter of the app, beside the location or in it."""
    if origin.device_id is not None:
        return origin.device_id
    for told in (mapping(root), location, mapping(location.get("extras"))):
        found = first(name, told, *_DEVICE) or name(mapping(told.get("device")).get("uuid"))
        if found is not None:
            return found
    return None


def _crossing(location: Json) -> tuple[str, Event] | None:
    """The region that was crossed, and how."""
    geofence = location.get("geofence", location)
    if isinstance(geofence, str):
        said, _, action = geofence.rpartition(":")
        geofence = {"identifier": said, "action": action}
    told = mapping(geofence)
    region_id = first(name, told, *_REGION)
    event = _ACTIONS.get((first(name, told, *_ACTION) or "").upper())
    return (region_id, event) if region_id and event else None


def _telling(
    location: Json,
    crossing: tuple[str, Event],
    device_id: str | None,
    fix_ms: int,
    position: Position | str,
) -> Telling:
    region_id, event = crossing
    at = None if isinstance(position, str) else position
    where = (at.lat, at.lon) if at else (None, None)
    return Telling(
        device_id=device_id,
        event=event,
        region_id=region_id,
        lat=where[0],
        lon=where[1],
        accuracy_m=at.accuracy_m if at else None,
        fix_ms=fix_ms,
        sent_ms=instant_ms(location.get("recorded_at")),
        message_id=_message_id(location, device_id, fix_ms, at, f"{event} {region_id}"),
    )


def _position(location: Json, device_id: str | None, fix_ms: int) -> Position | str:
    coords = mapping(location.get("coords")) or location
    where = place_of(first(number, coords, *_LAT), first(number, coords, *_LON))
    if isinstance(where, str):
        return where
    event = name(location.get("event"))
    is_level = (number(coords.get("altitude_accuracy")) or 0) >= 0  # -1: it is not known
    position = Position(
        device_id=device_id,
        lat=where[0],
        lon=where[1],
        fix_ms=fix_ms,
        accuracy_m=first(positive, coords, *_ACCURACY),
        altitude_m=first(number, coords, *_ALTITUDE) if is_level else None,
        speed_mps=first(speed, coords, *_SPEED),
        heading_deg=first(heading_deg, coords, *_HEADING),
        battery_pct=_battery_pct(location),
        mocked=flag(location.get("mock")),
        event=event,
        sent_ms=instant_ms(location.get("recorded_at")),
    )
    position.message_id = _message_id(location, device_id, fix_ms, position, event)
    return position


def _battery_pct(location: Json) -> float | None:
    battery = location.get("battery")
    told = battery.get("level") if isinstance(battery, dict) else location.get("battery.level")
    return share_pct(told)


def _message_id(
    location: Json, device_id: str | None, fix_ms: int, at: Position | None, event: str | None
) -> str | None:
    """None where a report has neither an id nor a time: it cannot be known again."""
    if uuid := name(location.get("uuid")):
        return uuid
    where = (at.lat, at.lon) if at else (0.0, 0.0)
    return key_of(device_id, fix_ms, where, event) if _has_time(location) else None


def _has_time(location: Json) -> bool:
    return any(location.get(word) not in (None, "") for word in _TIME)
