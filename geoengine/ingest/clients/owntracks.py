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
from geoengine.ingest.clients.fields import (
    EMPTY,
    KMH_MPS,
    NO_FIX,
    NO_JSON,
    NO_OBJECT,
    NO_TIME,
    Outcome,
    gathered,
    heading_deg,
    instant_ms,
    key_of,
    name,
    number,
    percent,
    place_of,
    positive,
    speed,
    value_of,
)
from geoengine.ingest.clients.sealing import Sealed, unsealed
from geoengine.ingest.reports import Decoded, Json, Mark, Origin, Position, Sighted, Telling
from geoengine.ingest.sightings import uuid_key

# Why a message is dropped, beside the reasons of `fields`.
NO_TYPE: Final = "no _type"
UNKNOWN_TYPE: Final = "unknown _type"
UNKNOWN_EVENT: Final = "unknown event"
NO_NAME: Final = "no desc"
NO_BEACON: Final = "no beacon"
NO_SIGNAL: Final = "no signal strength"
NO_RECORD: Final = "no line of the Recorder"

_EVENTS: Final[dict[str, Literal["enter", "exit"]]] = {"enter": "enter", "leave": "exit"}
# What phones say that is no report: the last will, settings and their copies, commands, friends.
_NO_REPORTS: Final = frozenset(
    {"lwt", "status", "step", "steps", "card", "configuration", "cmd", "dump", "clear"}
)
# Overland writes ``tst`` in seconds since 2001-01-01, Apple's epoch.
_APPLE_EPOCH_MS: Final = 978_307_200 * SECOND_MS
# The place of a fix that is older than this says nothing of where a crossing was: a car is 800 m on
_PLACE_STALE_MS: Final = MINUTE_MS
# An iPhone without user and device names says these two words instead: whoever says them is no one.
_NOBODY: Final = ("user", "device")
_DESC_MAX: Final = 256  # characters that a region's owner may type
_UUID_MAX: Final = 40  # characters, with dashes and then some
# A line of the Recorder's files: when it came, what it is, and the message.
_RECORDED = re.compile(rb"(\S+)\s+\S+\s+(\{.*)")


def decode(body: bytes, origin: Origin) -> Decoded:
    """The reports of a message, of an array of them, or of lines that the Recorder wrote."""
    return gathered(_outcomes(body, origin))


def _outcomes(body: bytes, origin: Origin) -> Iterator[Outcome]:
    if not body.strip():
        yield EMPTY
    elif body.lstrip()[:1].isdigit():
        for line in body.splitlines():
            yield from _recorded(line.strip(), origin)
    else:
        yield from _posted(body, origin)


def _recorded(line: bytes, origin: Origin) -> Iterator[Outcome]:
    """A message of long ago, heard when the Recorder says."""
    found = _RECORDED.fullmatch(line)
    came_ms = instant_ms(found[1].decode(errors="replace")) if found else None
    if found and came_ms is not None:
        yield from _posted(found[2], replace(origin, recv_ms=came_ms))
    elif line:
        yield NO_RECORD


def _posted(body: bytes, origin: Origin) -> Iterator[Outcome]:
    value = value_of(body)
    if value is None:
        yield NO_JSON
    for message in value if isinstance(value, list) else [value]:
        if isinstance(message, dict):
            yield from _message(message, origin)
        elif value is not None:
            yield NO_OBJECT


def _message(message: Json, origin: Origin) -> Iterator[Outcome]:
    kind = message.get("_type")
    if kind == "encrypted":
        yield from _unsealed(message, origin)
    elif kind == "waypoints":
        yield from _waypoints(message, origin)
    elif isinstance(kind, str) and kind in _READERS:
        yield _READERS[kind](message, _device_id(message, origin), origin)
    elif isinstance(kind, str) and kind in _NO_REPORTS:
        yield f"no report: {kind}"
    else:
        yield NO_TYPE if kind is None else UNKNOWN_TYPE


def _unsealed(message: Json, origin: Origin) -> Iterator[Outcome]:
    """A box holds a message, which may be a box: each is a quarter smaller, so there is an end."""
    try:
        plain = unsealed(message.get("data"), origin.passphrase)
    except Sealed as why:
        yield str(why)
        return
    yield from _posted(plain, _with_topic(message, origin))


def _waypoints(message: Json, origin: Origin) -> Iterator[Outcome]:
    rows = message.get("waypoints")
    if not isinstance(rows, list):
        yield NO_OBJECT
        return
    within = _with_topic(message, origin)
    for row in rows:
        if isinstance(row, dict):
            yield _waypoint(row, _device_id(row, within), within)
        else:
            yield NO_OBJECT


def _with_topic(message: Json, origin: Origin) -> Origin:
    """For what is inside a message: its topic counts for all of it."""
    topic = message.get("topic")
    return replace(origin, topic=origin.topic or (topic if isinstance(topic, str) else ""))


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
    said = next((both for both in claims if all(both) and both != _NOBODY), None)
    return name(message.get("tid") if said is None else "/".join(said))


def _of_topic(topic: Any) -> tuple[str, str]:
    """User and device of ``owntracks/USER/DEVICE``, whatever follows; both may hold blanks."""
    levels = topic.lstrip("/").split("/") if isinstance(topic, str) else []
    return (levels[1], levels[2]) if len(levels) > 2 and levels[0] == "owntracks" else ("", "")


