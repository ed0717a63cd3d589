"""What a CRM and an app say of a person, written into the record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final
from zoneinfo import ZoneInfoNotFoundError

from msgspec import UNSET
from opening_hours import ParserError  # type: ignore[attr-defined]

from geoengine.core import calendar
from geoengine.core.book import Book
from geoengine.core.consent.people import UNTIL_OF_AGE
from geoengine.core.record import Record, Timed
from geoengine.ingest.times import time_ms
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import DeviceBody, PersonBody
from geoengine.state.amending import Amended

Change = Callable[[Record], Amended | None]

ADDRESSES: Final = {"phone": "sms", "email": "email"}  # field -> lever it is the address of
FORGOTTEN: Final = {"attributes": dict, "caps": list, "locale": str, "quiet_hours": str}


def told(body: PersonBody, book: Book, now_ms: int) -> Change:
    """The change that a CRM's words make; raises a 400 `Problem` where they make no sense."""
    _check(body)
    paused_ms, of_age_ms = _pause_ms(body, now_ms), _of_age_ms(body, book, now_ms)

    def change(record: Record) -> Amended | None:
        for name, empty in (*FORGOTTEN.items(), ("time_zone", str)):
            value = getattr(body, name)
            if value is not UNSET:
                setattr(record, name, empty() if value is None else value)
        for name, lever in ADDRESSES.items():
            _set(record.addresses, lever, getattr(body, name))
        _set(record.identifiers, "loyalty", body.loyalty)
        if body.cadence is not UNSET:
            record.caps = [] if body.cadence is None else [body.cadence]
        if paused_ms is not None:
            record.paused_until_ms = paused_ms
        if body.minor is not UNSET:
            record.is_minor = bool(body.minor)
        if body.birth_date is not UNSET:
            record.timed.pop(UNTIL_OF_AGE, None)
            if of_age_ms > now_ms:
                record.timed[UNTIL_OF_AGE] = Timed(True, of_age_ms)
        return _carries(record, body)

    return change


def new_names(body: PersonBody) -> dict[str, str | None]:
    """The addresses and identifiers that are told, by kind; None for one to forget."""
    names = {"loyalty": body.loyalty, "sms": body.phone, "email": body.email}
    return {kind: value for kind, value in names.items() if value is not UNSET}


def holds_back(body: PersonBody) -> bool:
    """Whether it says that somebody is to hear less, or nothing, from now on."""
    return bool(body.paused_until or body.minor or body.birth_date)


def registered(device_id: str, body: DeviceBody, now_ms: int) -> Change:
    """The change that an app's registration makes: where push reaches this device."""

    def change(record: Record) -> None:
        if body.push_token:
            record.set_push(device_id, body.platform or "", body.push_token, now_ms)
        else:
            record.drop_push(device_id)

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


def _pause_ms(body: PersonBody, now_ms: int) -> int | None:
    """Until when they are left alone; 0 for not at all, None where nothing is said of it."""
    if body.paused_until is UNSET:
        return None
    until_ms = 0 if body.paused_until is None else time_ms(body.paused_until)
    if until_ms < 0:
        raise Problem("malformed", "paused_until is no time - at `$.paused_until`")
    return until_ms if until_ms > now_ms else 0


def _of_age_ms(body: PersonBody, book: Book, now_ms: int) -> int:
    """When they are old enough to be advertised to; 0 where nothing is said of it.

    Who is born on a 29th of February is so on the 1st of March, and midnight is that of Samoa: in
    doubt they are younger.
    """
    if not isinstance(body.birth_date, str):
        return 0
    try:
        born = date.fromisoformat(body.birth_date)
    except ValueError:
        raise Problem("malformed", "birth_date is no day - at `$.birth_date`") from None
    if time_ms(f"{born}T00:00:00+14:00") > now_ms:  # where days begin first
        raise Problem("malformed", "birth_date: expected a day gone by - at `$.birth_date`")
    year = born.year + book.engine.spec.consent.minor_under
    is_leap_day = (born.month, born.day) == (2, 29)
    month, day = (3, 1) if is_leap_day else (born.month, born.day)
    return time_ms(f"{min(year, 9999):04d}-{month:02d}-{day:02d}T00:00:00-11:00")


def _check(body: PersonBody) -> None:
    if UNSET not in (body.caps, body.cadence):
        raise Problem("malformed", "Either caps or cadence, not both - at `$.cadence`")
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
