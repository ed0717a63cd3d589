"""What a CRM and an app say of a person, written into the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfoNotFoundError

from msgspec import UNSET
from opening_hours import ParserError  # type: ignore[attr-defined]

from geoengine.core import calendar
from geoengine.core.record import Record
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import DeviceBody, PersonBody
from geoengine.state.loop import Amended

Change = Callable[[Record], Amended | None]

ADDRESSES: Final = {"phone": "sms", "email": "email"}  # field -> lever it is the address of
FORGOTTEN: Final = {"attributes": dict, "caps": list, "locale": str, "quiet_hours": str}


def told(body: PersonBody) -> Change:
    """The change that a CRM's words make; raises a 400 `Problem` where they make no sense."""
    _check(body)

    def change(record: Record) -> Amended | None:
        for name, empty in (*FORGOTTEN.items(), ("time_zone", str)):
            value = getattr(body, name)
            if value is not UNSET:
                setattr(record, name, empty() if value is None else value)
        for name, lever in ADDRESSES.items():
            _set(record.addresses, lever, getattr(body, name))
        return _carries(record, body)

    return change


def registered(device_id: str, body: DeviceBody) -> Change:
    """The change that an app's registration makes: where push reaches this device."""

    def change(record: Record) -> None:
        if body.push_token:
            record.push_tokens[device_id] = [body.platform or "", body.push_token]
        else:
            record.push_tokens.pop(device_id, None)

    return change


def beacon_key(text: str) -> str:
    """The name of a beacon: uuid in lower case without dashes, major, minor.

    >>> beacon_key("F7826DA6-4FA2-4E98-8024-BC5B71E0893E:1:02")
    'f7826da64fa24e988024bc5b71e0893e:1:2'
    """
    uuid, major, minor = text.split(":")
    return f"{uuid.replace('-', '').lower()}:{int(major)}:{int(minor)}"


def _carries(record: Record, body: PersonBody) -> Amended | None:
    if body.beacon is UNSET:
        return None
    keys = [beacon_key(body.beacon)] if isinstance(body.beacon, str) else []
    record.beacons = keys
    return Amended([], aliases=dict.fromkeys(keys, record.person_id))


def _set(addresses: dict[str, str], lever: str, value: object) -> None:
    if isinstance(value, str):
        addresses[lever] = value
    elif value is None:
        addresses.pop(lever, None)


def _check(body: PersonBody) -> None:
    zone = body.time_zone or "UTC"
    try:
        calendar.time_zone(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Problem("malformed", "time_zone is not an IANA name - at `$.time_zone`") from None
    try:
        if body.quiet_hours:
            calendar.hours(body.quiet_hours, zone, "")
    except ParserError:
        raise Problem("malformed", "quiet_hours does not parse - at `$.quiet_hours`") from None
