"""Time as people keep it: opening hours, local days, spans over midnight, durations.

Hours are OSM ``opening_hours`` expressions, evaluated by a library that knows public holidays.
Everything takes the instant as an argument; nothing here looks at a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opening_hours import OpeningHours, UnknownCountryError  # type: ignore[attr-defined]

from geoengine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

FOREVER_MS: Final = 1 << 62
_UNIT_MS = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


@lru_cache(maxsize=1_024)
def duration_ms(text: str) -> int:
    """Milliseconds of a duration such as ``90s``, ``15m``, ``2h`` or ``7d``.

    >>> duration_ms("15m")
    900000
    """
    return round(float(text[:-1]) * _UNIT_MS[text[-1]])


def time_zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name; raises ``ZoneInfoNotFoundError`` for a strange one."""
    return ZoneInfo(name)


@lru_cache(maxsize=4_096)
def sound_zone(name: str) -> str:
    """The name, if it is one of a time zone; else "". A strange one is looked for on disk once."""
    try:
        return name if name and time_zone(name) else ""
    except (ZoneInfoNotFoundError, ValueError):
        return ""


def local_time(at_ms: int, zone: ZoneInfo) -> datetime:
    """The wall clock of a time zone at an instant."""
    return datetime.fromtimestamp(at_ms / SECOND_MS, zone)


def rfc3339(at_ms: int) -> str:
    """An instant as text, to the millisecond, in UTC.

    >>> rfc3339(1_769_443_022_000)
    '2026-01-26T15:57:02.000Z'
    """
    seconds, milliseconds = divmod(at_ms, SECOND_MS)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4_096)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


class Hours:
    """An ``opening_hours`` expression in a time zone and a country's holidays.

    Asks the library only when the answer may have changed: between two changes it is remembered.
    """

    __slots__ = ("_from_ms", "_is_open", "_rules", "_until_ms", "_zone")

    def __init__(self, expression: str, zone_name: str, country: str) -> None:
        self._zone = time_zone(zone_name)
        # A year bounds the search for the next change; a longer quiet spell counts as for ever.
        self._rules = _rules(expression, self._zone, country)
        self._from_ms = 0
        self._until_ms = 0
        self._is_open = False

    def is_open(self, at_ms: int) -> bool:
        """Whether the expression says open at this instant."""
        if not self._from_ms <= at_ms < self._until_ms:
            self._look(at_ms)
        return self._is_open

    def until_ms(self, at_ms: int) -> int:
        """When the answer next changes; `FOREVER_MS` if it does not within a year."""
        if not self._from_ms <= at_ms < self._until_ms:
            self._look(at_ms)
        return self._until_ms

    def _look(self, at_ms: int) -> None:
        at = local_time(at_ms, self._zone)
        change = self._rules.next_change(at)
        self._is_open = self._rules.is_open(at)
        self._from_ms = at_ms
        self._until_ms = FOREVER_MS if change is None else _instant_ms(change, at_ms, self._zone)


def _rules(expression: str, zone: ZoneInfo, country: str) -> OpeningHours:
    """The library's rules; a country whose holidays it does not know has none."""
    try:
        return OpeningHours(
            expression, timezone=zone, country=country or None, max_interval_days=366
        )
    except UnknownCountryError:
        return OpeningHours(expression, timezone=zone, max_interval_days=366)


def _instant_ms(change: datetime, at_ms: int, zone: ZoneInfo) -> int:
    """The library's next change as an instant after ``at_ms``, also in autumn's doubled hour."""
    if change.tzinfo is None:
        change = change.replace(tzinfo=zone)
    change_ms = round(change.astimezone(UTC).timestamp() * SECOND_MS)
    return max(change_ms, at_ms + 1)


@lru_cache(maxsize=65_536)
def hours(expression: str, zone_name: str, country: str) -> Hours:
    """The shared `Hours` of an expression; raises the library's ``ParserError`` for a bad one."""
    return Hours(expression, zone_name, country)
