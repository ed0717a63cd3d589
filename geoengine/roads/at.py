"""A weekday and a time, as a date that a router takes."""

from __future__ import annotations

from datetime import date, timedelta

_WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")  # as `Reach.at` has them, by date.weekday()


def local_time(at: str, after: date) -> str:
    """The first such moment on that day or after it, ISO 8601 without a zone: the store's own.

    Routers want a date where we have a weekday. Predicted traffic repeats every week, so any will
    do; timetables hold for some weeks, so ``after`` comes from the network itself and no clock.

    >>> local_time("Fr 17:30", date(2026, 3, 2))
    '2026-03-06T17:30'
    >>> local_time("Mo 08:00", date(2026, 3, 2))
    '2026-03-02T08:00'
    """
    weekday, time = at.split(" ")
    days = (_WEEKDAYS.index(weekday) - after.weekday()) % 7
    return f"{after + timedelta(days=days):%Y-%m-%d}T{time}"
