"""Hours and dates as marketers write them: do they parse, and can they ever be open?

Nothing here looks at a clock. A window is looked at during the campaign's live dates, and where
these are open-ended over five fixed years, which hold every weekday, holiday and leap day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from opening_hours import ParserError  # type: ignore[attr-defined]

from geoengine.core import calendar
from geoengine.core.model import Campaign, Window
from geoengine.core.units import DAY_MS, SECOND_MS

REFERENCE_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
SPAN_MS = 5 * 366 * DAY_MS
YEAR_MS = 366 * DAY_MS
_SPAN = re.compile(r"\b([0-9]{1,2}:[0-9]{2})-([0-9]{1,2}:[0-9]{2})\b")
_WHERE = re.compile(r"--> 1:(\d+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=65_536)
def problem(expression: str) -> str | None:
    """Why an `opening_hours` expression cannot be used; None where it can.

    >>> problem("Mo-Fr 8-20")
    '`Mo-Fr 8-20` does not parse at column 7: expected OSM opening_hours, as Mo-Fr 08:00-20:00'
    >>> problem("Mo-Fr 08:00-08:00")
    '`08:00-08:00` ends as it begins: expected 00:00-24:00 for the whole day, or `off`'
    """
    try:
        calendar.hours(expression, "UTC", "")
    except ParserError as error:
        found = _WHERE.search(str(error))
        where = f" at column {found[1]}" if found else ""
        return (
            f"`{expression}` does not parse{where}: expected OSM opening_hours, "
            "as Mo-Fr 08:00-20:00"
        )
    for start, end in _SPAN.findall(expression):
        if start == end:
            return (
                f"`{start}-{end}` ends as it begins: expected 00:00-24:00 for the whole day, "
                "or `off`"
            )
    return None


def opens(expression: str, zone_name: str, country: str, from_ms: int, until_ms: int) -> bool:
    """Whether the expression is open at any moment from ``from_ms`` until ``until_ms``."""
    rules = calendar.hours(expression, zone_name, country)
    at_ms = from_ms
    while at_ms < until_ms:
        if rules.is_open(at_ms):
            return True
        # A quiet spell longer than a year counts as for ever there, so look again a year later.
        at_ms = min(rules.until_ms(at_ms), at_ms + YEAR_MS)
    return False


@lru_cache(maxsize=65_536)
def opens_ever(expression: str, zone_name: str, country: str) -> bool:
    """Whether the expression is open at any moment of the five reference years."""
    return opens(expression, zone_name, country, REFERENCE_MS, REFERENCE_MS + SPAN_MS)


def window_expression(window: Window) -> str:
    """A window as one `opening_hours` expression.

    >>> window_expression(Window(days="Mo-Fr", hours="17:30-18:00", holidays=False))
    'Mo-Fr 17:30-18:00; PH off'
    >>> window_expression(Window(except_dates=["2026-12-24"]))
    '24/7; 2026 Dec 24 off'
    """
    parts = [" ".join(filter(None, (window.days, window.hours))) or "24/7"]
    if not window.holidays:
        parts.append("PH off")
    for text in window.except_dates:
        day = date.fromisoformat(text[:10])
        parts.append(f"{day.year} {_MONTHS[day.month - 1]} {day.day:02d} off")
    return "; ".join(parts)


def live_span(spec: Campaign, zone_name: str) -> tuple[int, int]:
    """From when until when a campaign lives, milliseconds; the end is not part of it.

    A day without a time begins and ends at midnight of the time zone in which most of the
    campaign's zones lie, and the last day still counts. Raises ValueError for a day that is none.
    """
    begins = 0 if spec.live_from is None else instant_ms(spec.live_from, zone_name)
    if spec.live_until is None:
        return begins, calendar.FOREVER_MS
    return begins, instant_ms(spec.live_until, zone_name, is_end=True)


def instant_ms(text: str, zone_name: str, *, is_end: bool = False) -> int:
    """Milliseconds of a day or an instant; of a day its beginning, or as an end its last moment.

    >>> instant_ms("2026-11-21", "UTC", is_end=True) - instant_ms("2026-11-21", "UTC")
    86400000
    """
    if "T" in text:
        at = datetime.fromisoformat(text)
    else:
        day = date.fromisoformat(text) + timedelta(days=1 if is_end else 0)
        at = datetime.combine(day, time())
    if at.tzinfo is None:
        at = at.replace(tzinfo=calendar.time_zone(zone_name))
    return round(at.astimezone(UTC).timestamp() * SECOND_MS)
