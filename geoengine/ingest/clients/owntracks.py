"""OwnTracks for Android and iOS, over HTTP and MQTT; and Overland where it speaks OwnTracks.

One JSON object a message, told apart by ``_type``. Encoders leave out what is 0, an iPhone's
crossing carries the time of its last fix, and one fix may come twice with two times of sending:
a report is known by its fix, not by when it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, Literal
from urllib.parse import parse_qs
from uuid import UUID

from geoengine.core.units import CLOCK_AHEAD_MS, FIX_TIME_MIN_MS, MINUTE_MS, SECOND_MS
from geoengine.ingest.clients.sealing import Sealed, unsealed
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
    whole,
    why_no_time,
)
from geoengine.ingest.names import is_name
from geoengine.ingest.reports import Decoded, Json, Mark, Origin, Position, Report, Sighted, Telling
from geoengine.ingest.sightings import uuid_key

_EVENTS: Final[dict[str, Literal["enter", "exit"]]] = {"enter": "enter", "leave": "exit"}
# What phones say that is no report: the last will, settings and their copies, commands, friends.
_NO_REPORTS: Final = frozenset(
    {"lwt", "status", "step", "steps", "card", "configuration", "cmd", "dump", "clear"}
)
# Overland writes ``tst`` in seconds since 2001-01-01, Apple's epoch.
_APPLE_EPOCH_MS: Final = 978_307_200 * SECOND_MS
_MPS_PER_KMH: Final = 1 / 3.6
# The place of a fix that is older than this says nothing of where a crossing was: a car is 800 m on
_PLACE_STALE_MS: Final = MINUTE_MS
# An iPhone without user and device names says these two words instead: whoever says them is no one.
_NOBODY: Final = ("user", "device")
# A line of the Recorder's files: when it came, what it is, and the message.
_RECORDED = re.compile(rb"(\S+)\s+\S+\s+(\{.*)")


def decode(body: bytes, origin: Origin) -> Decoded:
    """The reports of a message, of an array of them, or of lines that the Recorder wrote."""
    decoded = Decoded()
    for message, heard in _messages(stripped(body), origin, decoded):
        _read(message, heard, decoded)
    return decoded


def _messages(body: bytes, origin: Origin, decoded: Decoded) -> Iterator[tuple[bytes, Origin]]:
    if not body[:1].isdigit():
        yield body, origin
        return
    for line in body.splitlines():
        found = _RECORDED.fullmatch(line.strip())
        came_ms = moment_ms(found[1].decode(errors="replace")) if found else None
        if found and came_ms is not None:
            yield found[2], replace(origin, recv_ms=came_ms)
        else:
            decoded.drops.append("malformed_line")


def _read(body: bytes, origin: Origin, decoded: Decoded) -> None:
    try:
        value = parsed(body)
    except Unreadable as why:
        decoded.drops.append(str(why))
        return
    for message in value if isinstance(value, list) else [value]:
        if isinstance(message, dict):
            _take(message, origin, decoded)
        else:
            decoded.drops.append("not_an_object")


def _take(message: Json, origin: Origin, decoded: Decoded) -> None:
    kind = message.get("_type")
    if kind == "encrypted":
        _unseal(message, origin, decoded)
    elif kind == "waypoints":
        _take_waypoints(message, origin, decoded)
    elif isinstance(kind, str) and kind in _READERS:
        _add(_READERS[kind], message, origin, decoded)
    else:
        decoded.drops.append(_why_not(kind))


def _why_not(kind: Any) -> str:
    if kind is None:
        return "type_missing"
    return f"no_report:{kind}" if isinstance(kind, str) and kind in _NO_REPORTS else "type_unknown"


def _unseal(message: Json, origin: Origin, decoded: Decoded) -> None:
    """A box holds a message, which may be a box: each is a quarter smaller, so there is an end."""
    try:
        plain = unsealed(message.get("data"), origin.passphrase)
    except Sealed as why:
        decoded.drops.append(str(why))
        return
    topic = origin.topic or text(message.get("topic")) or ""
    _read(stripped(plain), replace(origin, topic=topic), decoded)


def _take_waypoints(message: Json, origin: Origin, decoded: Decoded) -> None:
    rows = message.get("waypoints")
    if not isinstance(rows, list):
        decoded.drops.append("waypoints_missing")
        return
    topic = origin.topic or text(message.get("topic")) or ""
    for row in rows:
        if isinstance(row, dict):
            _add(_waypoint, row, replace(origin, topic=topic), decoded)
        else:
            decoded.drops.append("not_an_object")


Reader = Callable[[Json, str | None, Origin], Report | str]


def _add(reader: Reader, message: Json, origin: Origin, decoded: Decoded) -> None:
    device_id = _device_id(message, origin)
    if device_id is not None and not is_name(device_id):
        decoded.drops.append("device_id_bad")
        return
    report = reader(message, device_id, origin)
    if isinstance(report, str):
        decoded.drops.append(report)
    else:
        decoded.reports.append(report)


def _device_id(message: Json, origin: Origin) -> str | None:
    """Whose message it is: the credential's, else as the first that says it; ``tid`` is last, for
    two letters are soon had by two.
    """
    if origin.device_id is not None:
        return origin.device_id
    named = parse_qs(origin.query)
    claims = (
        _of_topic(origin.topic),
        _of_topic(message.get("topic")),
        (origin.headers.get("x-limit-u", ""), origin.headers.get("x-limit-d", "")),
        (named.get("u", [""])[0], named.get("d", [""])[0]),
    )
    found = next((both for both in claims if all(both) and both != _NOBODY), None)
    return text(message.get("tid")) if found is None else "/".join(found)


def _of_topic(topic: Any) -> tuple[str, str]:
    """User and device of ``owntracks/USER/DEVICE``, whatever follows; both may hold blanks."""
    levels = topic.lstrip("/").split("/") if isinstance(topic, str) else []
    return (levels[1], levels[2]) if len(levels) > 2 and levels[0] == "owntracks" else ("", "")


def _location(message: Json, device_id: str | None, origin: Origin) -> Position | str:
    where = _place(message)
    fix_ms = _fix_ms(message, origin)
    if isinstance(where, str):
        return where
    if fix_ms is None:
        return why_no_time(message.get("tst"))
    lat, lon = where
    event = text(message.get("t"))
    speed_kmh = number(message.get("vel"), 0)
    is_level = number(message.get("vac")) or 0  # below 0 the altitude is not known
    return Position(
        device_id=device_id,
        lat=lat,
        lon=lon,
        fix_ms=fix_ms,
        accuracy_m=above_zero(message.get("acc")),
        altitude_m=number(message.get("alt")) if is_level >= 0 else None,
        speed_mps=None if speed_kmh is None else speed_kmh * _MPS_PER_KMH,
        heading_deg=number(message.get("cog"), 0, 360),
        battery_pct=number(message.get("batt"), 0, 100),
        event=event,
        sent_ms=moment_ms(message.get("created_at")),
        message_id=text(message.get("_id")) or report_id(device_id, fix_ms, lat, lon, event),
    )


def _place(message: Json) -> tuple[float, float] | str:
    """Where; Android leaves out a latitude or longitude that is exactly 0, but never both: then
    there is none.
    """
    lat, lon = message.get("lat"), message.get("lon")
    if lat is None and lon is None:
        return "lat_missing"
    return place(0.0 if lat is None else lat, 0.0 if lon is None else lon)


def _fix_ms(message: Json, origin: Origin) -> int | None:
    """When the fix was taken. Seconds since 2001 read as a time before any phone did this, and are
    a past one once they are moved: nothing that counts from 1970 is both.
    """
    fix_ms = moment_ms(message.get("tst"))
    if fix_ms is None or fix_ms >= FIX_TIME_MIN_MS:
        return fix_ms
    moved_ms = fix_ms + _APPLE_EPOCH_MS
    is_apples = FIX_TIME_MIN_MS <= moved_ms <= origin.recv_ms + CLOCK_AHEAD_MS
    return moved_ms if is_apples else fix_ms


def _transition(message: Json, device_id: str | None, origin: Origin) -> Telling | str:
    """A crossing happened when the message was made, if it says so: ``tst`` may be of a fix long
    before, whose place is then not that of the crossing.
    """
    event = _EVENTS.get(text(message.get("event")) or "")
    tst_ms, sent_ms = moment_ms(message.get("tst")), moment_ms(message.get("created_at"))
    at_ms = sent_ms or tst_ms
    if event is None:
        return "event_unknown"
    if at_ms is None:
        return why_no_time(message.get("tst"))
    where = _place(message)
    is_there = tst_ms is not None and at_ms - tst_ms <= _PLACE_STALE_MS
    lat, lon = where if is_there and not isinstance(where, str) else (None, None)
    region_id = text(message.get("rid")) or _key(message.get("wtst"))
    return Telling(
        device_id=device_id,
        event=event,
        region_id=region_id,
        region_name=text(message.get("desc")),
        lat=lat,
        lon=lon,
        accuracy_m=None if lat is None else above_zero(message.get("acc")),
        fix_ms=at_ms,
        sent_ms=sent_ms,
        message_id=text(message.get("_id"))
        or report_id(device_id, at_ms, lat, lon, event, region_id, message.get("desc")),
    )


def _key(created: Any) -> str | None:
    """What Android knows a region by: the second in which it was made."""
    created_ms = moment_ms(created)
    return None if created_ms is None else str(created_ms // SECOND_MS)


def _waypoint(message: Json, device_id: str | None, origin: Origin) -> Mark | str:
    """A region of the phone's owner; one without a radius is around a beacon."""
    where, name = _place(message), text(message.get("desc"))
    if isinstance(where, str):
        return where
    if name is None:
        return "desc_missing"
    return Mark(
        device_id=device_id,
        region_id=text(message.get("rid")) or _key(message.get("tst")),
        region_name=name,
        lat=where[0],
        lon=where[1],
        radius_m=above_zero(message.get("rad")),
        created_ms=moment_ms(message.get("tst")),
    )


def _beacon(message: Json, device_id: str | None, origin: Origin) -> Sighted | str:
    """A beacon that an iPhone ranges, heard when the message came: ``tst`` is of the last fix."""
    uuid = uuid_key(text(message.get("uuid")) or "")
    major, minor = (whole(message.get(key), 0, 65_535) for key in ("major", "minor"))
    rssi_dbm = number(message.get("rssi"), -128, -1)
    if not uuid or major is None or minor is None:
        return "beacon_bad"
    if rssi_dbm is None:
        return "rssi_missing"
    return Sighted(
        uuid=str(UUID(uuid)),
        major=major,
        minor=minor,
        rssi_dbm=rssi_dbm,
        seen_time=origin.recv_ms,
        device_id=device_id,
    )


_READERS: Final[dict[str, Reader]] = {
    "location": _location,
    "transition": _transition,
    "waypoint": _waypoint,
    "beacon": _beacon,
}
