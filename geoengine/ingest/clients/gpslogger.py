"""GPSLogger for Android, "Log to custom URL" and OpenGTS.

Its users write the template, so the names of fields are theirs: those that its manual and its
``%ALL`` use are known here, in any case of letters. What the phone does not know arrives as 0.0 or
as an empty text.
"""

from __future__ import annotations

import re
from typing import Any, Final

from geoengine.ingest.clients import overland
from geoengine.ingest.clients.fields import (
    EMPTY,
    KMH_MPS,
    KNOT_MPS,
    NO_JSON,
    NO_OBJECT,
    NO_TIME,
    Outcome,
    first,
    fix_ms_of,
    form,
    gathered,
    heading_deg,
    is_json,
    key_of,
    lowered,
    name,
    number,
    percent,
    place_of,
    positive,
    speed,
    value_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Position

# The first that says something counts. ``ser`` is not among them: phones since Android 8 all say
# "unknown" there.
_IDS: Final = ("device", "device_id", "deviceid", "id", "dev", "aid", "androidid", "android_id")
_TIMES: Final = ("time", "timeoffset", "timestamp", "epoch", "tst")  # milliseconds before seconds
_LATS: Final = ("lat", "latitude")
_LONS: Final = ("lon", "longitude", "lng", "long")
_ACCURACIES: Final = ("acc", "accuracy")
_ALTITUDES: Final = ("alt", "altitude")
_HEADINGS: Final = ("dir", "direction", "bearing", "heading", "course")
_BATTERIES: Final = ("batt", "battery", "bat")
_SPEEDS_MPS: Final = ("spd", "speed", "spd_mps", "speed_mps")
_SPEEDS_KMH: Final = ("spd_kph", "speed_kph", "spd_kmh", "speed_kmh", "kph", "kmh")

# A template of JSON in which a value that the phone does not know has left a hole.
_LOOSE_PAIR = re.compile(r'"(\w{1,40})"\s*:\s*(?:"([^"]*)"|([^,{}\[\]"\s]*))', re.ASCII)
_CLOCK = re.compile(r"(\d\d)(\d\d)(\d\d(?:\.\d{1,6})?)", re.ASCII)
_DAY = re.compile(r"(\d\d)(\d\d)(\d\d)", re.ASCII)


def decode(body: bytes, origin: Origin) -> Decoded:
    """The position of a message, from wherever its template put the fields."""
    query = form(origin.query)
    if not is_json(body):
        fields = query | form(body)
        return gathered([_position(fields, origin)]) if fields else Decoded(drops=[EMPTY])
    value = value_of(body)
    if isinstance(value, dict) and "locations" in value:
        return overland.decode(body, origin)
    if value is None and not (value := _loose(body)):
        return Decoded(drops=[NO_JSON])
    return gathered(
        _position(query | lowered(row), origin) if isinstance(row, dict) else NO_OBJECT
        for row in (value if isinstance(value, list) else [value])
    )


def _loose(body: bytes) -> Json:
    pairs = _LOOSE_PAIR.findall(body.decode("utf-8", "replace"))
    return {key: quoted or bare for key, quoted, bare in pairs}


def _position(fields: Json, origin: Origin) -> Outcome:
    fields = _sentence(fields.get("gprmc")) | fields
    place = place_of(_either(fields, _LATS), _either(fields, _LONS))
    fix_ms = fix_ms_of(fields, _TIMES, origin.recv_ms)
    if isinstance(place, str):
        return place
    if fix_ms is None:
        return NO_TIME
    device_id = origin.device_id or first(name, fields, *_IDS)
    return Position(
        device_id=device_id,
        lat=place[0],
        lon=place[1],
        fix_ms=fix_ms,
        accuracy_m=first(positive, fields, *_ACCURACIES),
        altitude_m=first(number, fields, *_ALTITUDES) or None,
        speed_mps=_speed_mps(fields),
        heading_deg=first(heading_deg, fields, *_HEADINGS) or None,
        battery_pct=first(percent, fields, *_BATTERIES),
        message_id=None if fix_ms == origin.recv_ms else key_of(device_id, fix_ms, place),
    )


def _either(fields: Json, keys: tuple[str, ...]) -> Any:
    return next((fields[key] for key in keys if key in fields), None)


def _speed_mps(fields: Json) -> float | None:
    mps = first(speed, fields, *_SPEEDS_MPS)
    if mps is not None:
        return mps
    kmh = first(speed, fields, *_SPEEDS_KMH)
    return None if kmh is None else kmh * KMH_MPS


def _sentence(sentence: object) -> Json:
    """An NMEA sentence GPRMC, as the fields of a template; nothing where it is not a valid fix.

    Its checksum is not looked at: what it guards against, the transport has already.
    """
    parts = sentence.partition("*")[0].split(",") if isinstance(sentence, str) else []
    if len(parts) < 10 or not parts[0].endswith("RMC") or parts[2] != "A":
        return {}
    _, clock, _, lat, north, lon, east, knots, heading, day = parts[:10]
    mps = number(knots)
    found = {
        "lat": _degrees(lat, north, "S"),
        "lon": _degrees(lon, east, "W"),
        "spd": None if mps is None else mps * KNOT_MPS,
        "dir": heading,
        "time": _instant(day, clock),
    }
    return {key: value for key, value in found.items() if value is not None}


def _degrees(text: str, side: str, negative: str) -> float | None:
    """Degrees of a coordinate written as degrees times 100 plus minutes."""
    found = number(text)
    if found is None or found < 0:
        return None
    degrees, minutes = divmod(found, 100)
    return (degrees + minutes / 60) * (-1 if side == negative else 1)


def _instant(day: str, clock: str) -> str:
    dates, times = _DAY.fullmatch(day), _CLOCK.fullmatch(clock)
    if dates is None or times is None:
        return "unreadable"
    return f"20{dates[3]}-{dates[2]}-{dates[1]}T{times[1]}:{times[2]}:{times[3]}Z"
