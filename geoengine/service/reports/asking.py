"""A period, as it is asked for, in milliseconds; and what a clock in a store showed at a moment."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from geoengine.catalog.hours import instant_ms
from geoengine.core.book import Book
from geoengine.core.calendar import time_zone
from geoengine.core.columns import Longs
from geoengine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.service.wire.reports import Period

DAYS_BY_DEFAULT: Final = 28  # four of each weekday
_QUARTER_MS: Final = 15 * MINUTE_MS  # offsets from UTC are whole quarters of an hour (since 1972)
WEEKDAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_THURSDAY: Final = 3  # 1970-01-01


class Span(NamedTuple):
    """From one moment up to another."""

    since_ms: int
    until_ms: int


def span_of(period: Period, book: Book, now_ms: int) -> Span:
    """The period in milliseconds; raises `ValueError`, with what was expected."""
    zone = _commonest_zone(book)
    until_ms = instant_ms(period.to, zone, is_end=True) if period.to else now_ms
    since_ms = until_ms - DAYS_BY_DEFAULT * DAY_MS
    if period.from_:
        since_ms = instant_ms(period.from_, zone)
    if not 0 <= since_ms < until_ms:
        raise ValueError(f"from {period.from_!r} to {period.to!r}: expected a later end")
    return Span(since_ms, until_ms)


def _commonest_zone(book: Book) -> str:
    zones = Counter(store.time_zone for store in book.stores if store.time_zone)
    return zones.most_common(1)[0][0] if zones else "UTC"


class Clocks:
    """What clocks in stores show; where no store is known, or is no more, it is UTC."""

    def __init__(self, book: Book, store_names: list[str]) -> None:
        stores = {store.id: store for store in book.stores}
        found = [stores.get(name) for name in store_names]
        names = [(store.time_zone if store else None) or "UTC" for store in found]
        self._zones = sorted({*names, "UTC"})
        self._zone_of = np.array([self._zones.index(name) for name in [*names, "UTC"]], np.int64)

    def local_ms(self, at_ms: Longs, store: Longs) -> Longs:
        """Milliseconds of the local day count since 1970; ``store`` is -1 for none."""
        zone_ix = self._zone_of[store]
        local = at_ms.copy()
        for ix in np.unique(zone_ix).tolist():
            rows = np.flatnonzero(zone_ix == ix)
            quarters, inverse = np.unique(at_ms[rows] // _QUARTER_MS, return_inverse=True)
            zone = time_zone(self._zones[ix])
            offsets = [
                round(datetime.fromtimestamp(quarter * 900, zone).utcoffset().total_seconds())  # type: ignore[union-attr]
                for quarter in quarters.tolist()
            ]
            local[rows] += np.array(offsets, np.int64)[inverse] * SECOND_MS
        return local


def hour_of(local_ms: Longs) -> Longs:
    """The hour of the day, 0 to 23."""
    return local_ms // HOUR_MS % 24


def weekday_of(local_ms: Longs) -> Longs:
    """The day of the week, 0 for Monday."""
    return (local_ms // DAY_MS + _THURSDAY) % 7


def day_name(day: int) -> str:
    """The date of a day counted since 1970.

    >>> day_name(0)
    '1970-01-01'
    """
    return datetime.fromtimestamp(day * DAY_MS // SECOND_MS, UTC).date().isoformat()
