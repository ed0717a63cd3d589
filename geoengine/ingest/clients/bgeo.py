"""Transistorsoft's background-geolocation, the engine inside many apps of retailers.

The app chooses the shape: one location or a batch, under a key of its choice or none, times as
texts or numbers, its own parameters beside them, or a template of its own. What is looked for is
therefore the value that has a place in it. Every location has a ``uuid``, the same when it is sent
again.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from geoengine.ingest.clients.values import (
    Unreadable,
    above_zero,
    moment_ms,
    number,
    parsed,
    place,
    report_id,
    stripped,
    text,
    why_no_time,
)
from geoengine.ingest.names import is_name
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
    decoded = Decoded()
    try:
        root = parsed(stripped(body))
    except Unreadable as why:
        decoded.drops.append(str(why))
        return decoded
    items = _items(root)
    if not items:
        decoded.drops.append("no_location")
    for item in items:
        _take(item, root, origin, decoded)
    return decoded


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
    is_place = isinstance(value.get("coords"), dict) or _first(value, _LAT) is not None
    return is_place or _crossing(value) is not None


def _is_row(value: Any) -> bool:
    """Whether it is a location of a compact template: an array that begins with its place."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and not isinstance(place(value[0], value[1]), str)
    )


def _take(item: Any, root: Any, origin: Origin, decoded: Decoded) -> None:
    """A crossing goes before the position at which it was noticed. Where nobody says when that
    was, there is the crossing only: its place is not a fix of now.
    """
    location = _of_row(item) if _is_row(item) else item
    if not isinstance(location, dict):
        decoded.drops.append("not_an_object")
        return
    device_id = _device_id(location, root, origin)
    told = _first(location, _TIME)
    fix_ms = origin.recv_ms if told is None else moment_ms(told)
    if device_id is not None and not is_name(device_id):
        decoded.drops.append("device_id_bad")
        return
    if fix_ms is None:
        decoded.drops.append(why_no_time(told))
        return
    crossing = _crossing(location)
    position = _position(location, device_id, fix_ms)
    if crossing is not None:
        decoded.reports.append(_telling(location, crossing, device_id, fix_ms, position))
    if isinstance(position, str):
        decoded.drops += [] if crossing else [position]
    elif crossing is None or told is not None:
        decoded.reports.append(position)


def _of_row(row: list[Any]) -> Json:
    """A row with names to its values: behind the place only what can be told by its looks."""
    location: Json = {"latitude": row[0], "longitude": row[1]}
    texts = [value for value in row[2:] if isinstance(value, str)]
    for before, value in zip(["", *texts], texts, strict=False):
        if value in _ACTIONS:
            location["geofence"] = {"identifier": before, "action": value}
        elif len(value) >= _INSTANT_CHARS and moment_ms(value) is not None:
            location["timestamp"] = value
    return location


def _device_id(location: Json, root: Any, origin: Origin) -> str | None:
    """Whose phone: the credential's, else a parameter of the app, beside the location or in it."""
    if origin.device_id is not None:
        return origin.device_id
    for told in (root, location, location.get("extras")):
        if not isinstance(told, dict):
            continue
        device = told.get("device")
        found = _first(told, _DEVICE) or (device.get("uuid") if isinstance(device, dict) else None)
        if text(found):
            return text(found)
    return None


def _crossing(location: Json) -> tuple[str, Event] | None:
    """The region that was crossed, and how."""
    geofence = location.get("geofence", location)
    if isinstance(geofence, str):
        region_id, _, action = geofence.rpartition(":")
    elif isinstance(geofence, dict):
        region_id, action = _first(geofence, _REGION), _first(geofence, _ACTION)
    else:
        return None
    event = _ACTIONS.get(action.upper()) if isinstance(action, str) else None
    return (region_id, event) if event and text(region_id) else None


def _telling(
    location: Json,
    crossing: tuple[str, Event],
    device_id: str | None,
    fix_ms: int,
    position: Position | str,
) -> Telling:
    region_id, event = crossing
    at = None if isinstance(position, str) else position
    lat, lon = (None, None) if at is None else (at.lat, at.lon)
    return Telling(
        device_id=device_id,
        event=event,
        region_id=region_id,
        lat=lat,
        lon=lon,
        accuracy_m=None if at is None else at.accuracy_m,
        fix_ms=fix_ms,
        sent_ms=moment_ms(location.get("recorded_at")),
        message_id=_message_id(location, device_id, fix_ms, lat, lon, region_id + ":" + event),
    )


def _position(location: Json, device_id: str | None, fix_ms: int) -> Position | str:
    held = location.get("coords")
    coords: Json = held if isinstance(held, dict) else location
    where = place(_first(coords, _LAT), _first(coords, _LON))
    if isinstance(where, str):
        return where
    lat, lon = where
    event, mocked = text(location.get("event")), location.get("mock")
    is_level = (number(coords.get("altitude_accuracy")) or 0) >= 0  # -1: it is not known
    return Position(
        device_id=device_id,
        lat=lat,
        lon=lon,
        fix_ms=fix_ms,
        accuracy_m=above_zero(_first(coords, _ACCURACY)),
        altitude_m=number(_first(coords, _ALTITUDE)) if is_level else None,
        speed_mps=number(_first(coords, _SPEED), 0),
        heading_deg=number(_first(coords, _HEADING), 0, 360),
        battery_pct=_battery_pct(location),
        mocked=mocked if isinstance(mocked, bool) else None,
        event=event,
        sent_ms=moment_ms(location.get("recorded_at")),
        message_id=_message_id(location, device_id, fix_ms, lat, lon, event),
    )


def _battery_pct(location: Json) -> float | None:
    battery = location.get("battery")
    told = battery.get("level") if isinstance(battery, dict) else location.get("battery.level")
    level = number(told, 0, 1)
    return None if level is None else round(level * 100, 1)


def _message_id(location: Json, device_id: str | None, fix_ms: int, *rest: object) -> str | None:
    """None where a report has neither an id nor a time: it cannot be known again."""
    if uuid := text(location.get("uuid")):
        return uuid
    return None if _first(location, _TIME) is None else report_id(device_id, fix_ms, *rest)


def _first(told: Json, names: tuple[str, ...]) -> Any:
    """The value under the first of the names that has one."""
    return next((told[name] for name in names if told.get(name) is not None), None)