def _location(message: Json, device_id: str | None, origin: Origin) -> Outcome:
    where = _place(message)
    fix_ms = _fix_ms(message, origin)
    if isinstance(where, str):
        return where
    if fix_ms is None:
        return NO_TIME
    event = name(message.get("t"))
    speed_kmh = speed(message.get("vel"))
    is_level = (number(message.get("vac")) or 0) >= 0  # below 0 the altitude is not known
    return Position(
        device_id=device_id,
        lat=where[0],
        lon=where[1],
        fix_ms=fix_ms,
        accuracy_m=positive(message.get("acc")),
        altitude_m=number(message.get("alt")) if is_level else None,
        speed_mps=None if speed_kmh is None else speed_kmh * KMH_MPS,
        heading_deg=heading_deg(message.get("cog")),
        battery_pct=percent(message.get("batt")),
        event=event,
        sent_ms=instant_ms(message.get("created_at")),
        message_id=name(message.get("_id")) or key_of(device_id, fix_ms, where, event),
    )


def _place(message: Json) -> tuple[float, float] | str:
    """Where; Android leaves out a latitude or longitude that is exactly 0, but hardly both: then
    there is none.
    """
    lat, lon = message.get("lat"), message.get("lon")
    if lat is None and lon is None:
        return NO_FIX
    return place_of(0 if lat is None else lat, 0 if lon is None else lon)


def _fix_ms(message: Json, origin: Origin) -> int | None:
    """When the fix was taken. Seconds since 2001 read as a time before any phone did this, and are
    a past one once they are moved: nothing that counts from 1970 is both.
    """
    fix_ms = instant_ms(message.get("tst"))
    if fix_ms is None or fix_ms >= FIX_TIME_MIN_MS:
        return fix_ms
    moved_ms = fix_ms + _APPLE_EPOCH_MS
    is_apples = FIX_TIME_MIN_MS <= moved_ms <= origin.recv_ms + CLOCK_AHEAD_MS
    return moved_ms if is_apples else fix_ms


def _transition(message: Json, device_id: str | None, origin: Origin) -> Outcome:
    """A crossing happened when the message was made, if it says so: ``tst`` may be of a fix long
    before, whose place is then not that of the crossing.
    """
    event = _EVENTS.get(name(message.get("event")) or "")
    tst_ms, sent_ms = instant_ms(message.get("tst")), instant_ms(message.get("created_at"))
    at_ms = sent_ms or tst_ms
    if event is None:
        return UNKNOWN_EVENT
    if at_ms is None:
        return NO_TIME
    found = _place(message)
    is_there = tst_ms is not None and at_ms - tst_ms <= _PLACE_STALE_MS
    where = found if is_there and not isinstance(found, str) else None
    region_id = name(message.get("rid")) or _key(message.get("wtst"))
    region_name = _said(message.get("desc"))
    crossing = f"{event} {region_id} {region_name}"
    return Telling(
        device_id=device_id,
        event=event,
        region_id=region_id,
        region_name=region_name,
        lat=where[0] if where else None,
        lon=where[1] if where else None,
        accuracy_m=positive(message.get("acc")) if where else None,
        fix_ms=at_ms,
        sent_ms=sent_ms,
        message_id=name(message.get("_id"))
        or key_of(device_id, at_ms, where or (0.0, 0.0), crossing),
    )


def _key(created: Any) -> str | None:
    """What Android knows a region by: the second in which it was made."""
    created_ms = instant_ms(created)
    return str(created_ms // SECOND_MS) if created_ms else None


def _said(desc: Any) -> str | None:
    """A region's name as its owner typed it, with whatever signs."""
    return desc if isinstance(desc, str) and 0 < len(desc) <= _DESC_MAX and _is_text(desc) else None


def _is_text(desc: str) -> bool:
    """Whether it can be written: half of a sign of two halves cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in desc)


def _waypoint(message: Json, device_id: str | None, origin: Origin) -> Outcome:
    """A region of the phone's owner; one without a radius is around a beacon."""
    where, region_name = _place(message), _said(message.get("desc"))
    if isinstance(where, str):
        return where
    if region_name is None:
        return NO_NAME
    return Mark(
        device_id=device_id,
        region_id=name(message.get("rid")) or _key(message.get("tst")),
        region_name=region_name,
        lat=where[0],
        lon=where[1],
        radius_m=positive(message.get("rad")),
        created_ms=instant_ms(message.get("tst")),
    )


def _beacon(message: Json, device_id: str | None, origin: Origin) -> Outcome:
    """A beacon that an iPhone ranges, heard when the message came: ``tst`` is of the last fix."""
    said = message.get("uuid")
    uuid = uuid_key(said) if isinstance(said, str) and len(said) <= _UUID_MAX else ""
    major, minor = _u16(message.get("major")), _u16(message.get("minor"))
    rssi_dbm = number(message.get("rssi"))
    if not uuid or major is None or minor is None:
        return NO_BEACON
    if rssi_dbm is None or not -128 <= rssi_dbm < 0:
        return NO_SIGNAL
    return Sighted(
        uuid=str(UUID(uuid)),
        major=major,
        minor=minor,
        rssi_dbm=rssi_dbm,
        seen_time=origin.recv_ms,
        device_id=device_id,
    )


def _u16(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None and 0 <= found <= 65_535 and found % 1 == 0 else None


_READERS: Final[dict[str, Callable[[Json, str | None, Origin], Outcome]]] = {
    "location": _location,
    "transition": _transition,
    "waypoint": _waypoint,
    "beacon": _beacon,
}
