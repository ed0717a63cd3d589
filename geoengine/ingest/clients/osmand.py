"""Traccar Client in its three generations, and the many apps that speak its OsmAnd query.

Told apart by content: fields in the query or the body (speeds in knots), a JSON object with a
``location`` (speeds in metres a second), or an array of flat objects (the fields again).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from geoengine.ingest.clients.fields import (
    EMPTY,
    KNOT_MPS,
    NO_FIX,
    NO_ID,
    NO_JSON,
    NO_OBJECT,
    NO_TIME,
    Outcome,
    first,
    fix_ms_of,
    flag,
    form,
    gathered,
    heading_deg,
    is_json,
    key_of,
    lowered,
    mapping,
    name,
    number,
    percent,
    place_of,
    positive,
    push_token,
    share_pct,
    speed,
    value_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Position, PushToken

_IDS: Final = ("id", "deviceid", "device_id")


def decode(body: bytes, origin: Origin) -> Decoded:
    """The positions, and where pushes go, of a message of any generation."""
    query = form(origin.query)
    if not is_json(body):
        fields = query | form(body)
        return gathered(_row(fields, origin)) if fields else Decoded(drops=[EMPTY])
    value = value_of(body)
    if value is None:
        return Decoded(drops=[NO_JSON])
    rows = value if isinstance(value, list) else [value]
    return gathered(chain.from_iterable(_object(row, query, origin) for row in rows))


def _object(row: object, query: Json, origin: Origin) -> Iterable[Outcome]:
    return _row(query | lowered(row), origin) if isinstance(row, dict) else [NO_OBJECT]


def _row(fields: Json, origin: Origin) -> Iterator[Outcome]:
    device_id = origin.device_id or first(name, fields, *_IDS)
    if device_id is None:
        yield NO_ID
        return
    location = fields.get("location")
    if isinstance(location, dict | list):
        for one in location if isinstance(location, list) else [location]:
            yield _located(mapping(one), mapping(fields.get("battery")), device_id, origin)
        return
    token = first(push_token, fields, "notificationtoken")
    if token is not None:
        yield PushToken(device_id=device_id, push_token=token)
    outcome = _flat(fields, device_id, origin)
    if token is None or outcome != NO_FIX:
        yield outcome


def _flat(fields: Json, device_id: str, origin: Origin) -> Outcome:
    """What a query, a form or a flat object says; cells and networks alone are no place."""
    place, fix_ms = _place(fields), fix_ms_of(fields, ("timestamp",), origin.recv_ms)
    if isinstance(place, str):
        return place
    if fix_ms is None:
        return NO_TIME
    knots, event = first(speed, fields, "speed"), _event(fields)
    return Position(
        device_id=device_id,
        lat=place[0],
        lon=place[1],
        fix_ms=fix_ms,
        accuracy_m=first(positive, fields, "accuracy", "hacc"),
        altitude_m=first(number, fields, "altitude"),
        speed_mps=None if knots is None else knots * KNOT_MPS,
        heading_deg=first(heading_deg, fields, "bearing", "heading"),
        battery_pct=first(percent, fields, "batt"),
        mocked=first(flag, fields, "mock"),
        event=event,
        message_id=_message_id(device_id, fix_ms, place, event, origin),
    )


def _place(fields: Json) -> tuple[float, float] | str:
    lat, lon = fields.get("lat", fields.get("latitude")), fields.get("lon", fields.get("longitude"))
    location = fields.get("location")
    if lat is None and isinstance(location, str):
        lat, _, lon = location.partition(",")
    return place_of(lat, lon)


def _event(fields: Json) -> str | None:
    alarm = first(name, fields, "alarm")
    return f"alarm:{alarm}" if alarm else first(name, fields, "event")


def _located(location: Json, battery: Json, device_id: str, origin: Origin) -> Outcome:
    """What a JSON ``location`` says; a variant has no ``coords`` and its battery beside it."""
    coords = mapping(location.get("coords")) or location
    place = place_of(coords.get("latitude"), coords.get("longitude"))
    fix_ms = fix_ms_of(location, ("timestamp",), origin.recv_ms)
    if isinstance(place, str):
        return place
    if fix_ms is None:
        return NO_TIME
    event, uuid = name(location.get("event")), name(location.get("uuid"))
    level = (mapping(location.get("battery")) or battery).get("level")
    return Position(
        device_id=device_id,
        lat=place[0],
        lon=place[1],
        fix_ms=fix_ms,
        accuracy_m=positive(coords.get("accuracy")),
        altitude_m=number(coords.get("altitude")),
        speed_mps=speed(coords.get("speed")),
        heading_deg=heading_deg(coords.get("heading")),
        battery_pct=share_pct(level),
        mocked=flag(location.get("mock")),
        event=event,
        message_id=uuid or _message_id(device_id, fix_ms, place, event, origin),
    )


def _message_id(
    device_id: str, fix_ms: int, place: tuple[float, float], event: str | None, origin: Origin
) -> str | None:
    """A fix that is dated by its arrival has another date when it is sent again."""
    return None if fix_ms == origin.recv_ms else key_of(device_id, fix_ms, place, event)
